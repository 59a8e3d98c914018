"""Figures of the ablation: the change by each term; tokens of two people as colors, and the error of their matches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from toposlearn.data import PosedSubjects, load_posed
from toposlearn.explore.curves import color_of, draw_intervals
from toposlearn.explore.tokens_rgb import fit_basis, share_in_words, to_voxels
from toposlearn.models import Taco, load_weights
from toposlearn.pretrain import encode
from toposlearn.reproducibility import set_seed
from toposlearn.studies.ablation.tables import Change

LABELS = {"untrained": "untrained", "reconstruction": "reconstruction\nonly", "intra": "+ intra", "full": "full"}
REFERENCES: dict[str, tuple[str, Any]] = {
    "position": ("grid position", "--"),
    "centered": ("centered position", "-."),
    "affine": ("affine registration", (0, (6, 1))),
    "floor": ("floor", ":"),
}
STRIDE = 4  # token level of the overview
COLUMNS = [(0, "T1w"), (0, "T2w"), (1, "T1w"), (1, "T2w")]  # of the overview: subject and modality


def plot_changes(changes: Sequence[Change], spacing: float, title: str = "") -> Figure:
    """Each of `term_changes` with its interval, one row per term, anatomy and token size; `spacing` in mm per voxel."""
    figure, ax = plt.subplots(figsize=(8.0, 0.34 * len(changes) + 1.4), layout="constrained")
    names = [f"{each.term}: anatomy {each.anatomy}, {each.stride * spacing:g} mm tokens" for each in changes]
    rows = {name: change._asdict() for name, change in zip(names, changes, strict=True)}
    draw_intervals(ax, rows, colors={name: color_of(row["term"]) for name, row in rows.items()})
    ax.axvline(0, color="0.35", lw=1.1)
    ax.set_xlabel("error with the term minus without it (mm)\nleft of 0 the term helps")
    ax.set_title(title or "Dot: mean over people and seeds. Bar: 95 % interval.", size=10)
    return figure


def save_overview(weights: Path, data: Path, metrics: Mapping[str, Mapping[str, Any]]) -> Path:
    """Save `plot_overview` of two held-out people of `data` as ``overview.png`` beside the weights."""
    (full, settings), (simple, _) = (
        load_weights(weights / f"{name}.safetensors") for name in ("full", "reconstruction")
    )
    set_seed(0)
    models = {"untrained": Taco(settings.model).eval(), "reconstruction": simple, "full": full}
    figure = plot_overview(models, load_posed(data, settings, 2), metrics)
    path = weights / "overview.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def plot_overview(
    models: Mapping[str, Taco], subjects: PosedSubjects, metrics: Mapping[str, Mapping[str, Any]]
) -> Figure:
    """Rows: images, then tokens as colors for each network. Below: error across people with 95 % intervals.

    Two people are shown. A row's label states the share of the variance of the features that its colors hold.
    """
    figure = plt.figure(figsize=(8.4, 2.05 * (len(models) + 1) + 2.9), layout="constrained")
    grid = GridSpec(len(models) + 2, 4, figure=figure, height_ratios=[1] * (len(models) + 1) + [1.25])
    middle = [int(head[0].nonzero()[:, 2].float().mean()) for head in subjects.foreground[:2]]  # axial slices
    for place, (subject, modality) in enumerate(COLUMNS):
        volume = subjects.volumes[subject, subjects.modalities.index(modality)].numpy()
        ax = figure.add_subplot(grid[0, place])
        ax.imshow(volume[:, :, middle[subject]].T, cmap="gray", origin="lower")
        ax.set_title(f"person {subject + 1}, {modality}", size=10)
        _bare(ax, "image" if place == 0 else "")
    for row, (name, model) in enumerate(models.items(), start=1):
        pictures, explained = _colors(model, subjects, middle)
        for place, colors in enumerate(pictures):
            ax = figure.add_subplot(grid[row, place])
            ax.imshow(colors, origin="lower")
            _bare(ax, f"{LABELS.get(name, name)}\n({share_in_words(explained)})" if place == 0 else "")
    _draw_errors(figure.add_subplot(grid[-1, :]), metrics)
    return figure


def _colors(model: Taco, subjects: PosedSubjects, middle: Sequence[int]) -> tuple[list[np.ndarray], float]:
    """Token colors of one slice per column, (H, D, 3), in one basis for all, and the share of variance they hold."""
    tokens = {modality: encode(model, subjects, modality)[STRIDE] for modality in ("T1w", "T2w")}
    mask = subjects.token_mask(STRIDE)
    chosen = [(tokens[modality][subject], mask[subject]) for subject, modality in COLUMNS]
    basis = fit_basis(*[part for part, _ in chosen], masks=[counted for _, counted in chosen])
    pictures = []
    for (subject, _), (part, counted) in zip(COLUMNS, chosen, strict=True):
        colors = np.where(counted.numpy()[:, None], basis.colors(part), 0.0)
        volume = to_voxels(colors, STRIDE, subjects.foreground.shape[2:])
        pictures.append(np.swapaxes(volume[:, :, middle[subject]], 0, 1))
    return pictures, basis.explained


def _bare(ax: Any, label: str) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_ylabel(label, size=10)


def _draw_errors(ax: Any, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    key = f"A/NAME/stride{STRIDE}/across_people_error"
    names = [name for name in LABELS if key.replace("NAME", name) in metrics]
    rows = {LABELS[name].replace("\n", " "): metrics[key.replace("NAME", name)] for name in names}
    colors = dict(zip(rows, map(color_of, names), strict=True))
    draw_intervals(ax, rows, colors=colors, ms=7, capsize=4)
    for name, (label, style) in REFERENCES.items():
        if known := metrics.get(key.replace("NAME", name)):
            ax.axvline(known["value"], color="0.35", ls=style, lw=1.2, label=label)
    ax.set_xlim(left=0)
    ax.set_xlabel("mean error of the best match between two people (mm)")
    ax.legend(loc="lower right", fontsize=9, frameon=False)
