"""One head in 3-D, in the browser: chosen structures in color, all others faint. Nothing is fetched from a network.

The viewer, NiiVue, and its script come with the package ipyniivue. It weighs megabytes in a page, so it is made only
when somebody asks for it.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

import nibabel
import numpy as np
from ipyniivue import NiiVue, SliceType, Volume
from matplotlib.colors import to_rgb
from scipy import ndimage

from toposlearn.anatomy import BACKGROUND, LabelMap
from toposlearn.explore.structures import FAINT
from toposlearn.relations.frame import frame_of

HEIGHT = 420  # pixels
_CHOSEN, _NEIGHBOR, _OTHER = 255, 24, 3  # opacity of a voxel, of 255


def label_nifti(head: LabelMap) -> bytes:
    """A head held upright, as a compressed NIfTI file: ranks of its labels in a byte each, in its own frame (mm, RAS).

    Background is 0, the smallest label 1, and so on: the viewer draws tables without gaps only. The nearest voxel is
    taken, on a grid as fine as the head's.
    """
    frame, step = frame_of(head), float(head.spacing.min())
    voxels = np.argwhere(head.labels)
    own = frame.coordinates(voxels @ head.affine[:3, :3].T + head.affine[:3, 3])
    low, high = own.min(axis=0), own.max(axis=0)
    inverse = np.linalg.inv(head.affine)
    matrix = inverse[:3, :3] @ frame.axes.T  # own mm to voxels
    offset = matrix @ low + inverse[:3, :3] @ frame.origin + inverse[:3, 3]
    shape = tuple(np.ceil((high - low) / step).astype(int) + 1)
    ranks = np.searchsorted(_labels(head), head.labels).astype(np.uint8)
    upright = ndimage.affine_transform(ranks, matrix * step, offset, shape, order=0)
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = low
    return gzip.compress(nibabel.Nifti1Image(upright, affine).to_bytes(), 6)


def color_table(head: LabelMap, colors: Mapping[int, str]) -> dict[str, list[int]]:
    """Colors as NiiVue takes them: red, green, blue, opacity (0 to 255) and rank of the label, background first.

    The first of `colors` is opaque; the others let it shine through.
    """
    labels, chosen = _labels(head), next(iter(colors))
    rgb = [[round(255 * part) for part in to_rgb(colors.get(label, FAINT))] for label in labels]
    red, green, blue = (list(channel) for channel in zip(*rgb, strict=True))
    white = (label for label, each in head.structures.items() if each.name == "cerebral-white-matter")
    clear = {BACKGROUND, *white}  # what lies between the cortex and the nuclei hides both
    opacity = dict.fromkeys(labels, _OTHER) | dict.fromkeys(clear, 0) | dict.fromkeys(colors, _NEIGHBOR)
    alpha = [_CHOSEN if label == chosen else opacity[label] for label in labels]
    return {"R": red, "G": green, "B": blue, "A": alpha, "I": list(range(len(labels)))}


def _labels(head: LabelMap) -> list[int]:
    """Background and the labels that a head holds, in increasing order."""
    return [BACKGROUND, *sorted(head.volumes)]


class StructureView:
    """The viewer of one head at a time.

    Attributes:
        widget: to be shown.
    """

    def __init__(self) -> None:
        self.widget: Any = NiiVue(
            height=HEIGHT,
            slice_type=SliceType.RENDER,
            back_color=(1, 1, 1, 1),
            show_3d_crosshair=False,
            is_orient_cube=True,
            is_colorbar=False,
            gradient_amount=0.6,
            is_nearest_interpolation=True,
            drag_and_drop_enabled=False,
            show_legend=False,
        )
        self._head: LabelMap | None = None

    def show(self, head: LabelMap, colors: Mapping[int, str]) -> None:
        """Show a head; of the same head only the colors are sent again."""
        table = color_table(head, colors)
        if head is not self._head:
            volume = Volume(name=f"{head.name}.nii.gz", data=label_nifti(head), colorbar_visible=False)
            volume.set_colormap_label(table)
            self.widget.load_volumes([volume])
            self._head = head
        else:
            self.widget.volumes[0].set_colormap_label(table)

    def close(self) -> None:
        """Give the memory back."""
        self.widget.close()
