"""The same anatomical place in several people: where each head's true map to the template says that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from toposlearn.data.pose import voxel_coordinates
from toposlearn.explore.slices import Volume, orthogonal, plot_panels
from toposlearn.explore.structures import PLANE_AXES


def place_of(to_template: Tensor, point: Sequence[float], spacing: float = 3.0) -> tuple[float, float, float]:
    """Where a template point (right, front, up) lies in a head: mm from the center of its volume.

    Args:
        to_template: (3, D, H, W), template mm of each voxel.
        point: template mm.
        spacing: mm a voxel.

    Returns:
        The center of the voxel whose template coordinates are nearest.
    """
    if to_template.ndim != 4 or len(to_template) != 3:
        raise ValueError(f"to_template must be (3, D, H, W), got {tuple(to_template.shape)}")
    away = (to_template - torch.as_tensor(point, dtype=to_template.dtype)[:, None, None, None]).square().sum(dim=0)
    place = voxel_coordinates(to_template.shape[1:], spacing).flatten(1)[:, away.argmin()]
    first, second, third = place.tolist()
    return first, second, third


def plot_places(
    volumes: Mapping[str, Volume],
    to_template: Mapping[str, Tensor],
    point: Sequence[float],
    *,
    spacing: float = 3.0,
    title: str = "",
) -> Figure:
    """The three planes of each person through one template point, a row a person; a cross marks the place.

    Args:
        volumes: person -> (D, H, W).
        to_template: person -> (3, D, H, W), template mm of each voxel.
        point: template mm (right, front, up).
        spacing: mm a voxel.
        title: what to see; by default the point.
    """
    places = {name: place_of(to_template[name], point, spacing) for name in volumes}
    rows = [orthogonal(volumes[name], at=places[name], spacing=spacing, name=name) for name in volumes]
    text = f"one place, template ({', '.join(f'{value:+.0f}' for value in point)}) mm, in {len(volumes)} people"
    figure = plot_panels([panel for row in rows for panel in row], 3, title or text)
    for index, ax in enumerate(figure.axes):
        place = list(places.values())[index // 3]
        across, up = PLANE_AXES[rows[index // 3][index % 3].plane]
        ax.plot(place[across], place[up], "+", color="#F0E442", ms=16, mew=2)
    return figure
