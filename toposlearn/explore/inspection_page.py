"""The result of `toposlearn inspect` as one HTML page: every image of all people, and the pairs that do not align."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from toposlearn.arrays import Float64s
from toposlearn.data import Inspection, Record
from toposlearn.data.gate.alignment import head_center, shrink
from toposlearn.data.gate.assessment import PairAssessment
from toposlearn.data.gate.quality import read_image
from toposlearn.explore.html_page import data_uri, figure_element, html_page
from toposlearn.explore.registration import CONTOUR
from toposlearn.explore.slices import PLANES, Plane, plane_points, write_letters
from toposlearn.explore.world import voxels_at
from toposlearn.reproducibility import write_text

HALF = 110.0  # mm from the head's center to the edge of a picture
STEP = 2.0  # mm per pixel
MOST_PAIRS = 24  # maximum number of pictures of pairs that do not align
CAPTION = (
    "One axial slice through the middle of the first image's head, at the same place of the world in each image: "
    "images that are aligned show the same anatomy. The person's left is on the left. Black is air, or not imaged."
)
Loaded = tuple[Float64s, Float64s]  # voxels, affine


def write_inspection(inspection: Inspection, file: Path) -> Path:
    """Write the page: one HTML file that needs nothing else."""
    manifest, suspicious = inspection.manifest, list(inspection.suspicious())
    parts = [f"<h1>{escape(manifest.root.name)}</h1>", f"<pre>{escape(inspection.page(most=None))}</pre>"]
    if suspicious:
        limit = f", the first {MOST_PAIRS} of {len(suspicious)} pairs" * (len(suspicious) > MOST_PAIRS)
        parts.append("<h2>Pairs of images that are not aligned</h2>")
        parts.append(f"<p>The first image, with the outlines of the second where its header places it{limit}.</p>")
    for name, pair in suspicious[:MOST_PAIRS]:
        parts.append(_pair_picture(manifest.select([name]).records[0], pair))
    parts += ["<h2>All people</h2>", f"<p>{CAPTION}</p>", _subjects_table(inspection)]
    return write_text(file, html_page(manifest.root.name, "\n".join(parts)))


def _subjects_table(inspection: Inspection) -> str:
    names = inspection.modalities
    rows = ["<tr><th></th>" + "".join(f"<th>{escape(name)}</th>" for name in names) + "<th>assessment</th></tr>"]
    for record, subject in zip(inspection.manifest.records, inspection.subjects, strict=True):
        images = {name: _load(record, name) for name in names if name in subject.facts}
        center = _center(images)
        cells = []
        for name in names:
            without = "cannot be used" if name in subject.broken else "no image"
            cells.append(_thumbnail(images[name], center) if name in images else f"<td class=bad>{without}</td>")
        kind, words = ("bad", subject.summary) if subject.summary else ("good", "all pairs are aligned")
        rows.append(f"<tr><th>{escape(record.name)}</th>{''.join(cells)}<td class={kind}>{escape(words)}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _load(record: Record, modality: str) -> Loaded:
    facts, data = read_image(record.images[modality], record.channels.get(modality))
    return data.astype(np.float64), facts.affine


def _center(images: Mapping[str, Loaded]) -> Float64s:
    """World mm of the middle of the first image's head."""
    return head_center(*shrink(*next(iter(images.values())))) if images else np.zeros(3)


def _world_plane(image: Loaded, center: Float64s, plane: Plane) -> Float64s:
    """A plane of the world through a point, rows upwards: 0 is outside the image, 1 its 99.5th percentile."""
    (data, affine), ticks = image, np.arange(-HALF, HALF, STEP)
    voxels = voxels_at(affine, plane_points(plane, ticks, ticks, 0.0) + center)
    low, high = data.min(), np.percentile(data, 99.5)
    values = ndimage.map_coordinates(data, np.moveaxis(voxels, -1, 0), order=1, mode="constant", cval=low)
    return np.asarray(np.clip((values - low) / max(high - low, 1e-9), 0, 1))


def _thumbnail(image: Loaded, center: Float64s) -> str:
    pixels = (255 * _world_plane(image, center, "axial")[::-1]).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=80)
    return f'<td><img alt="" width="110" src="{data_uri(buffer.getvalue(), "jpeg")}"></td>'


def _pair_picture(record: Record, pair: PairAssessment) -> str:
    """Three planes of the first image with the outlines of the second, where its header places it."""
    first, second = (_load(record, name) for name in (pair.first, pair.second))
    center = _center({"first": first})
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    extent = (-HALF, HALF, -HALF, HALF)
    for ax, plane in zip(np.atleast_1d(figure.subplots(1, 3)), PLANES, strict=True):
        ax.imshow(_world_plane(first, center, plane), "gray", origin="lower", extent=extent, vmin=0, vmax=1)
        outlines = ndimage.gaussian_filter(_world_plane(second, center, plane), 0.7)
        if outlines.max() > 0.1:
            ax.contour(outlines, levels=(0.1, 0.6), colors=CONTOUR, linewidths=0.8, extent=extent, origin="lower")
        write_letters(ax, plane)
        ax.set(title=plane, xticks=[-100, 0, 100], yticks=[-100, 0, 100])
        ax.set_xlabel("mm from the head's center", size=8)
    figure.suptitle(f"{record.name}: {pair.first}, outlines of {pair.second}", size=11)
    return figure_element(figure, f"{record.name}  {pair.describe()}")
