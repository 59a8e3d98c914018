"""The explorer with menus, sliders and a picture to click on: a thin shell over `draw_answer`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets
from matplotlib.figure import Figure

from toposlearn.explore.html_page import png_of
from toposlearn.explorer.answers import View, answer, describe, first_view, token_near
from toposlearn.explorer.figure import draw_answer, point_of_click
from toposlearn.explorer.scene import Scene

DPI = 90


class ClickablePicture(anywidget.AnyWidget):
    """A PNG that reports clicks: fractions (x, y) of the picture from its lower left corner, and their count so far."""

    _esm = Path(__file__).parent / "clickable_picture.js"
    png = traitlets.Bytes().tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)  # alternative text, also shown below the picture
    clicked = traitlets.List(traitlets.Float(), [0.0, 0.0, 0.0], minlen=3, maxlen=3).tag(sync=True)


class Explorer:
    """Controls and picture of one scene, in the widget `box`. Errors of the first picture are raised here."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.controls, self.sliders, self.picture = _controls(scene), _sliders(scene), ClickablePicture()
        self.figure: Figure | None = None
        self._moving = False  # the program moves several sliders: the picture is drawn once, afterwards
        for control in (*self.controls.values(), *self.sliders):
            control.observe(self._draw, names="value")
        self.picture.observe(self._click, names="clicked")
        self.move_to(scene.positions[scene.mask[0]].mean(dim=0).tolist())
        menus = [control for name, control in self.controls.items() if name != "k"]
        hint = widgets.Label("Click on a slice of person a, or move the sliders (arrow keys work): all planes follow.")
        rows = (menus, [*self.sliders, self.controls["k"]])
        boxes = [widgets.HBox(row, layout={"flex_flow": "row wrap"}) for row in rows]
        self.box = widgets.VBox([*boxes, hint, self.picture])

    @property
    def view(self) -> View:
        """The view that the menus define."""
        return View(**{name: control.value for name, control in self.controls.items()})

    def move_to(self, point: Sequence[float]) -> None:
        """Show the token at a point (right, front, up) in mm."""
        center = self.scene.positions[token_near(self.scene, point)]
        self._moving = True
        for slider, value in zip(self.sliders, center.tolist(), strict=True):
            slider.value = value
        self._moving = False
        self._draw()

    def _click(self, change: dict[str, Any]) -> None:
        point = self.figure and point_of_click(self.figure, *change["new"][:2])
        if point:  # a click between the slices, or on person b, chooses nothing
            self.move_to(point)

    def _draw(self, _change: object = None) -> None:
        if self._moving:
            return
        try:
            token = token_near(self.scene, [slider.value for slider in self.sliders])
            reply = answer(self.scene, self.view, token)
            self.figure = draw_answer(self.scene, self.view, reply)
            png = png_of(self.figure, DPI)
        except Exception as error:
            self.picture.words = f"Error: {error}"
            raise
        people, *rest = describe(self.scene, self.view, reply)  # names stay as they are written
        self.picture.words = " ".join([f"{people}.", *(f"{text[0].upper()}{text[1:]}." for text in rest)])
        self.picture.png = png


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
        "k": widgets.IntSlider(view.k, 1, most, description="K", continuous_update=False),
        "position": menu("position is", [("grid", "grid"), ("centered, scaled", "centered")], view.position),
    }


def _sliders(scene: Scene) -> list[widgets.FloatSlider]:
    """One slider per axis, in steps of a token."""
    settings = {"step": scene.token_size, "readout_format": "+.0f", "continuous_update": False}
    sliders = []
    for name, places in zip(("right, mm", "front, mm", "up, mm"), scene.positions.T, strict=True):
        low, high = float(places.min()), float(places.max())
        sliders.append(widgets.FloatSlider(low, min=low, max=high, description=name, **settings))
    return sliders
