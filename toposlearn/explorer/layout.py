"""Where the explorer's slices lie in its picture, and which place in the head a click on the picture means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toposlearn.explore.structures import PLANE_AXES, Plane

SIZE = (14.4, 8.6)  # inches
LEFT, RIGHT, BOTTOM, TOP, GAP, MIDDLE = 0.055, 0.995, 0.065, 0.865, 0.006, 0.022  # fractions of the picture
ROWS = 3


@dataclass(frozen=True)
class ClickArea:
    """Where a slice of person a lies in the picture, and which plane of the head it shows.

    Attributes:
        box: left, bottom, right, top, as fractions of the picture, from its lower left corner.
        plane: sagittal, coronal or axial.
        at: the plane's place in mm.
        extent: left, right, lower and upper edge in mm.
    """

    box: tuple[float, float, float, float]
    plane: Plane
    at: float
    extent: tuple[float, float, float, float]

    def point(self, x: float, y: float) -> tuple[float, float, float] | None:
        """The place (right, front, up) in mm under a click at fractions of the picture; None outside this slice."""
        left, bottom, right, top = self.box
        across, up = (x - left) / (right - left), (y - bottom) / (top - bottom)
        if not (0 <= across <= 1 and 0 <= up <= 1):
            return None
        place = [self.at] * 3
        low, high, lower, upper = self.extent
        first, second = PLANE_AXES[self.plane]
        place[first], place[second] = low + across * (high - low), lower + up * (upper - lower)
        return place[0], place[1], place[2]


def point_of_click(areas: Sequence[ClickArea], x: float, y: float) -> tuple[float, float, float] | None:
    """The place (right, front, up) in mm under a click; None where no slice of person a is."""
    return next((point for area in areas if (point := area.point(x, y)) is not None), None)


def click_areas(figure: Figure) -> tuple[ClickArea, ...]:
    """The slices of person a in a picture of `plot_explorer`, images and colors."""
    areas = []
    for ax in figure.axes:
        row, plane, at = str(ax.get_label()).split("|")
        if row in ("0", "1"):
            ax.apply_aspect()
            box = ax.get_position()
            (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
            inside = (float(box.x0), float(box.y0), float(box.x1), float(box.y1))
            areas.append(ClickArea(inside, cast("Plane", plane), float(at), (left, right, low, high)))
    return tuple(areas)


def add_slice(figure: Figure, row: int, column: int, plane: Plane, at: float) -> Axes:
    """Axes at one of 3 x 6 places, images and colors apart; labeled with row, plane and place in mm."""
    width = (RIGHT - LEFT - MIDDLE - 4 * GAP) / 6
    height = (TOP - BOTTOM - 2 * 0.03) / ROWS
    left = LEFT + column * width + (column - column // 3) * GAP + (MIDDLE if column >= 3 else 0)
    bottom = BOTTOM + (ROWS - 1 - row) * (height + 0.03)
    ax = figure.add_axes((left, bottom, width, height), label=f"{row}|{plane}|{at!r}")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_facecolor("black")
    ax.spines[:].set_visible(False)
    return ax
