"""The explorer's picture: three heads, a row each, on linked planes; images on the left, tokens as colors on the right.

Where the slices lie is in `toposlearn.explorer.layout`; it never changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray
from torch import Tensor

from toposlearn.explore.neighborhoods import ANCHOR, MATCH, POSITION, SHARED, SINGLE, TRUTH
from toposlearn.explore.slices import PLANES, cut, extent_of, heat_overlay, write_letters
from toposlearn.explore.structures import PLANE_AXES, Plane
from toposlearn.explore.tokens_rgb import share_in_words
from toposlearn.explorer.explorer import Answer, View, answer, describe
from toposlearn.explorer.layout import BOTTOM, LEFT, RIGHT, ROWS, SIZE, TOP, add_slice
from toposlearn.explorer.scene import Scene

HEAT = 0.55  # opacity of the similarity
_BEHIND: dict[str, Any] = {"ls": (0, (2, 1.2)), "lw": 1.4}
_WAYS = (("left", "right"), ("back", "front"), ("down", "up"))


def plot_explorer(scene: Scene, view: View, token: int) -> Figure:
    """Draw one token of person a, its neighbors, and where person b's tokens say, or truly have, the same place.

    Rows: person a in modality a, the same head in modality b, person b in modality b. Planes of the first two go
    through the token, those of the third through the true place, or through the match where the truth is unknown.

    Args:
        scene: from `open_scene`.
        view: which network, people, modalities, how many neighbors.
        token: index of a token of person a; of the background: the nearest foreground one is taken.
    """
    return draw_answer(scene, view, answer(scene, view, token))


def draw_answer(scene: Scene, view: View, found: Answer) -> Figure:
    """The picture of an answer that is already there."""
    figure = plt.figure(figsize=SIZE)
    heads = (
        (view.subject_a, view.modality_a, found.token),
        (view.subject_a, view.modality_b, found.token),
        (view.subject_b, view.modality_b, found.center_b),
    )
    for row, (subject, modality, center) in enumerate(heads):
        point = scene.positions[center].tolist()
        marks = _answers(found) if row == 2 else _neighbors(found, row)
        heat = _heat(scene, view, found) if row == 2 else None
        for column, (plane, at) in enumerate(zip(PLANES, point, strict=True)):
            image = _draw_image(figure, scene, (subject, modality), (plane, at), (row, column), heat)
            colors = _draw_colors(figure, scene, view, (subject, modality), (plane, at), (row, column + 3))
            for ax in (image, colors):
                _draw_cross(ax, plane, point)
                _draw_marks(ax, scene, marks, plane, at)
            if row == 2:
                _draw_letters(image, scene, found, plane)
        _name_row(figure, scene, row, subject, modality)
    _write_heads(figure, scene, view, found)
    _add_legend(figure, view, found)
    return figure


def _draw_image(
    figure: Figure,
    scene: Scene,
    head: tuple[int, str],
    cut_at: tuple[Plane, float],
    place: tuple[int, int],
    heat: NDArray[np.float32] | None,
) -> Axes:
    (subject, modality), (plane, at) = head, cut_at
    ax = add_slice(figure, *place, plane, at)
    view: dict[str, Any] = {"extent": extent_of(scene.shape, plane, scene.subjects.spacing), "origin": "lower"}
    white = float(scene.white[subject, scene.subjects.modalities.index(modality)])
    gray = cut(scene.volume(subject, modality), plane, at, scene.subjects.spacing)
    ax.imshow(gray, cmap="gray", vmin=0, vmax=white, interpolation="nearest", **view)
    if heat is not None:
        ax.imshow(cut(heat, plane, at, scene.token_size), interpolation="nearest", **view)
    ax.set_title(_place_in_words(plane, at), size=8.5, pad=2.5)
    write_letters(ax, plane, size=8)
    return ax


def _place_in_words(plane: Plane, at: float) -> str:
    low, high = _WAYS[3 - sum(PLANE_AXES[plane])]
    return f"{plane}, {abs(at):.0f} mm {high if at >= 0 else low}"


def _draw_colors(
    figure: Figure,
    scene: Scene,
    view: View,
    head: tuple[int, str],
    cut_at: tuple[Plane, float],
    place: tuple[int, int],
) -> Axes:
    (subject, modality), (plane, at) = head, cut_at
    ax = add_slice(figure, *place, plane, at)
    colors = torch.cat([scene.colors[view.network][modality][subject], scene.mask[subject, :, None].double()], dim=1)
    extent = extent_of(scene.shape, plane, scene.subjects.spacing)
    picture = cut(_on_grid(colors, scene), plane, at, scene.token_size)
    ax.imshow(picture, extent=extent, origin="lower", interpolation="nearest")
    return ax


def _on_grid(values: Tensor, scene: Scene) -> NDArray[Any]:
    """Values (N, C) of tokens as (d, h, w, C)."""
    return np.asarray(values).reshape(*(size // scene.stride for size in scene.shape), -1)


def _heat(scene: Scene, view: View, found: Answer) -> NDArray[np.float32]:
    """Similarity of b's foreground tokens as RGBA (d, h, w, 4), from their median up, so that the peak stands out."""
    counted = scene.mask[view.subject_b]
    low, high = float(found.similarity[counted].median()), float(found.similarity[counted].max())
    shown = (counted & (found.similarity >= low)).numpy()
    colors = heat_overlay(found.similarity.numpy(), low, high, shown=shown, alpha=HEAT)
    return np.asarray(_on_grid(torch.as_tensor(colors), scene), dtype=np.float32)


def _neighbors(found: Answer, row: int) -> list[tuple[int, str]]:
    """Tokens to mark in the first (modality a) or second (modality b) row, with colors; the token last."""
    neighbors = (found.neighbors_a, found.neighbors_b)[row]
    marks = [(index, SHARED if index in found.shared else SINGLE) for index in neighbors]
    return [*marks, (found.token, ANCHOR)]


def _answers(found: Answer) -> list[tuple[int, str]]:
    marks = [(found.position, POSITION), (found.found, MATCH)]
    return marks if found.truth is None else [*marks, (found.truth, TRUTH)]


def _draw_marks(ax: Axes, scene: Scene, marks: Sequence[tuple[int, str]], plane: Plane, at: float) -> None:
    """Blocks of tokens: solid where the slice cuts them, dashed where they lie before or behind it."""
    half = scene.token_size / 2
    across, up = PLANE_AXES[plane]
    for shrink, (index, color) in _nested(marks):
        center = scene.positions[index]
        inside = abs(float(center[3 - across - up]) - at) <= half
        reach = half - shrink
        corner = float(center[across]) - reach, float(center[up]) - reach
        style: dict[str, Any] = {"ls": "-", "lw": 1.9} if inside else _BEHIND
        halo = [Stroke(linewidth=style["lw"] + 1.8, foreground="black", alpha=0.7), Normal()]
        box = Rectangle(corner, 2 * reach, 2 * reach, fill=False, ec=color, zorder=4, path_effects=halo, **style)
        ax.add_patch(box)


def _nested(marks: Sequence[tuple[int, str]]) -> Iterator[tuple[float, tuple[int, str]]]:
    """Marks with mm to shrink by: two answers on one token are drawn within each other, so that both are seen."""
    seen: dict[int, int] = {}
    for index, color in marks:
        yield 2.2 * seen.get(index, 0), (index, color)
        seen[index] = seen.get(index, 0) + 1


def _draw_letters(ax: Axes, scene: Scene, found: Answer, plane: Plane) -> None:
    """T, M, P beside the blocks of the true place, the match and position: nobody has to tell colors apart."""
    letters: dict[int, str] = {}
    for letter, index in (("T", found.truth), ("M", found.found), ("P", found.position)):
        if index is not None:
            letters[index] = letters.get(index, "") + letter
    across, up = PLANE_AXES[plane]
    reach = scene.token_size / 2 + 1.5
    for index, text in letters.items():
        x, y = float(scene.positions[index, across]) + reach, float(scene.positions[index, up]) + reach
        style: dict[str, Any] = {"size": 8, "weight": "bold", "ha": "left", "va": "center"}
        halo = [Stroke(linewidth=2, foreground="black"), Normal()]
        ax.text(x, y, text, color="white", zorder=5, clip_on=True, path_effects=halo, **style)


def _draw_cross(ax: Axes, plane: Plane, point: Sequence[float]) -> None:
    """Where the other two planes cut this one."""
    across, up = PLANE_AXES[plane]
    ax.axvline(point[across], color="white", lw=0.5, alpha=0.45, zorder=3)
    ax.axhline(point[up], color="white", lw=0.5, alpha=0.45, zorder=3)


def _name_row(figure: Figure, scene: Scene, row: int, subject: int, modality: str) -> None:
    who = ("person a", "person a", "person b")[row]
    middle = BOTTOM + (ROWS - 0.5 - row) / ROWS * (TOP - BOTTOM)
    text = f"{who}: {scene.subjects.subjects[subject]}\n{modality}"
    figure.text(LEFT - 0.008, middle, text, rotation=90, ha="right", va="center", size=10, linespacing=1.3)


def _write_heads(figure: Figure, scene: Scene, view: View, found: Answer) -> None:
    who, match, neighbors, *places = describe(scene, view, found)
    figure.text(0.5, 0.99, match, ha="center", va="top", size=14, weight="bold")
    lines = [f"{who} · {neighbors}", " · ".join(places)]
    figure.text(0.5, 0.958, "\n".join(lines), ha="center", va="top", size=9.5, linespacing=1.25)
    third = (RIGHT - LEFT) / 4
    cut_through = "the match" if found.truth is None else "the true place"
    left = f"images; person b is cut through {cut_through}, bright where similar to the token"
    right = (
        f"tokens as colors, one basis for all heads: {share_in_words(scene.explained[view.network])} of the features"
    )
    for x, text in ((LEFT + third, left), (LEFT + 3 * third, right)):
        figure.text(x, TOP + 0.033, text, ha="center", va="bottom", size=9, color="0.3")
    _draw_scale(figure, scene)


def _draw_scale(figure: Figure, scene: Scene) -> None:
    """A bar of 50 mm below the first column."""
    ax = next(ax for ax in figure.axes if str(ax.get_label()).startswith("2|"))
    ax.apply_aspect()
    box = ax.get_position()
    length = 50 * box.width / (ax.get_xlim()[1] - ax.get_xlim()[0])
    figure.add_artist(Line2D([box.x0, box.x0 + length], [box.y0 - 0.012] * 2, color="black", lw=2))
    figure.text(box.x0 + length + 0.004, box.y0 - 0.012, "50 mm", va="center", size=8)


def _add_legend(figure: Figure, view: View, found: Answer) -> None:
    same = view.modality_a == view.modality_b
    colors: Mapping[str, str] = {
        "the token" + (", and T: its true place" if found.truth is not None else ""): ANCHOR,
        "neighbor" if same else "neighbor in both modalities": SHARED,
        **({} if same else {"neighbor in this modality only": SINGLE}),
        "M: match, the most similar": MATCH,
        f"P: {'same grid position' if view.position == 'grid' else 'centered position'}": POSITION,
    }
    box: dict[str, Any] = {"marker": "s", "ls": "", "ms": 9, "mfc": "0.25", "mew": 1.8}
    handles = [Line2D([], [], mec=color, label=label, **box) for label, color in colors.items()]
    handles.append(Line2D([], [], color="0.4", label="before or behind the slice", **_BEHIND))
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=8.5)
