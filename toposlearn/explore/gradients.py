"""Which part of a network learns from which term of the loss: gradient norms, and who steers at which weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from toposlearn.explore.curves import color_of
from toposlearn.models import Taco

Vectors = Mapping[str, Mapping[str, Tensor]]
TERM_COLORS = {"reconstruction": color_of("reconstruction"), "intra": color_of("intra"), "inter": color_of("inter")}


def part_of(name: str) -> str:
    """The part of the network that a parameter belongs to: patches, stage 1 to 4, top-down path, decoder."""
    head, *rest = name.split(".")
    if head == "encoder":
        return "patches" if rest[0] == "patch_embed" else f"stage {rest[0].removeprefix('layers')[0]}"
    return {"pyramid": "top-down path"}.get(head, head)


def term_gradients(model: Taco, terms: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Gradient of each term by itself: term -> part -> one long vector, zeros where the term does not reach.

    Args:
        model: the network.
        terms: name -> scalar, all from one forward pass.
    """
    names, parameters = zip(*model.named_parameters(), strict=True)
    result: dict[str, dict[str, Tensor]] = {}
    for term, value in terms.items():
        found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        parts: dict[str, list[Tensor]] = {}
        for name, parameter, gradient in zip(names, parameters, found, strict=True):
            gradient = torch.zeros_like(parameter) if gradient is None else gradient
            parts.setdefault(part_of(name), []).append(gradient.flatten())
        result[term] = {part: torch.cat(vectors) for part, vectors in parts.items()}
    return result


def gradient_norms(gradients: Vectors) -> pd.DataFrame:
    """Length of each term's gradient in each part: a row a part, a column a term."""
    return pd.DataFrame(
        {term: {part: float(v.norm()) for part, v in parts.items()} for term, parts in gradients.items()}
    )


def steering(gradients: Vectors, weights: Sequence[float], part: str = "") -> pd.DataFrame:
    """Cosine of the gradient of reconstruction + weight x (the other terms) with that of each term.

    1 means that a step follows this term, 0 that it ignores it, below 0 that it works against it.

    Args:
        gradients: from `term_gradients`; one term is ``"reconstruction"``.
        weights: weights of the other terms.
        part: one part of the network; empty is all of it.

    Returns:
        A row a weight, a column a term.
    """
    flat = {term: parts[part] if part else torch.cat(list(parts.values())) for term, parts in gradients.items()}
    if "reconstruction" not in flat:
        raise ValueError(f"gradients must hold the term 'reconstruction', got {', '.join(flat)}")
    rows = {}
    for weight in weights:
        total = sum(
            (vector * (1 if term == "reconstruction" else weight) for term, vector in flat.items()), torch.zeros(())
        )
        rows[weight] = {
            term: float(torch.nn.functional.cosine_similarity(total, vector, dim=0)) for term, vector in flat.items()
        }
    return pd.DataFrame(rows).T


def plot_gradient_norms(norms: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Gradient norms by part and term, one panel a network (name -> table of `gradient_norms`)."""
    figure, axes = plt.subplots(
        1, len(norms), figsize=(4.6 * len(norms), 3.4), squeeze=False, sharey=True, layout="constrained"
    )
    for ax, (name, table) in zip(axes[0], norms.items(), strict=True):
        places = np.arange(len(table))
        for row, term in enumerate(table.columns):
            shift = (row - (len(table.columns) - 1) / 2) * 0.27
            ax.bar(places + shift, table[term], 0.25, color=TERM_COLORS.get(term), label=term)
        ax.set_xticks(places, table.index, rotation=35, ha="right")
        ax.set_yscale("log")
        ax.set_title(name)
        ax.grid(axis="y", color="0.92")
        ax.set_axisbelow(True)
    axes[0, 0].set_ylabel("length of the gradient")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    if title:
        figure.suptitle(title)
    return figure


def plot_steering(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Cosine between a step and each term, against the weight of the alignment terms, one panel a network."""
    figure, axes = plt.subplots(
        1, len(tables), figsize=(4.6 * len(tables), 3.3), squeeze=False, sharey=True, layout="constrained"
    )
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        for term in table.columns:
            ax.plot(table.index, table[term], "o-", color=TERM_COLORS.get(term), label=term)
        ax.axhline(0, color="0.4", lw=0.8)
        ax.set_xscale("log")
        ax.set_xlabel("weight of intra and inter")
        ax.set_title(name)
        ax.grid(color="0.92")
    axes[0, 0].set_ylabel("cosine of step and term")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    if title:
        figure.suptitle(title)
    return figure
