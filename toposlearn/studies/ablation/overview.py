"""One figure of the result: what tokens of two people look like under each network, and how far matches are off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from toposlearn.data import PosedSubjects, load_posed
from toposlearn.explore.curves import color_of
from toposlearn.explore.tokens_rgb import fit_basis, share_in_words, to_voxels
from toposlearn.models import Taco, load_weights
from toposlearn.pretrain import encode
from toposlearn.reproducibility import set_seed

LABELS = {"untrained": "untrained", "reconstruction": "reconstruction\nonly", "intra": "+ intra", "full": "full"}
REFERENCES = {"position": ("grid position", "--"), "centered": ("centered position", "-."), "floor": ("floor", ":")}


def save_overview(weights: Path, data: Path, metrics: Mapping[str, Mapping[str, Any]]) -> Path:
    """`plot_overview` of two held-out people under the weights of a folder, saved there as ``overview.png``.

    Args:
        weights: folder of ``full.safetensors`` and ``reconstruction.safetensors``.
        data: data folder with held-out people.
        metrics: of a comparison.
    """
    full, settings = load_weights(weights / "full.safetensors")
    set_seed(0)
    models = {
        "untrained": Taco(settings.model).eval(),
        "reconstruction": load_weights(weights / "reconstruction.safetensors")[0],
        "full": full,
    }
    figure = plot_overview(models, load_posed(data, settings, 2), metrics)
    path = weights / "overview.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def plot_overview(
    models: Mapping[str, Taco],
    subjects: PosedSubjects,
    metrics: Mapping[str, Mapping[str, Any]],
    *,
    pair: tuple[int, int] = (0, 1),
    modalities: tuple[str, str] = ("T1w", "T2w"),
    stride: int = 4,
) -> Figure:
    """Rows: images, then tokens as colors for each network. Below: error across people with 95 % intervals.

    The label of a row states the share of the variance of the features that its colors hold.

    Args:
        models: name -> network.
        subjects: posed people never trained on.
        metrics: of a comparison (``A/VARIANT/strideN/across_people_error``).
        pair: which two people.
        modalities: which two.
        stride: token level.
    """
    figure = plt.figure(figsize=(8.4, 2.05 * (len(models) + 1) + 2.9), layout="constrained")
    grid = GridSpec(len(models) + 2, 4, figure=figure, height_ratios=[1] * (len(models) + 1) + [1.25])
    columns = [(subject, modality) for subject in pair for modality in modalities]
    slices = {subject: _middle(subjects, subject) for subject in pair}
    for place, (subject, modality) in enumerate(columns):
        volume = subjects.volumes[subject, subjects.modalities.index(modality)].numpy()
        ax = figure.add_subplot(grid[0, place])
        ax.imshow(volume[:, :, slices[subject]].T, cmap="gray", origin="lower")
        ax.set_title(f"person {pair.index(subject) + 1}, {modality}", size=10)
        _bare(ax, "image" if place == 0 else "")
    for row, (name, model) in enumerate(models.items(), start=1):
        pictures, explained = _colors(model, subjects, columns, slices, stride)
        for place, colors in enumerate(pictures):
            ax = figure.add_subplot(grid[row, place])
            ax.imshow(colors, origin="lower")
            _bare(ax, f"{LABELS.get(name, name)}\n({share_in_words(explained)})" if place == 0 else "")
    _draw_errors(figure.add_subplot(grid[-1, :]), metrics, stride)
    return figure


def _middle(subjects: PosedSubjects, subject: int) -> int:
    """The axial slice through the middle of a head."""
    return int(subjects.foreground[subject, 0].nonzero()[:, 2].float().mean())


def _colors(
    model: Taco, subjects: PosedSubjects, columns: list[tuple[int, str]], slices: Mapping[int, int], stride: int
) -> tuple[list[np.ndarray], float]:
    """Token colors of one slice per column, (H, D, 3), in one basis for all, and the share of variance they hold."""
    tokens = {modality: encode(model, subjects, modality)[stride] for modality in {name for _, name in columns}}
    mask = subjects.token_mask(stride)
    chosen = [(tokens[modality][subject], mask[subject]) for subject, modality in columns]
    basis = fit_basis(*[part for part, _ in chosen], masks=[counted for _, counted in chosen])
    pictures = []
    for (subject, _), (part, counted) in zip(columns, chosen, strict=True):
        colors = np.where(counted.numpy()[:, None], basis.colors(part), 0.0)
        volume = to_voxels(colors, stride, subjects.foreground.shape[2:])
        pictures.append(np.swapaxes(volume[:, :, slices[subject]], 0, 1))
    return pictures, basis.explained


def _bare(ax: Any, label: str) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_ylabel(label, size=10)


def _draw_errors(ax: Any, metrics: Mapping[str, Mapping[str, Any]], stride: int) -> None:
    names = [name for name in LABELS if f"A/{name}/stride{stride}/across_people_error" in metrics]
    for row, name in enumerate(names):
        found = metrics[f"A/{name}/stride{stride}/across_people_error"]
        ends = [[found["value"] - found["low"]], [found["high"] - found["value"]]]
        ax.errorbar(found["value"], row, xerr=ends, fmt="o", ms=7, capsize=4, color=color_of(name))
    for name, (label, style) in REFERENCES.items():
        value = metrics[f"A/{name}/stride{stride}/across_people_error"]["value"]
        ax.axvline(value, color="0.35", ls=style, lw=1.2, label=label)
    ax.set_yticks(range(len(names)), [LABELS[name].replace("\n", " ") for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.set_xlabel("mean error of the best match between two people (mm)")
    ax.legend(loc="lower right", fontsize=9, frameon=False)
    ax.grid(axis="x", color="0.92")
