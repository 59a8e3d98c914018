"""Menus over the figure of one structure, and its head in 3-D, in the browser: nothing is fetched from a network.

The 3-D viewer, NiiVue, and its script come with the package ipyniivue. It weighs megabytes in a page, so it is made
only on request.
"""

import gzip
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import nibabel as nib
import numpy as np
from ipyniivue import NiiVue, SliceType, Volume
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from nibabel.processing import resample_to_output
from scipy import ndimage

from toposlearn.anatomy import BACKGROUND, STRUCTURES, LabelMap, Structure, structure
from toposlearn.explore.structure_explorer import (
    MOST,
    Surroundings,
    compared_structures,
    draw_structure,
    label_colors,
    surroundings,
)
from toposlearn.explore.structures import FAINT
from toposlearn.explore.widgets import LATER, PictureBox
from toposlearn.relations.frame import frame_of
from toposlearn.relations.layout import layout

_DPI = 80
_CHOSEN, _NEIGHBOR, _OTHER = 255, 24, 3  # opacity of a voxel, of 255


class StructureExplorer:
    """Menus for structure, side, K and person over `draw_structure`, the neighbors in words, and the head in 3-D."""

    def __init__(self, subjects: Mapping[str, LabelMap], chosen: Structure, k: int = 5) -> None:
        self.subjects = subjects
        self.layouts = {name: layout(subject) for name, subject in subjects.items()}
        self.known = [part for part in STRUCTURES if compared_structures(self.layouts, part)]
        surroundings(self.layouts, chosen, 1)  # refuses a structure that no one has
        names = {part.name.replace("-", " "): part.name for part in self.known}
        self.controls: dict[str, Any] = {
            "name": widgets.Dropdown(options=names, value=chosen.name, description="structure"),
            "side": widgets.Dropdown(options=["left", "right", "midline"], value=chosen.side, description="side"),
            "k": widgets.IntSlider(k, 1, MOST, description="K", **LATER),
            "person": widgets.Dropdown(description="person"),
            "solid": widgets.ToggleButton(False, description="in 3-D", icon="cube"),
        }
        self.words, self.space = widgets.Label(), widgets.VBox()
        self._viewer: Any = None
        self._head: LabelMap | None = None
        self._around: Surroundings
        self.picture = PictureBox([[*self.controls.values()]], self._plot, self._adjust, self._follow, dpi=_DPI)
        self.box = widgets.VBox([self.picture.box, self.words, self.space])

    @property
    def chosen(self) -> Structure:
        """The structure that the menus name."""
        return structure(self.controls["name"].value, self.controls["side"].value)

    def _adjust(self, _changed: object) -> None:
        """Let sides, K and people follow the structure."""
        name = self.controls["name"].value
        _offer(self.controls["side"], [part.side for part in self.known if part.name == name])
        have = [name for name, subject in self.layouts.items() if self.chosen in subject.structures]
        _offer(self.controls["person"], have)
        self.controls["k"].max = min(MOST, len(compared_structures(self.layouts, self.chosen)))

    def _plot(self) -> Figure:
        self._around = surroundings(self.layouts, self.chosen, self.controls["k"].value)
        return draw_structure(self.subjects, self.layouts, self._around, self.controls["person"].value)

    def _follow(self) -> None:
        """State the neighbors and show the head in 3-D, or take it away."""
        self.words.value = self._around.in_words()
        if self.controls["solid"].value:
            self._show_solid(self.subjects[self.controls["person"].value], label_colors(self._around))
        elif self._viewer is not None:
            self.space.children = ()
            self._viewer.close()
            self._viewer = self._head = None

    def _show_solid(self, head: LabelMap, colors: Mapping[int, str]) -> None:
        """Show a head in 3-D; of the same head only the colors are sent again."""
        if self._viewer is None:
            self._viewer = NiiVue(
                height=420,  # pixels
                slice_type=SliceType.RENDER,
                back_color=(1, 1, 1, 1),
                show_3d_crosshair=False,
                is_orient_cube=True,
                gradient_amount=0.6,
                is_nearest_interpolation=True,
                drag_and_drop_enabled=False,
                show_legend=False,
            )
        table = color_table(head, colors)
        if head is self._head:
            self._viewer.volumes[0].set_colormap_label(table)
        else:
            volume = Volume(name=f"{head.name}.nii.gz", data=label_nifti(head), colorbar_visible=False)
            volume.set_colormap_label(table)
            self._viewer.load_volumes([volume])
            self._head = head
        self.space.children = (self._viewer,)


def structure_explorer(subjects: Mapping[str, LabelMap], chosen: Structure, k: int = 5) -> widgets.VBox:
    """The widget of `StructureExplorer`, with the structure and the number of neighbors at first."""
    return StructureExplorer(subjects, chosen, k).box


def _offer(menu: widgets.Dropdown, options: list[str]) -> None:
    """Offer other options; what was chosen stays where it can."""
    before = menu.value
    menu.options = options
    menu.value = before if before in options else options[0]


def label_nifti(head: LabelMap) -> bytes:
    """A head as a compressed NIfTI file in its own frame (mm, RAS): ranks of its labels, 0 for background."""
    frame = frame_of(head)
    own = nib.affines.from_matvec(frame.axes, -frame.axes @ frame.origin) @ head.affine
    ranks = np.searchsorted(_labels(head), head.labels).astype(np.uint8)
    cropped = nib.Nifti1Image(ranks, own).slicer[ndimage.find_objects((head.labels > 0).astype(np.uint8))[0]]
    upright = resample_to_output(cropped, [float(head.spacing.min())] * 3, order=0)
    return gzip.compress(upright.to_bytes(), 6)


def color_table(head: LabelMap, colors: Mapping[int, str]) -> dict[str, list[int]]:
    """Colors for NiiVue: red, green, blue, opacity (0 to 255), rank of the label; the first of `colors` is opaque."""
    labels = _labels(head)
    rgb = np.array([to_rgb(colors.get(label, FAINT)) for label in labels])
    red, green, blue = np.rint(255 * rgb.T).astype(int).tolist()
    white = (label for label, each in head.structures.items() if each.name == "cerebral-white-matter")
    clear = {BACKGROUND, *white}  # what lies between the cortex and the nuclei hides both
    opacity = dict.fromkeys(labels, _OTHER) | dict.fromkeys(clear, 0) | dict.fromkeys(colors, _NEIGHBOR)
    opacity[next(iter(colors))] = _CHOSEN
    alpha = [opacity[label] for label in labels]
    return {"R": red, "G": green, "B": blue, "A": alpha, "I": list(range(len(labels)))}


def _labels(head: LabelMap) -> list[int]:
    """Background and the labels that a head holds, in increasing order."""
    return [BACKGROUND, *sorted(head.volumes)]
