"""A slider through the heads of several people: a thin shell over `toposlearn.explore.structures.plot_people`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
from matplotlib import pyplot as plt

from toposlearn.anatomy import LabelMap
from toposlearn.explore.structures import STRUCTURE_COLORS, plot_people


def people_browser(
    subjects: Mapping[str, LabelMap], structures: Sequence[str] = tuple(STRUCTURE_COLORS), at: int = 6
) -> widgets.VBox:
    """Choose the plane and its place in mm. The first picture is drawn in this call, so its errors are the caller's."""
    plane = widgets.Dropdown(options=["coronal", "axial", "sagittal"], description="plane")
    place = widgets.IntSlider(value=at, min=-40, max=40, step=2, description="place (mm)", continuous_update=False)
    picture = widgets.Image(format="png")

    def draw(_change: object = None) -> None:
        figure = plot_people(subjects, structures, plane.value, place.value)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        plt.close(figure)
        picture.value = buffer.getvalue()

    for control in (plane, place):
        control.observe(draw, names="value")
    draw()
    return widgets.VBox([widgets.HBox([plane, place]), picture])
