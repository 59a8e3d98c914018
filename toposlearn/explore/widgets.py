"""Sliders over the plot functions: thin shells that catch no exception."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from toposlearn.explore.neighborhoods import plot_neighbors, token_at
from toposlearn.explore.slices import PLANE_AXES, Spacing, Volume, plot_row, steps_of
from toposlearn.explore.structures import Plane


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

    return _browser([choice, share, ticked], plot)


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
    first, second, third = next(iter(volumes.values())).shape
    shape = (int(first), int(second), int(third))
    reach = [int(size * spacing / 2) - 1 for size in shape]
    sliders = [
        widgets.IntSlider(int(np.clip(value, -end, end)), -end, end, description=name, continuous_update=False)
        for name, value, end in zip(("right, mm", "front, mm", "up, mm"), at, reach, strict=True)
    ]
    count = widgets.IntSlider(5, 1, 15, description="K", continuous_update=False)

    def plot() -> Figure:
        anchor = token_at([slider.value for slider in sliders], shape, stride, spacing)
        return plot_neighbors(volumes, tokens, anchor, stride=stride, spacing=spacing, k=count.value, mask=mask)

    return _browser([*sliders, count], plot)


def _browser(controls: Sequence[widgets.ValueWidget], plot: Callable[[], Figure]) -> widgets.VBox:
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
    return widgets.VBox([widgets.HBox(list(controls)), picture])
