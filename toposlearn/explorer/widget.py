"""The explorer with menus, sliders and a picture to click on: a thin shell over `draw_answer`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets
from matplotlib import pyplot as plt

from toposlearn.explore.quiet import Quiet
from toposlearn.explorer.explorer import View, answer, describe, first_view, token_near
from toposlearn.explorer.figure import draw_answer
from toposlearn.explorer.layout import ClickArea, click_areas, point_of_click
from toposlearn.explorer.scene import Scene

DPI = 90
_WAYS = ("right, mm", "front, mm", "up, mm")


class ClickablePicture(anywidget.AnyWidget):
    """A PNG that reports clicks.

    Attributes:
        png: the picture.
        words: what it says, as its alternative text and below it.
        clicked: fractions (x, y) of the picture from its lower left corner, and the number of clicks so far.
    """

    _esm = Path(__file__).parent / "clickable_picture.js"
    png = traitlets.Bytes().tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)
    clicked = traitlets.List(traitlets.Float(), [0.0, 0.0, 0.0], minlen=3, maxlen=3).tag(sync=True)


class Explorer(Quiet):
    """Controls and picture of one scene. The first picture is drawn here, so its errors are the caller's.

    Attributes:
        box: the widget to show.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.areas: tuple[ClickArea, ...] = ()
        self.controls = _controls(scene)
        self.sliders = _sliders(scene)
        self.picture = ClickablePicture()
        for control in (*self.controls.values(), *self.sliders):
            control.observe(self._draw, names="value")
        self.picture.observe(self._click, names="clicked")
        self.move_to(scene.positions[scene.mask[0]].mean(dim=0).tolist())
        rows = [widgets.HBox(part, layout={"flex_flow": "row wrap"}) for part in self._rows()]
        hint = "Click on a slice of person a, or move the sliders (arrow keys work): all planes follow."
        self.box = widgets.VBox([*rows, widgets.Label(hint), self.picture])

    def _rows(self) -> list[list[widgets.Widget]]:
        menus = [control for name, control in self.controls.items() if name != "k"]
        return [menus, [*self.sliders, self.controls["k"]]]

    @property
    def view(self) -> View:
        """What the menus say."""
        return View(**{name: control.value for name, control in self.controls.items()})

    def move_to(self, point: list[float]) -> None:
        """Go to the token at a point (right, front, up) in mm."""
        center = self.scene.positions[token_near(self.scene, point)]
        with self._silence():
            for slider, value in zip(self.sliders, center.tolist(), strict=True):
                slider.value = value
        self._draw()

    def _click(self, change: dict[str, Any]) -> None:
        point = point_of_click(self.areas, *change["new"][:2])
        if point is not None:  # a click between the slices, or on person b, chooses nothing
            self.move_to(list(point))

    def _draw(self, _change: object = None) -> None:
        if self._quiet:
            return
        try:
            self._show(token_near(self.scene, [slider.value for slider in self.sliders]))
        except Exception as error:
            self.picture.words = f"Error: {error}"
            raise

    def _show(self, token: int) -> None:
        view = self.view
        found = answer(self.scene, view, token)
        figure, buffer = draw_answer(self.scene, view, found), io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI)
        self.areas = click_areas(figure)
        plt.close(figure)
        who, *rest = describe(self.scene, view, found)  # names stay as they are written
        self.picture.words = " ".join([f"{who}.", *(f"{text[0].upper()}{text[1:]}." for text in rest)])
        self.picture.png = buffer.getvalue()


def explorer(scene: Scene) -> widgets.VBox:
    """Menus, sliders and a picture to click on, over `toposlearn.explorer.figure.plot_explorer`."""
    return Explorer(scene).box


def _controls(scene: Scene) -> dict[str, widgets.ValueWidget]:
    """A control for each field of `View`, by its name."""
    view, subjects = (
        first_view(scene),
        list(zip(scene.subjects.subjects, range(len(scene.subjects.subjects)), strict=True)),
    )
    fewest = int(scene.mask.sum(dim=1).min())

    def menu(description: str, options: Any, value: Any) -> widgets.Dropdown:
        return widgets.Dropdown(options=options, value=value, description=description, layout={"width": "205px"})

    return {
        "network": menu("network", scene.networks, view.network),
        "person_a": menu("person a", subjects, view.subject_a),
        "person_b": menu("person b", subjects, view.subject_b),
        "modality_a": menu("modality a", scene.subjects.modalities, view.modality_a),
        "modality_b": menu("modality b", scene.subjects.modalities, view.modality_b),
        "k": widgets.IntSlider(view.k, 1, min(15, fewest - 1), description="K", continuous_update=False),
        "position": menu("position is", [("grid", "grid"), ("centered, scaled", "centered")], view.position),
    }


def _sliders(scene: Scene) -> list[widgets.FloatSlider]:
    """One for each way, in steps of a token."""
    return [
        widgets.FloatSlider(
            value=float(places.min()),
            min=float(places.min()),
            max=float(places.max()),
            step=scene.token_size,
            description=name,
            readout_format="+.0f",
            continuous_update=False,
        )
        for name, places in zip(_WAYS, scene.positions.T, strict=True)
    ]
