"""Menus over the figure of one structure, and its head in 3-D: a thin shell over `draw_structure`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets
from matplotlib import pyplot as plt

from toposlearn.anatomy import STRUCTURES, LabelMap, Structure, structure
from toposlearn.explore.quiet import Quiet
from toposlearn.explore.structure_explorer import MOST, draw_structure, label_colors
from toposlearn.explore.structure_measures import (
    Surroundings,
    compared_structures,
    describe_surroundings,
    surroundings,
)
from toposlearn.relations.layout import layout

if TYPE_CHECKING:
    from toposlearn.explore.structure_3d import StructureView

DPI = 80


class StructureExplorer(Quiet):
    """Menus and picture. The first picture is drawn here, so its errors are the caller's.

    Attributes:
        controls: name, side, k, person and solid (in 3-D or not).
        box: the widget to show.
    """

    def __init__(self, subjects: Mapping[str, LabelMap], chosen: Structure, k: int = 5) -> None:
        self.subjects = subjects
        self.layouts = {name: layout(subject) for name, subject in subjects.items()}
        self.known = [part for part in STRUCTURES if compared_structures(self.layouts, part)]
        self.controls = _controls(self.known)
        self.picture, self.words = widgets.Image(format="png"), widgets.HTML()
        self.space = widgets.VBox()
        self._view: StructureView | None = None
        for name, control in self.controls.items():
            control.observe(self._side_menu if name == "name" else self._draw, names="value")
        self._choose(chosen, k)
        menus = widgets.HBox([*self.controls.values()], layout={"flex_flow": "row wrap"})
        self.box = widgets.VBox([menus, self.picture, self.words, self.space])

    @property
    def chosen(self) -> Structure:
        """What the menus say."""
        return structure(self.controls["name"].value, self.controls["side"].value)

    def _choose(self, chosen: Structure, k: int) -> None:
        if chosen not in self.known:
            raise ValueError(f"chosen must be a structure that somebody has: nobody has {chosen.full_name}")
        with self._silence():
            self.controls["name"].value, self.controls["k"].value = chosen.name, k
            self._side_menu()
            self.controls["side"].value = chosen.side
        self._draw()

    def _side_menu(self, _change: object = None) -> None:
        """Sides on which somebody has the structure; the side that was chosen stays where there is one."""
        quiet, menu = self._quiet, self.controls["side"]
        sides = [part.side for part in self.known if part.name == self.controls["name"].value]
        with self._silence():
            before = menu.value
            menu.options = sides
            menu.value = before if before in sides else sides[0]
        self._quiet = quiet
        self._draw()

    def _draw(self, _change: object = None) -> None:
        if self._quiet:
            return
        try:
            with self._silence():
                found = self._measure()
            self._show(found)
        except Exception as error:
            self.words.value = escape(f"Error: {error}")
            raise

    def _measure(self) -> Surroundings:
        """What the menus ask for; K and the menu of people follow the structure."""
        count, menu = self.controls["k"], self.controls["person"]
        count.max = min(MOST, len(compared_structures(self.layouts, self.chosen)))
        found = surroundings(self.layouts, self.chosen, count.value)
        before = menu.value
        menu.options = found.subjects
        menu.value = before if before in found.subjects else found.subjects[0]
        return found

    def _show(self, found: Surroundings) -> None:
        subject = self.controls["person"].value
        figure, buffer = draw_structure(self.subjects, self.layouts, found, subject), io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI)
        plt.close(figure)
        self.picture.value, self.words.value = buffer.getvalue(), escape(describe_surroundings(found))
        if self.controls["solid"].value:
            self._show_solid(self.subjects[subject], label_colors(found))
        elif self._view is not None:
            self.space.children = ()
            self._view.close()
            self._view = None

    def _show_solid(self, head: LabelMap, colors: Mapping[int, str]) -> None:
        from toposlearn.explore.structure_3d import StructureView  # megabytes: only for those who look

        self._view = self._view or StructureView()
        self._view.show(head, colors)
        self.space.children = (self._view.widget,)


def structure_explorer(subjects: Mapping[str, LabelMap], chosen: Structure, k: int = 5) -> widgets.VBox:
    """Menus for structure, side, K and person over `toposlearn.explore.structure_explorer.plot_structure`.

    The head in 3-D is made when it is asked for.

    Args:
        subjects: name -> label map; they may have different structures.
        chosen: the structure at first.
        k: neighbors at first.
    """
    return StructureExplorer(subjects, chosen, k).box


def _controls(known: list[Structure]) -> dict[str, widgets.ValueWidget]:
    names = list(dict.fromkeys(part.name for part in known))
    options = [(name.replace("-", " "), name) for name in names]
    return {
        "name": widgets.Dropdown(options=options, description="structure"),
        "side": widgets.Dropdown(options=["left", "right", "midline"], description="side"),
        "k": widgets.IntSlider(5, 1, MOST, description="K", continuous_update=False),
        "person": widgets.Dropdown(description="person"),
        "solid": widgets.ToggleButton(False, description="in 3-D", icon="cube"),
    }
