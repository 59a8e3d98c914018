"""One slice of a head in the person's own frame, with chosen structures in given colors and all others faint."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from toposlearn.anatomy import LabelMap
from toposlearn.explore.structures import Plane, own_slice, paint

# Okabe-Ito without its yellow, which is lost on white. The first is for the structure in question.
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
_LETTERS = {"coronal": ("L", "R"), "axial": ("L", "R"), "sagittal": ("back", "front")}


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
