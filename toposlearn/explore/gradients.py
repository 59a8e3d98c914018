"""Which part of a network learns from which term of the loss: gradient norms, and which term a step follows."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cosine_similarity

from toposlearn.explore.curves import TERMS, color_of, row_of_axes, shared_legend
from toposlearn.models import Taco

Vectors = Mapping[str, Mapping[str, Tensor]]  # term -> part of the network -> gradient
_COLORS = {term: color_of(term) for term in TERMS}


def part_of(name: str) -> str:
    """The part of the network that a parameter belongs to: patches, stage 1 to 4, top-down path, decoder."""
    head, *rest = name.split(".")
    if head == "encoder":
        return "patches" if rest[0] == "patch_embed" else f"stage {rest[0].removeprefix('layers')[0]}"
    return {"pyramid": "top-down path"}.get(head, head)


def term_gradients(model: Taco, terms: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Gradient of each term (a scalar) by itself: term -> part -> one long vector, zeros where it has no effect."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    result: dict[str, dict[str, Tensor]] = {}
    for term, value in terms.items():
        gradients = torch.autograd.grad(value, parameters, retain_graph=True, materialize_grads=True)
        parts: dict[str, list[Tensor]] = {}
        for name, gradient in zip(names, gradients, strict=True):
            parts.setdefault(part_of(name), []).append(gradient.flatten())
        result[term] = {part: torch.cat(vectors) for part, vectors in parts.items()}
    return result


def gradient_norms(gradients: Vectors) -> pd.DataFrame:
    """Length of each term's gradient in each part: one row per part, one column per term."""
    norms = {term: {part: float(v.norm()) for part, v in parts.items()} for term, parts in gradients.items()}
    return pd.DataFrame(norms)


def steering(gradients: Vectors, weights: Sequence[float], part: str = "") -> pd.DataFrame:
    """Cosine of the gradient of reconstruction + weight x (other terms) with each term's: a table of weights by terms.

    1 means that a step follows this term, 0 that it ignores it. `part` is a part of the network, all of it if empty.
    """
    flat = {term: parts[part] if part else torch.cat(list(parts.values())) for term, parts in gradients.items()}
    if "reconstruction" not in flat:
        raise ValueError(f"gradients must hold the term 'reconstruction', got {', '.join(flat)}")
    rows = {}
    for weight in weights:
        scaled = [vector * (1 if term == "reconstruction" else weight) for term, vector in flat.items()]
        total = sum(scaled, torch.zeros(()))
        rows[weight] = {term: float(cosine_similarity(total, vector, dim=0)) for term, vector in flat.items()}
    return pd.DataFrame(rows).T


def plot_gradient_norms(norms: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Gradient norms by part and term, one panel per network (name -> table of `gradient_norms`)."""
    figure, axes = row_of_axes(len(norms), 4.6, 3.4, sharey=True)
    for ax, (name, table) in zip(axes, norms.items(), strict=True):
        for row, term in enumerate(table.columns):
            shift = (row - (len(table.columns) - 1) / 2) * 0.27
            ax.bar(np.arange(len(table)) + shift, table[term], 0.25, color=_COLORS.get(term), label=term)
        ax.set_xticks(range(len(table)), table.index, rotation=35, ha="right")
        ax.set(title=name, yscale="log")
        ax.grid(visible=False, axis="x")
    axes[0].set_ylabel("length of the gradient")
    shared_legend(figure, axes)
    figure.suptitle(title)
    return figure


def plot_steering(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Cosine between a step and each term, against the weight of the alignment terms, one panel per network."""
    figure, axes = row_of_axes(len(tables), 4.6, 3.3, sharey=True)
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        for term in table.columns:
            ax.plot(table.index, table[term], "o-", color=_COLORS.get(term), label=term)
        ax.axhline(0, color="0.4", lw=0.8)
        ax.set(title=name, xlabel="weight of intra and inter", xscale="log")
    axes[0].set_ylabel("cosine of step and term")
    shared_legend(figure, axes)
    figure.suptitle(title)
    return figure
