"""One slice of a head in the person's own frame, with chosen structures in given colors and all others faint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from toposlearn.anatomy import LabelMap
from toposlearn.explore.structures import Plane, own_slice
from toposlearn.topology.frame import Array

FAINT = "#CDD0D6"  # structures that are not chosen
# Okabe-Ito without its yellow, which is lost on white. The first is for the structure in question.
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
_LETTERS = {"coronal": ("L", "R"), "axial": ("L", "R"), "sagittal": ("back", "front")}


def paint(image: npt.NDArray[np.int16], colors: Mapping[int, str]) -> Array:
    """RGB image (H, W, 3) of labels (H, W): `colors` by label, other structures faint, background white."""
    lookup = np.tile(to_rgb(FAINT), (max(int(image.max()), *colors) + 1, 1))
    lookup[0] = 1.0
    for label, color in colors.items():
        lookup[label] = to_rgb(color)
    return np.asarray(lookup[image], dtype=np.float64)


def draw_own_slice(
    ax: Axes, label_map: LabelMap, plane: Plane, at: float, colors: Mapping[int, str], extent: float = 90.0
) -> None:
    """Draw the slice `at` mm of a person's own frame; edges `extent` mm from its origin. Person's left on the left."""
    image = own_slice(label_map, plane, at, extent)
    ax.imshow(paint(image, colors), extent=(-extent, extent, -extent, extent), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    for x, word, side in zip((0.01, 0.99), _LETTERS[plane], ("left", "right"), strict=True):
        ax.text(x, 0.02, word, transform=ax.transAxes, color="0.4", size=8, ha=side)


def show_around(ax: Axes, center: tuple[float, float], reach: float) -> None:
    """Zoom to `reach` mm around a point (across, up) in mm."""
    ax.set_xlim(center[0] - reach, center[0] + reach)
    ax.set_ylim(center[1] - reach, center[1] + reach)
