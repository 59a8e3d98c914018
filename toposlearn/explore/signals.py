"""Why modalities differ: what the timing of an MR sequence makes of each tissue, as curves, bars and a slice.

The slice is imaged from a map of tissues by the equations of `toposlearn.cohort.contrast`: no partial volume, no bias.
Signals are in units of fully relaxed water.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.anatomy import STRUCTURES
from toposlearn.cohort import contrast
from toposlearn.cohort.contrast import SEQUENCES, PulseSequence
from toposlearn.cohort.head import load_head
from toposlearn.cohort.lesions import KINDS, LESION_LABELS
from toposlearn.cohort.recipes import T1CE
from toposlearn.cohort.tissue import ROWS
from toposlearn.data.gate.quality import read_ras
from toposlearn.data.manifest import Record
from toposlearn.explore.slices import Panel, Spacing, Volume, draw_panel, steps_of
from toposlearn.explore.structures import Plane

NOISE = 0.01  # standard deviation, in units of fully relaxed water
_PARTS = {  # tissue of each label of a lesion map
    LESION_LABELS["core"]: "necrosis",
    LESION_LABELS["edema"]: "edema",
    LESION_LABELS["enhancing"]: "enhancing",
    LESION_LABELS["infarct"]: "infarct",
    LESION_LABELS["white matter lesion"]: "lesion_white",
}
_SICK = [ROWS[tissue] for tissue in _PARTS.values()]
_MASS = KINDS["high-grade-glioma"].parts  # from the center outwards, edges in radii


class Shown(NamedTuple):
    """A tissue of the pictures: its name among the tissues of the simulator, and its color."""

    tissue: str
    color: str


SHOWN: Mapping[str, Shown] = {
    "white matter": Shown("white", "#0072B2"),
    "gray matter": Shown("cortex", "#009E73"),
    "fluid": Shown("csf", "#56B4E9"),
    "edema": Shown("edema", "#D55E00"),
    "tumor rim": Shown("enhancing", "#E69F00"),
    "fresh stroke": Shown("infarct", "#CC79A7"),
}
_IN_CURVES = ("white matter", "gray matter", "fluid", "edema")
_COMPARED = (
    ("white matter", "gray matter"),
    ("fluid", "gray matter"),
    ("edema", "white matter"),
    ("tumor rim", "edema"),
    ("fresh stroke", "gray matter"),
)
_KNOBS = {  # protocol -> the timing to turn, its name, and how far
    "T2w": ("echo", "echo time TE", 5.0, 250.0),
    "PDw": ("repetition", "repetition time TR", 300.0, 9000.0),
    "T1w": ("inversion", "inversion time TI", 0.0, 2000.0),
    "FLAIR": ("inversion", "inversion time TI", 0.0, 5000.0),
}


def tissue_signals(sequence: PulseSequence, *, agent: bool = False) -> NDArray[np.float64]:
    """Signal (tissues,) of all tissues of the simulator, without or with a contrast agent.

    An inversion at time 0 gives the magnitude of no inversion at all.

    Raises:
        ValueError: an inversion later than the next repetition.
    """
    if (sequence.inversion or 0) > sequence.repetition:
        raise ValueError(f"inversion must come within {sequence.repetition:g} ms (TR), got {sequence.inversion:g} ms")
    nominal = np.random.default_rng(0)  # no spread: nothing is drawn
    times, diffusivity = contrast.draw_tissues(nominal, 0.0), contrast.draw_diffusivity(nominal, 0.0)
    return contrast.tissue_signals(T1CE if agent else "", sequence, times, diffusivity)


def tissue_map(labels: Volume, lesion: Volume | None = None, parts: Volume | None = None) -> NDArray[np.int16]:
    """Which tissue, a row of `ROWS`, lies in each voxel (D, H, W).

    Args:
        labels: structure labels (D, H, W).
        lesion: mask (D, H, W) of a mass; by depth below its surface it becomes edema, enhancing rim and core.
        parts: map (D, H, W) of a lesion's parts, labels of `toposlearn.cohort.lesions.LESION_LABELS`; goes before.
    """
    array = np.asarray(labels).astype(int)
    lookup = np.full(max(int(array.max()), *(each.label for each in STRUCTURES)) + 1, ROWS["air"], dtype=np.int16)
    for each in STRUCTURES:
        lookup[each.label] = ROWS[each.tissue]
    rows = lookup[array]
    if parts is not None:
        for label, tissue in _PARTS.items():
            rows[np.asarray(parts) == label] = ROWS[tissue]
    elif lesion is not None and np.any(lesion):
        depth = ndimage.distance_transform_edt(np.asarray(lesion) > 0)
        radius = 1 - depth / depth.max()  # 0 at the deepest place
        for part in reversed(_MASS):
            rows[(depth > 0) & (radius <= part.outer)] = ROWS[part.tissue]
    return np.asarray(rows)


def tissue_image(record: Record) -> SpatialImage:
    """The map of tissues of a person with structure labels, axes in RAS order.

    Without labels it is that of the head which the package brings.
    """
    if record.labels is None:
        head = load_head("A")
        return nib.Nifti1Image(tissue_map(head.labels), head.affine)
    parts = record.labels.with_name(record.labels.name.replace("_dseg", "_desc-lesion_dseg"))
    labels, affine = read_ras(record.labels)
    lesion = None if record.lesion is None else read_ras(record.lesion)[0]
    known = read_ras(parts)[0] if parts.exists() else None
    return nib.Nifti1Image(tissue_map(labels, lesion, known), affine)


def lesion_level(tissues: NDArray[np.int16], spacing: Spacing = 2.0) -> float:
    """Of the axial plane that shows most of a lesion, mm from the center; 10 mm where there is no lesion."""
    counts = np.isin(tissues, _SICK).sum(axis=(0, 1))
    level = (counts.argmax() - (len(counts) - 1) / 2) * steps_of(spacing)[2]
    return float(level) if counts.any() else 10.0


def reimage(
    tissues: NDArray[np.int16], sequence: PulseSequence, *, agent: bool = False, seed: int = 0
) -> NDArray[np.float64]:
    """The scan (D, H, W) of a map of tissues (D, H, W), with Rician noise of strength `NOISE` and air at zero."""
    clean = tissue_signals(sequence, agent=agent)[tissues]
    noise = np.random.default_rng(seed).normal(0, NOISE, (2, *clean.shape))
    return np.where(tissues == ROWS["air"], 0, np.hypot(clean + noise[0], noise[1]))


def plot_signal_curves(title: str = "") -> Figure:
    """Signal of four tissues as one timing of each protocol is turned; dots mark the protocol itself."""
    figure, axes = plt.subplots(1, len(_KNOBS), figsize=(11.5, 3.3), sharey=True, layout="constrained")
    for ax, (protocol, (knob, name, low, high)) in zip(axes, _KNOBS.items(), strict=True):
        base = SEQUENCES[protocol]
        values = np.linspace(low, high, 200)
        turned = np.stack([tissue_signals(dataclasses.replace(base, **{knob: value})) for value in values.tolist()])
        at = getattr(base, knob)
        for label in _IN_CURVES:
            row, color = ROWS[SHOWN[label].tissue], SHOWN[label].color
            ax.plot(values, turned[:, row], color=color, label=label)
            ax.plot(at, tissue_signals(base)[row], "o", ms=5, color=color)
        ax.axvline(at, color="0.35", ls="--", lw=1)
        ax.set_title(f"{protocol}: {timing(base)}", size=9)
        ax.set_xlabel(f"{name} (ms)", size=9)
        ax.grid(color="0.92")
    axes[0].set_ylabel("signal (fully relaxed water = 1)", size=9)
    axes[0].set_ylim(0, 1)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(title or "one timing turned, the others as in the protocol; dots: the protocol", size=11)
    return figure


def timing(sequence: PulseSequence, *, agent: bool = False) -> str:
    """A sequence in words, e.g. ``TR 9000, TE 110, TI 2550 ms``."""
    words = f"TR {sequence.repetition:.0f}, TE {sequence.echo:.0f}"
    words += f", TI {sequence.inversion:.0f} ms" if sequence.inversion else " ms"
    words += f", b {sequence.b_value:.0f} s/mm²" if sequence.b_value else ""
    return words + (", contrast agent" if agent else "")


def plot_contrast(
    tissues: NDArray[np.int16],
    sequence: PulseSequence,
    *,
    agent: bool = False,
    plane: Plane = "axial",
    at: float = 0.0,
    spacing: Spacing = 2.0,
    title: str = "",
) -> Figure:
    """A slice as this sequence sees it, the signal of each tissue, and how far apart pairs of tissues are.

    Args:
        tissues: from `tissue_map`.
        sequence: timing.
        agent: whether a contrast agent was given.
        plane: of the slice.
        at: mm from the center.
        spacing: mm a voxel.
        title: what to see; by default the timing.
    """
    figure = plt.figure(figsize=(9.6, 4.3), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.15), height_ratios=(1.1, 1))
    picture = reimage(tissues, sequence, agent=agent)
    draw_panel(figure.add_subplot(grid[:, 0]), Panel(picture, plane, at, spacing, title="brightest tissue is white"))
    values = tissue_signals(sequence, agent=agent)
    signals = {label: float(values[ROWS[shown.tissue]]) for label, shown in SHOWN.items()}
    _draw_signals(figure.add_subplot(grid[0, 1]), signals)
    _draw_differences(figure.add_subplot(grid[1, 1]), signals)
    figure.suptitle(title or timing(sequence, agent=agent), size=11)
    return figure


def _draw_signals(ax: Axes, signals: Mapping[str, float]) -> None:
    ax.barh(list(signals), list(signals.values()), color=[SHOWN[label].color for label in signals])
    ax.set_xlim(0, 1)
    ax.set_title("signal (fully relaxed water = 1)", size=9)
    _tidy(ax)


def _draw_differences(ax: Axes, signals: Mapping[str, float]) -> None:
    """The first of each pair less the second, beside the noise."""
    names = [f"{one} − {other}" for one, other in _COMPARED]
    apart = [signals[one] - signals[other] for one, other in _COMPARED]
    ax.barh(names, apart, color=[SHOWN[one].color for one, _ in _COMPARED])
    ax.axvspan(-NOISE, NOISE, color="0.6", alpha=0.5, lw=0)
    ax.axvline(0, color="0.35", lw=0.8)
    ax.set_xlim(-0.6, 0.6)
    ax.set_title("difference; gray band: the noise of one voxel", size=9)
    _tidy(ax)


def _tidy(ax: Axes) -> None:
    style: dict[str, Any] = {"labelsize": 8.5}
    ax.invert_yaxis()
    ax.tick_params(length=2, **style)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
