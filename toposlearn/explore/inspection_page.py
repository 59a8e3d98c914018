"""What `toposlearn inspect` found as one page to look at: every image of everybody, and what does not lie together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from toposlearn.data import Inspection, Record
from toposlearn.data.gate.coarse import head_center, shrink
from toposlearn.data.gate.quality import read_image
from toposlearn.data.gate.verdicts import PairVerdict, PersonVerdict
from toposlearn.data.inspection import told
from toposlearn.explore.html_page import data_uri, figure_element, html_page
from toposlearn.explore.slices import PLANES, write_letters
from toposlearn.explore.structures import PLANE_AXES, Plane
from toposlearn.reproducibility import atomic_path

HALF = 110.0  # mm from the head's center to the edge of a picture
STEP = 2.0  # mm a pixel
MOST_PAIRS = 24  # pictures of pairs that do not lie together
CONTOUR = "#E69F00"
Loaded = tuple[NDArray[np.float64], NDArray[np.float64]]  # voxels, affine


def write_inspection(inspection: Inspection, file: Path) -> Path:
    """Write the page: one HTML file that needs nothing else."""
    parts = [f"<h1>{escape(inspection.manifest.root.name)}</h1>", f"<pre>{escape(inspection.page(most=None))}</pre>"]
    suspicious = list(inspection.suspicious())
    if suspicious:
        parts.append("<h2>What does not lie together</h2>")
        shown = f", the first {MOST_PAIRS} of {len(suspicious)} pairs" * (len(suspicious) > MOST_PAIRS)
        parts.append(f"<p>The first image, and where the second is said to lie: its outlines in orange{shown}.</p>")
        parts += [
            _pair_picture(inspection.manifest.select([name]).records[0], pair) for name, pair in suspicious[:MOST_PAIRS]
        ]
    parts += ["<h2>Everybody</h2>", f"<p>{CAPTION}</p>", _subjects(inspection)]
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as partial:
        partial.write_text(html_page(inspection.manifest.root.name, "\n".join(parts)))
    return file


CAPTION = (
    "One axial slice through the middle of the first image's head, at the same place of the world in each image: "
    "images that lie together show the same anatomy. The person's left is on the left. Black is air, or not imaged."
)


def _subjects(inspection: Inspection) -> str:
    """A row a person: an image of each modality, and what the gate says."""
    names = inspection.modalities
    rows = ["<tr><th></th>" + "".join(f"<th>{escape(name)}</th>" for name in names) + "<th>verdict</th></tr>"]
    for record, verdict in zip(inspection.manifest.records, inspection.subjects, strict=True):
        images = {name: _load(record, name) for name in names if name in verdict.facts}
        center = _center(images)
        cells = [_thumbnail(images.get(name), center, _why(verdict, name)) for name in names]
        said = verdict.summary or "all pairs lie together"
        kind = "bad" if verdict.summary else "good"
        rows.append(f"<tr><th>{escape(record.subject)}</th>{''.join(cells)}<td class={kind}>{escape(said)}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _why(verdict: PersonVerdict, modality: str) -> str:
    return "cannot be used" if modality in verdict.broken else "no image"


def _load(record: Record, modality: str) -> Loaded:
    facts, data = read_image(record.images[modality])
    return data.astype(np.float64), facts.affine


def _center(images: Mapping[str, Loaded]) -> NDArray[np.float64]:
    """World mm of the middle of the first image's head."""
    return head_center(*shrink(*next(iter(images.values())))) if images else np.zeros(3)


def world_plane(image: Loaded, center: Sequence[float] | NDArray[np.float64], plane: Plane) -> NDArray[np.float64]:
    """A plane of the world through a point, 2 mm a pixel, as an image shows it: rows upwards; 0 where it shows nothing.

    Brightness ends at 1, the 99.5th percentile of the image.
    """
    data, affine = image
    across, up = PLANE_AXES[plane]
    ticks = np.arange(-HALF, HALF, STEP)
    world = np.tile(np.asarray(center, dtype=float), (len(ticks), len(ticks), 1))
    world[..., across] += ticks
    world[..., up] += ticks[:, None]
    voxels = np.moveaxis(nib.affines.apply_affine(np.linalg.inv(affine), world), -1, 0)
    low, high = data.min(), np.percentile(data, 99.5)
    values = ndimage.map_coordinates(data, voxels, order=1, mode="constant", cval=low)
    return np.asarray(np.clip((values - low) / max(high - low, 1e-9), 0, 1))


def _thumbnail(image: Loaded | None, center: NDArray[np.float64], without: str) -> str:
    if image is None:
        return f"<td class=bad>{without}</td>"
    pixels = (255 * world_plane(image, center, "axial")[::-1]).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=80)
    return f'<td><img alt="" width="110" src="{data_uri(buffer.getvalue(), "jpeg")}"></td>'


def plot_pair(first: Loaded, second: Loaded, title: str = "") -> Figure:
    """Three planes of the first image with the outlines of the second, where its header puts it."""
    center = _center({"first": first})
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    extent = (-HALF, HALF, -HALF, HALF)
    for ax, plane in zip(np.atleast_1d(figure.subplots(1, 3)), PLANES, strict=True):
        ax.imshow(world_plane(first, center, plane), "gray", origin="lower", extent=extent, vmin=0, vmax=1)
        outlines = ndimage.gaussian_filter(world_plane(second, center, plane), 0.7)
        if outlines.max() > 0.1:
            ax.contour(outlines, levels=(0.1, 0.6), colors=CONTOUR, linewidths=0.8, extent=extent, origin="lower")
        write_letters(ax, plane)
        ax.set(title=plane, xticks=[-100, 0, 100], yticks=[-100, 0, 100])
        ax.set_xlabel("mm from the head's center", size=8)
    figure.suptitle(title, size=11)
    return figure


def _pair_picture(record: Record, pair: PairVerdict) -> str:
    first, second = (_load(record, name) for name in (pair.first, pair.second))
    figure = plot_pair(first, second, f"{record.subject}: {pair.first}, outlines of {pair.second}")
    return figure_element(figure, f"{record.subject}  {told(pair)}")
