"""The explorer with menus, sliders and a picture to click on: a thin shell over `draw_answer`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets
from matplotlib.figure import Figure

from toposlearn.explore.widgets import DIRECTIONS, LATER, PictureBox, handle_messages_here
from toposlearn.explorer.answers import Answer, View, answer, describe, first_view, in_words, token_near
from toposlearn.explorer.figure import draw_answer, point_of_click
from toposlearn.explorer.pair_errors import pair_table_html
from toposlearn.explorer.scene import Scene

DPI = 90
ANYWHERE = "anywhere (click, sliders)"


class ClickablePicture(anywidget.AnyWidget):
    """A PNG that reports clicks: fractions (x, y) of the picture from its lower left corner, and their count so far."""

    _esm = Path(__file__).parent / "clickable_picture.js"
    value = traitlets.Bytes().tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)  # alternative text, also shown below the picture
    clicked = traitlets.List(traitlets.Float(), [0.0, 0.0, 0.0], minlen=3, maxlen=3).tag(sync=True)


class Explorer:
    """Controls and picture of one scene, in the widget `box`. Errors of the first picture are raised here."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.controls, self.sliders, self.picture = _controls(scene), _sliders(scene), ClickablePicture()
        self.figure: Figure
        self._reply: Answer
        self._point: Sequence[float] = scene.positions[scene.mask[0]].mean(dim=0).tolist()  # mm
        names = sorted((in_words(name), name) for name in scene.points)
        self.point = widgets.Dropdown(options=[(ANYWHERE, ""), *names], description="place", layout={"width": "330px"})
        self.table = widgets.HTML()
        menus = [control for name, control in self.controls.items() if name != "k"]
        hint = widgets.Label("Click on a slice of person a, or move the sliders (arrow keys work): all planes follow.")
        if names:
            self.point.value = names[0][1]
        rows = (menus, [*self.sliders, self.controls["k"]], [*[self.point] * bool(names), hint])
        self.shown = PictureBox(rows, self._plot, self._adjust, self._describe, picture=self.picture, dpi=DPI)
        self.picture.observe(self._click, names="clicked")
        handle_messages_here(self.picture)
        self.box = self.shown.box
        self.box.children = (*self.box.children, self.table)

    @property
    def view(self) -> View:
        """The view that the menus define."""
        return View(**{name: control.value for name, control in self.controls.items()})

    def _adjust(self, changed: widgets.Widget | None) -> None:
        """Let the sliders follow a click or a chosen point, which they leave; at first they are in the middle."""
        if changed is self.picture or changed in self.sliders:
            self.point.value = ""
        if changed in self.sliders:
            self._point = [slider.value for slider in self.sliders]
        elif self.point.value:
            self._point = self.scene.points[self.point.value][self.view.subject_a].tolist()
        center = self.scene.positions[token_near(self.scene, self._point)]
        for slider, value in zip(self.sliders, center.tolist(), strict=True):
            slider.value = value

    def _click(self, change: dict[str, Any]) -> None:
        point = point_of_click(self.figure, *change["new"][:2])
        if point:  # a click between the slices, or on person b, chooses nothing
            self._point = point
            self.shown.draw(self.picture)

    def _plot(self) -> Figure:
        where = self.point.value or token_near(self.scene, [slider.value for slider in self.sliders])
        self._reply = answer(self.scene, self.view, where)
        self.figure = draw_answer(self.scene, self.view, self._reply)
        return self.figure

    def _describe(self) -> None:
        people, *rest = describe(self.scene, self.view, self._reply)  # names stay as they are written
        self.picture.words = " ".join([f"{people}.", *(f"{text[0].upper()}{text[1:]}." for text in rest)])
        self.table.value = pair_table_html(self.scene, self.view, self._reply.name)


def explorer(scene: Scene) -> widgets.VBox:
    """Menus, sliders and a picture to click on, over `toposlearn.explorer.figure.plot_explorer`."""
    return Explorer(scene).box


def _controls(scene: Scene) -> dict[str, widgets.ValueWidget]:
    """A control for each field of `View`, by its name."""
    view = first_view(scene)
    subjects = [(name, index) for index, name in enumerate(scene.subjects.names)]
    most = min(15, int(scene.mask.sum(dim=1).min()) - 1)

    def menu(description: str, options: Any, value: Any) -> widgets.Dropdown:
        return widgets.Dropdown(options=options, value=value, description=description, layout={"width": "205px"})

    return {
        "network": menu("network", scene.networks, view.network),
        "subject_a": menu("person a", subjects, view.subject_a),
        "subject_b": menu("person b", subjects, view.subject_b),
        "modality_a": menu("modality a", scene.subjects.modalities, view.modality_a),
        "modality_b": menu("modality b", scene.subjects.modalities, view.modality_b),
        "k": widgets.IntSlider(view.k, 1, most, description="K", **LATER),
        "position": menu("position is", [("grid", "grid"), ("centered, scaled", "centered")], view.position),
    }


def _sliders(scene: Scene) -> list[widgets.FloatSlider]:
    """One slider per axis, in steps of a token."""
    settings = {"step": scene.token_size, "readout_format": "+.0f", **LATER}
    ends = zip(DIRECTIONS, *(scene.positions.aminmax(dim=0)), strict=True)
    return [
        widgets.FloatSlider(low.item(), min=low.item(), max=high.item(), description=name, **settings)
        for name, low, high in ends
    ]
