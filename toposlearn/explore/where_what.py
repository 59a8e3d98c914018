"""Where or what, as pictures: measures beside their nulls, and one token followed through a motion that is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects
from toposlearn.explore.curves import color_of
from toposlearn.explore.match_errors import LABELS, known_motion, move_subjects, places_before
from toposlearn.explore.neighborhoods import MATCH, POSITION, TRUTH, Match, find_match
from toposlearn.explore.slices import Panel, heat_overlay, plot_panels
from toposlearn.explore.tokens_rgb import to_voxels
from toposlearn.explore.widgets import browser
from toposlearn.intervals import across_subjects, bootstrap_subjects
from toposlearn.models import Taco
from toposlearn.pretrain import encode
from toposlearn.reproducibility import metric

_STYLES = {"position": "--", "floor": "-", "random": ":"}


def people_metric(values: Tensor | Float64s, **known: Any) -> dict[str, Any]:
    """A metric with its 95 % interval over people.

    Args:
        values: (S,), one number a person, or (S, S), one a pair of people; the diagonal is left out.
        known: `unit`, `null`, `baseline` of `toposlearn.reproducibility.metric`.
    """
    array = np.asarray(values, dtype=float)
    low, high = bootstrap_subjects(array[None])
    value = across_subjects(array[None]) if array.ndim == 2 else float(array.mean())
    return metric(value, low=low, high=high, n=len(array), **known)


def plot_measures(
    panels: Mapping[str, Mapping[str, Mapping[str, Any]]],
    label: str,
    *,
    null: str = "chance",
    controls: Collection[str] = tuple(LABELS),
    title: str = "",
) -> Figure:
    """A bar a name, with its interval and its null; a panel a measure, all on one scale.

    Args:
        panels: title of a panel -> name -> metric (`toposlearn.reproducibility.metric`); names of the first panel rule.
        label: what is measured, with its unit.
        null: what the null is.
        controls: names drawn in gray.
        title: what to see.
    """
    names = list(next(iter(panels.values())))
    size = 2.6 * len(panels) + 2.2, 0.32 * len(names) + 1.7
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for ax, (heading, found) in zip(axes[0], panels.items(), strict=True):
        for row, name in enumerate(names):
            if name in found:
                _draw_bar(ax, row, found[name], "0.65" if name in controls else color_of(name, row))
        ax.set_title(heading, size=10)
        ax.set_xlabel(label)
        ax.grid(axis="x", color="0.92")
        ax.set_axisbelow(True)
    axes[0][0].set_yticks(range(len(names)), [LABELS.get(name, name) for name in names])
    axes[0][0].set_ylim(len(names) - 0.4, -0.6)
    if any("null" in value for found in panels.values() for value in found.values()):
        mark = Line2D([], [], color="k", marker="|", ms=11, ls="", label=null)
        figure.legend(handles=[mark], loc="outside lower right", frameon=False)
    figure.suptitle(title, size=11)
    return figure


def _draw_bar(ax: Axes, row: int, found: Mapping[str, Any], color: str) -> None:
    value = found["value"]
    ends = [[value - found.get("low", value)], [found.get("high", value) - value]]
    ax.barh(row, value, height=0.7, color=color, xerr=ends, ecolor="0.25", capsize=2)
    if "null" in found:
        ax.plot(found["null"], row, "k|", ms=11)


def plot_move_curve(curve: Mapping[float, Mapping[str, Mapping[str, Any]]], title: str = "") -> Figure:
    """Error of the best match over a known shift: a line a network with its interval, the controls in gray.

    Args:
        curve: shift in mm -> name -> metric of `toposlearn.explore.match_errors.errors_after_move`.
        title: what to see.
    """
    figure, ax = plt.subplots(figsize=(7.4, 4), layout="constrained")
    for place, name in enumerate(next(iter(curve.values()))):
        found = [row[name] for row in curve.values()]
        color, style = ("0.35", _STYLES.get(name, "-.")) if name in LABELS else (color_of(name, place), "-")
        label = LABELS.get(name, name)
        ax.plot(list(curve), [each["value"] for each in found], style, color=color, marker="o", ms=4, label=label)
        if name not in LABELS and all("low" in each for each in found):
            low, high = ([each[end] for each in found] for end in ("low", "high"))
            ax.fill_between(list(curve), low, high, color=color, alpha=0.12)
    ax.set(xlabel="known shift of the second volume (mm)", ylabel="error of the best match (mm)", ylim=(0, None))
    ax.grid(color="0.92")
    figure.legend(loc="outside right upper", frameon=False)
    ax.set_title(title, size=10)
    return figure


@dataclass(frozen=True, eq=False)
class TokenView:
    """The second volume before or after a move, and where each network finds one token of the first volume in it."""

    title: str
    image: Tensor  # (D, H, W)
    mask: Tensor  # (N,) bool
    matches: Mapping[str, Match]


def follow_token(
    networks: Mapping[str, Taco],
    subject: PosedSubjects,
    token: int,
    motion: Tensor,
    *,
    pair: tuple[str, str],
    stride: int,
) -> tuple[TokenView, TokenView]:
    """One token of the first person in `subject`, looked for in the second modality before and after the motion."""
    one, here = subject.take([0]), subject.token_positions(stride)
    sources = {name: encode(network, one, pair[0])[stride][0] for name, network in networks.items()}
    views = []
    for title, pose in (("before the move", known_motion()), ("after the move", motion)):
        volume = move_subjects(one, pose)
        mask, before = volume.token_mask(stride)[0], places_before(here, pose)
        matches = {
            name: find_match(
                token, sources[name], encode(network, volume, pair[1])[stride][0], here, before, here, mask
            )
            for name, network in networks.items()
        }
        image = volume.volumes[0, volume.modalities.index(pair[1])]
        views.append(TokenView(f"{pair[1]} {title}", image, mask, matches))
    return views[0], views[1]


def plot_followed(views: tuple[TokenView, TokenView], *, stride: int, spacing: float, positions: Tensor) -> Figure:
    """Before the move above, after it below, a column a network: bright is similar to the token that is looked for.

    The plane is the one through the token, and the motions of `known_motion` stay within it.

    Args:
        views: from `follow_token`.
        stride: voxels a token.
        spacing: mm a voxel.
        positions: (N, 3), mm of token centers.
    """
    token = next(iter(views[0].matches.values())).anchor
    panels = [
        Panel(view.image, "axial", float(positions[token, 2]), spacing, _similar(view, match, stride), heading)
        for view in views
        for heading, match in ((f"{name}: {m.errors['found']:.0f} mm off", m) for name, m in view.matches.items())
    ]
    figure = plot_panels(panels, len(views[0].matches))
    half = stride * spacing / 2
    shown = [match for view in views for match in view.matches.values()]
    for ax, match in zip(figure.axes, shown, strict=False):
        for index, color in ((match.position, POSITION), (match.truth, TRUTH), (match.found, MATCH)):
            corner = (float(positions[index, 0]) - half, float(positions[index, 1]) - half)
            dashed = color == MATCH  # drawn last, and the box below shows through
            style: dict[str, Any] = {"lw": 1.4, "ls": (0, (3, 1.5))} if dashed else {"lw": 2.4}
            ax.add_patch(Rectangle(corner, 2 * half, 2 * half, fill=False, ec=color, **style))
    figure.suptitle(" · ".join(("above: " + views[0].title, "below: " + views[1].title)), size=11)
    boxes = {"its true place": TRUTH, "most similar": MATCH, "same position": POSITION}
    handles = [
        Line2D([], [], mec=c, label=name, marker="s", ls="", ms=9, mfc="0.25", mew=1.8) for name, c in boxes.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _similar(view: TokenView, match: Match, stride: int) -> np.ndarray:
    """Similarity to the token as a heat map over the head, from the median up."""
    shape = tuple(view.image.shape)
    counted = match.similarity[view.mask]
    low, high = float(counted.median()), float(counted.max())
    shown = to_voxels((view.mask & (match.similarity >= low)).numpy(), stride, shape)
    return heat_overlay(to_voxels(match.similarity.numpy(), stride, shape), low, high, shown=shown, alpha=0.55)


def move_browser(
    networks: Mapping[str, Taco],
    subjects: PosedSubjects,
    token: int,
    *,
    pair: tuple[str, str],
    stride: int,
    shift: int = 27,
) -> widgets.VBox:
    """Sliders for shift (mm) and angle over `plot_followed`, for one token of the first person."""
    slide = widgets.IntSlider(shift, 0, 30, description="shift, mm", continuous_update=False)
    turn = widgets.IntSlider(0, -20, 20, description="angle, degrees", continuous_update=False)

    def plot() -> Figure:
        motion = known_motion(slide.value, turn.value)
        views = follow_token(networks, subjects, token, motion, pair=pair, stride=stride)
        return plot_followed(views, stride=stride, spacing=subjects.spacing, positions=subjects.token_positions(stride))

    return browser([slide, turn], plot)
