"""Sliders over the plot functions: thin shells that catch no exception."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from toposlearn.explore.gradients import Vectors, plot_steering, steering
from toposlearn.explore.neighborhoods import plot_neighbors, token_at
from toposlearn.explore.slices import Spacing, Volume, plot_row, steps_of
from toposlearn.explore.structures import PLANE_AXES, Plane
from toposlearn.explore.triplets import anchor_triplets, plot_triplets


def slice_browser(
    volumes: Mapping[str, Volume],
    overlays: Mapping[str, Volume] | None = None,
    *,
    spacing: Spacing = 3.0,
    plane: Plane = "axial",
) -> widgets.VBox:
    """Sliders for the plane and its place over `toposlearn.explore.slices.plot_row`.

    Args:
        volumes: name -> (D, H, W), all on one grid.
        overlays: name -> (D, H, W, 4), shown when ticked.
        spacing: mm a voxel.
        plane: the plane at first.
    """
    shape = next(iter(volumes.values())).shape
    choice = widgets.Dropdown(options=list(PLANE_AXES), value=plane, description="plane")
    share = widgets.IntSlider(value=50, min=2, max=98, description="place, %", continuous_update=False)
    ticked = widgets.Checkbox(value=bool(overlays), description="overlay", disabled=not overlays)

    def plot() -> Figure:
        axis = 3 - sum(PLANE_AXES[choice.value])
        at = (share.value / 100 - 0.5) * int(shape[axis]) * steps_of(spacing)[axis]
        title = f"{choice.value}, {at:+.0f} mm from the center"
        shown = overlays if ticked.value else None
        return plot_row(volumes, plane=choice.value, at=at, spacing=spacing, overlays=shown, title=title)

    return browser([choice, share, ticked], plot)


def neighborhood_browser(
    volumes: Mapping[str, Volume],
    tokens: Mapping[str, Tensor],
    *,
    stride: int,
    spacing: float = 3.0,
    mask: Tensor | None = None,
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> widgets.VBox:
    """Sliders for a point in mm and for K over `toposlearn.explore.neighborhoods.plot_neighbors`; same arguments."""
    shape = next(iter(volumes.values())).shape
    sliders, count = _point_sliders(shape, spacing, at), _count_slider()

    def plot() -> Figure:
        anchor = token_at([slider.value for slider in sliders], shape, stride, spacing)
        return plot_neighbors(volumes, tokens, anchor, stride=stride, spacing=spacing, k=count.value, mask=mask)

    return browser([*sliders, count], plot)


def triplet_browser(
    volumes: Mapping[str, Volume],
    tokens: Mapping[str, Tensor],
    masks: Sequence[Tensor] | None = None,
    matches: Mapping[str, Tensor] | None = None,
    *,
    stride: int,
    spacing: float = 3.0,
    margin: float = 0.05,
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
    seed: int = 0,
) -> widgets.VBox:
    """Sliders for a point, K and margin, menus for the rest, over `toposlearn.explore.triplets.plot_triplets`.

    Args:
        volumes: name -> image (D, H, W); first a, then b.
        tokens: name -> (N, F), in the same order.
        masks: of a and b, (N,) bool each: tokens that count.
        matches: matcher -> (N,) long, match in b of each token of a. Absent: a and b are one person, token by token.
        stride: voxels a token.
        spacing: mm a voxel.
        margin: at first, in cosine distance.
        at: the point at first (right, front, up), mm from the center.
        seed: of uniform negatives.
    """
    (name_a, volume_a), (name_b, volume_b) = volumes.items()
    (tokens_a, tokens_b), (mask_a, mask_b) = tokens.values(), masks or (None, None)
    sliders, count = _point_sliders(volume_a.shape, spacing, at), _count_slider()
    gap = widgets.FloatSlider(margin, min=0, max=1, step=0.05, description="margin", continuous_update=False)
    ways = widgets.Dropdown(options={"uniform": "uniform", "semi-hard": "semi_hard"}, description="negatives")
    forms, matchers = ("form", ["within", "cross"]), ("matcher", list(matches or {}))
    name, options = matchers if matches else forms
    choice = widgets.Dropdown(options=options, description=name)

    def plot() -> Figure:
        anchor = token_at([slider.value for slider in sliders], volume_a.shape, stride, spacing)
        chosen = {"matches": matches[choice.value]} if matches else {"form": choice.value}
        settings = {"mask_a": mask_a, "mask_b": mask_b, "k": count.value, "margin": gap.value, **chosen}
        draws = torch.Generator().manual_seed(seed)
        triplets = anchor_triplets(tokens_a, tokens_b, anchor, negatives=ways.value, generator=draws, **settings)
        return plot_triplets(volume_a, volume_b, triplets, stride=stride, spacing=spacing, names=(name_a, name_b))

    return browser([*sliders, count, gap, ways, choice], plot)


def steering_browser(gradients: Mapping[str, Vectors], weights: Sequence[float]) -> widgets.VBox:
    """A menu for the part of the network over `toposlearn.explore.gradients.plot_steering`.

    Args:
        gradients: network -> term -> part -> gradient, from `toposlearn.explore.gradients.term_gradients`.
        weights: of the alignment terms.
    """
    parts = next(iter(next(iter(gradients.values())).values()))
    options = {"all": "", **{name: name for name in parts}}
    part = widgets.Dropdown(options=options, description="part")

    def plot() -> Figure:
        tables = {name: steering(each, weights, part.value) for name, each in gradients.items()}
        return plot_steering(tables, f"who steers? part of the network: {part.label}")

    return browser([part], plot)


def _point_sliders(shape: Sequence[int], spacing: float, at: tuple[float, float, float]) -> list[widgets.IntSlider]:
    """Right, front and up, mm from the center of a volume (D, H, W)."""
    reach = [int(size * spacing / 2) - 1 for size in shape]
    return [
        widgets.IntSlider(int(np.clip(value, -end, end)), -end, end, description=name, continuous_update=False)
        for name, value, end in zip(("right, mm", "front, mm", "up, mm"), at, reach, strict=True)
    ]


def _count_slider() -> widgets.IntSlider:
    return widgets.IntSlider(5, 1, 15, description="K", continuous_update=False)


def browser(controls: Sequence[widgets.ValueWidget], plot: Callable[[], Figure]) -> widgets.VBox:
    """Controls above the picture that `plot` gives; the first is drawn in this call, so its errors are the caller's."""
    picture = widgets.Image(format="png")

    def draw(_change: object = None) -> None:
        figure, buffer = plot(), io.BytesIO()
        figure.savefig(buffer, format="png")
        plt.close(figure)
        picture.value = buffer.getvalue()

    for control in controls:
        control.observe(draw, names="value")
    draw()
    return widgets.VBox([widgets.HBox(list(controls), layout=widgets.Layout(flex_flow="row wrap")), picture])
