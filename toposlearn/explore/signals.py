"""Why modalities differ: what the timing of an MR sequence makes of each tissue, as curves, bars and a slice.

The slice is imaged from a map of tissues by the equations of `toposlearn.cohort.contrast`: no partial volume, no bias.
Signals are in units of fully relaxed water.
"""

from __future__ import annotations

import dataclasses

import nibabel as nib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray
from scipy import ndimage

from toposlearn.arrays import Float64s
from toposlearn.cohort import contrast
from toposlearn.cohort.contrast import SEQUENCES, PulseSequence
from toposlearn.cohort.head import load_head
from toposlearn.cohort.lesions import KINDS, LESION_LABELS
from toposlearn.cohort.tissue import ROWS, tissue_rows
from toposlearn.data.images import read_ras
from toposlearn.data.manifest import Record
from toposlearn.explore.curves import row_of_axes, shared_legend
from toposlearn.explore.slices import Panel, Spacing, Volume, draw_panel, steps_of
from toposlearn.settings import T1CE

NOISE = 0.01  # standard deviation, in units of fully relaxed water
_PARTS = {  # tissue of each label of a lesion map
    LESION_LABELS["core"]: "necrosis",
    LESION_LABELS["edema"]: "edema",
    LESION_LABELS["enhancing"]: "enhancing",
    LESION_LABELS["infarct"]: "infarct",
    LESION_LABELS["white matter lesion"]: "lesion_white",
}
SHOWN = {  # label in the pictures -> tissue of the simulator, color
    "white matter": ("white", "#0072B2"),
    "gray matter": ("cortex", "#009E73"),
    "fluid": ("csf", "#56B4E9"),
    "edema": ("edema", "#D55E00"),
    "tumor rim": ("enhancing", "#E69F00"),
    "fresh stroke": ("infarct", "#CC79A7"),
}
_COMPARED = (
    ("white matter", "gray matter"),
    ("fluid", "gray matter"),
    ("edema", "white matter"),
    ("tumor rim", "edema"),
    ("fresh stroke", "gray matter"),
)
_KNOBS = {  # protocol -> the timing to vary, its name, and its range
    "T2w": ("echo", "echo time TE", 5.0, 250.0),
    "PDw": ("repetition", "repetition time TR", 300.0, 9000.0),
    "T1w": ("inversion", "inversion time TI", 0.0, 2000.0),
    "FLAIR": ("inversion", "inversion time TI", 0.0, 5000.0),
}


def tissue_signals(sequence: PulseSequence, *, agent: bool = False) -> Float64s:
    """Signal (tissues,) of all tissues of the simulator; an inversion at time 0 gives the same magnitude as none."""
    if (sequence.inversion or 0) > sequence.repetition:
        raise ValueError(f"inversion must come within {sequence.repetition:g} ms (TR), got {sequence.inversion:g} ms")
    nominal = np.random.default_rng(0)  # no spread: nothing is drawn
    times, diffusivity = contrast.draw_tissues(nominal, 0.0), contrast.draw_diffusivity(nominal, 0.0)
    return contrast.tissue_signals(T1CE if agent else "", sequence, times, diffusivity)


def tissue_map(labels: Volume, lesion: Volume | None = None, parts: Volume | None = None) -> NDArray[np.int16]:
    """Tissue of each voxel (D, H, W) of structure labels, as a row of `ROWS`.

    A `lesion` (mask of a mass) becomes edema, enhancing rim and core, by depth below its surface; known `parts` of a
    lesion (labels of `toposlearn.cohort.lesions.LESION_LABELS`) replace it.
    """
    rows = tissue_rows(np.asarray(labels).astype(int))
    if parts is not None:
        for label, tissue in _PARTS.items():
            rows[np.asarray(parts) == label] = ROWS[tissue]
    elif lesion is not None and np.any(lesion):
        depth = ndimage.distance_transform_edt(np.asarray(lesion) > 0)
        radius = 1 - depth / depth.max()  # 0 at the deepest place
        for part in reversed(KINDS["high-grade-glioma"].parts):  # from the center outwards, edges in radii
            rows[(depth > 0) & (radius <= part.outer)] = ROWS[part.tissue]
    return np.asarray(rows)


def tissue_image(record: Record) -> SpatialImage:
    """Map of tissues of a person, axes in RAS order; without structure labels that of the head in the package."""
    if record.labels is None:
        head = load_head("A")
        return nib.Nifti1Image(tissue_map(head.labels), head.affine)
    parts = record.labels.with_name(record.labels.name.replace("_dseg", "_desc-lesion_dseg"))
    labels, affine = read_ras(record.labels)
    lesion = None if record.lesion is None else read_ras(record.lesion)[0]
    known = read_ras(parts)[0] if parts.exists() else None
    return nib.Nifti1Image(tissue_map(labels, lesion, known), affine)


def lesion_level(tissues: NDArray[np.int16], spacing: Spacing = 2.0) -> float:
    """Place of the axial plane that shows most of a lesion, mm from the center; 10 mm if there is no lesion."""
    counts = np.isin(tissues, [ROWS[tissue] for tissue in _PARTS.values()]).sum(axis=(0, 1))
    level = (counts.argmax() - (len(counts) - 1) / 2) * steps_of(spacing)[2]
    return float(level) if counts.any() else 10.0


def reimage(tissues: NDArray[np.int16], sequence: PulseSequence, *, agent: bool = False) -> Float64s:
    """The scan (D, H, W) of a map of tissues (D, H, W), with Rician noise of strength `NOISE` and air at zero."""
    clean = tissue_signals(sequence, agent=agent)[tissues]
    noise = np.random.default_rng(0).normal(0, NOISE, (2, *clean.shape))
    return np.where(tissues == ROWS["air"], 0, np.hypot(clean + noise[0], noise[1]))


def plot_signal_curves() -> Figure:
    """Signal of four tissues as one timing of each protocol varies; dots mark the protocol itself."""
    figure, axes = row_of_axes(len(_KNOBS), 2.875, 3.3, sharey=True)
    for ax, (protocol, (knob, name, low, high)) in zip(axes, _KNOBS.items(), strict=True):
        base, values = SEQUENCES[protocol], np.linspace(low, high, 200)
        varied = np.stack([tissue_signals(dataclasses.replace(base, **{knob: value})) for value in values.tolist()])
        for label in ("white matter", "gray matter", "fluid", "edema"):
            tissue, color = SHOWN[label]
            ax.plot(values, varied[:, ROWS[tissue]], color=color, label=label)
            ax.plot(getattr(base, knob), tissue_signals(base)[ROWS[tissue]], "o", ms=5, color=color)
        ax.axvline(getattr(base, knob), color="0.35", ls="--", lw=1)
        ax.set_title(f"{protocol}: {timing(base)}", size=9)
        ax.set_xlabel(f"{name} (ms)", size=9)
    axes[0].set_ylabel("signal (fully relaxed water = 1)", size=9)
    axes[0].set_ylim(0, 1)
    shared_legend(figure, axes)
    figure.suptitle("one timing varied, the others as in the protocol; dots: the protocol", size=11)
    return figure


def timing(sequence: PulseSequence, *, agent: bool = False) -> str:
    """A sequence in words, e.g. ``TR 9000, TE 110, TI 2550 ms``."""
    words = f"TR {sequence.repetition:.0f}, TE {sequence.echo:.0f}"
    words += f", TI {sequence.inversion:.0f} ms" if sequence.inversion else " ms"
    words += f", b {sequence.b_value:.0f} s/mm²" if sequence.b_value else ""
    return words + (", contrast agent" if agent else "")


def plot_contrast(
    tissues: NDArray[np.int16], sequence: PulseSequence, *, agent: bool = False, at: float = 0.0, spacing: Spacing = 2.0
) -> Figure:
    """An axial slice (`at` mm) with this sequence, the signal of each tissue, and the differences between pairs."""
    figure = plt.figure(figsize=(9.6, 4.3), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.15), height_ratios=(1.1, 1))
    picture = reimage(tissues, sequence, agent=agent)
    draw_panel(figure.add_subplot(grid[:, 0]), Panel(picture, "axial", at, spacing, title="brightest tissue is white"))
    values = tissue_signals(sequence, agent=agent)
    signals = {label: float(values[ROWS[tissue]]) for label, (tissue, _) in SHOWN.items()}
    upper, lower = (figure.add_subplot(grid[row, 1]) for row in range(2))
    _draw_bars(upper, signals, list(signals), "signal (fully relaxed water = 1)", (0, 1))
    apart = {f"{one} − {other}": signals[one] - signals[other] for one, other in _COMPARED}
    title = "difference; gray band: the noise of one voxel"
    _draw_bars(lower, apart, [one for one, _ in _COMPARED], title, (-0.6, 0.6))
    lower.axvspan(-NOISE, NOISE, color="0.6", alpha=0.5, lw=0)
    lower.axvline(0, color="0.35", lw=0.8)
    figure.suptitle(timing(sequence, agent=agent), size=11)
    return figure


def _draw_bars(ax: Axes, values: dict[str, float], shown: list[str], title: str, limits: tuple[float, float]) -> None:
    """One bar per value, in the colors of the tissues `shown`."""
    ax.barh(list(values), list(values.values()), color=[SHOWN[label][1] for label in shown])
    ax.set(xlim=limits)
    ax.set_title(title, size=9)
    ax.invert_yaxis()
    ax.tick_params(length=2, labelsize=8.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
