"""Sliders over the plot functions: thin shells, an exception shows in the widget's output and fails a headless run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib import pyplot as plt
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

    def show(plane: Plane, share: int, ticked: bool) -> None:
        axis = 3 - sum(PLANE_AXES[plane])
        length = int(shape[axis]) * steps_of(spacing)[axis]
        at = (share / 100 - 0.5) * length
        plot_row(
            volumes,
            plane=plane,
            at=at,
            spacing=spacing,
            overlays=overlays if ticked else None,
            title=f"{plane}, {at:+.0f} mm from the center",
        )
        plt.show()

    view = widgets.interactive_output(show, {"plane": choice, "share": share, "ticked": ticked})
    return widgets.VBox([widgets.HBox([choice, share, ticked]), view])


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
    sliders: dict[str, Any] = {
        name: widgets.IntSlider(int(np.clip(value, -end, end)), -end, end, description=name, continuous_update=False)
        for name, value, end in zip(("right, mm", "front, mm", "up, mm"), at, reach, strict=True)
    }
    count = widgets.IntSlider(5, 1, 15, description="K", continuous_update=False)

    def show(right: int, front: int, up: int, k: int) -> None:
        anchor = token_at((right, front, up), shape, stride, spacing)
        plot_neighbors(volumes, tokens, anchor, stride=stride, spacing=spacing, k=k, mask=mask)
        plt.show()

    names = dict(zip(("right", "front", "up"), sliders.values(), strict=True))
    view = widgets.interactive_output(show, {**names, "k": count})
    return widgets.VBox([widgets.HBox([*sliders.values(), count]), view])
