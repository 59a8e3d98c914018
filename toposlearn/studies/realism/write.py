"""From a folder of people to the realism page, its table and its result file."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from toposlearn.data import Manifest, Record
from toposlearn.reproducibility import atomic_path, metric, write_result
from toposlearn.studies.realism.image_figures import ordered, plot_brightness, plot_contrast, plot_noise
from toposlearn.studies.realism.image_rows import image_rows
from toposlearn.studies.realism.page import counts, page_of
from toposlearn.studies.realism.people import Measured, measure_folder
from toposlearn.studies.realism.pictures import all_scans, beside_templates
from toposlearn.studies.realism.references import measure_donors, measure_templates
from toposlearn.studies.realism.row import Row
from toposlearn.studies.realism.shape_figures import plot_local_size, plot_spread, plot_volumes
from toposlearn.studies.realism.shape_rows import healthy_of, shape_rows
from toposlearn.studies.realism.shortcomings import shortcomings

PEOPLE_SHOWN = 4


def write_realism(data: Path, out: Path, *, limit: int = 64, progress: bool = True) -> Path:
    """Measure a folder of people that has structure labels; write ``realism.html``, ``.csv`` and ``.json``.

    An image that cannot be used is left out, and that is said on stderr.

    Args:
        data: folder of people.
        out: folder to write.
        limit: the most people to measure, evenly spaced.
        progress: show a progress bar.

    Returns:
        The page.

    Raises:
        ValueError: somebody has no structure labels, or no image can be used.
    """
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    measured = measure_folder(data, limit=limit, progress=progress)
    templates = measure_templates()
    donors, touching = measure_donors(measured.spacing)
    rows = [*image_rows(measured.images, templates), *shape_rows(measured, donors, touching)]
    figures = _figures(measured, templates, donors)
    page = page_of(
        "Do simulated people look real?", _lead(measured), rows, figures, measured.images, shortcomings(rows, donors)
    )
    _write_table(rows, out / "realism.csv")
    _write_result(rows, out / "realism.json", data, limit, time.perf_counter() - start)
    with atomic_path(out / "realism.html") as partial:
        partial.write_text(page, encoding="utf-8")
    return out / "realism.html"


def _lead(measured: Measured) -> str:
    count, healthy = len(measured.people), healthy_of(measured.people)
    of = f"{count} of the {measured.of} people" if count < measured.of else f"all {count} people"
    kind = "healthy people (no diagnosis, no lesion)" if len(healthy) < count else "people, ill ones too"
    return (
        f"Measured from the files of {of} in {measured.manifest.root.name}, {len(measured.images)} scans; volumes, "
        f"spread and aging from {len(healthy)} {kind}."
    )


def _figures(measured: Measured, templates: pd.DataFrame, donors: pd.DataFrame) -> dict[str, Figure]:
    shown, healthy = pictured(measured), healthy_of(measured.people)
    figures = {
        "scans": all_scans(_examples(measured, shown), ordered(shown.modalities)),
        "contrast": plot_contrast(measured.images, templates),
        "brightness": plot_brightness(measured.histograms),
        "noise": plot_noise(measured.images, templates),
        "spread": plot_spread(healthy, donors),
    }
    if "volume/brain" in healthy:
        figures["volumes"] = plot_volumes(healthy, donors)
    if "T1w" in shown.modalities:
        well = [record for record in shown.records if record.subject in set(healthy["person"])]
        figures["templates"] = beside_templates(well[:PEOPLE_SHOWN])
    if "size/50" in measured.people:
        figures["local size"] = plot_local_size(measured.people, measured.sizes)
    return figures


def pictured(measured: Measured) -> Manifest:
    """Who may be in a picture: those with most images, so that one broken image takes no scan from the others."""
    most = max(len(record.images) for record in measured.manifest.records)
    full = [record.subject for record in measured.manifest.records if len(record.images) == most]
    return measured.manifest.select(full)


def _examples(measured: Measured, shown: Manifest, most: int = 6) -> list[Record]:
    """One person of each kind of lesion, and one without, of those who may be shown."""
    people = measured.people[measured.people["person"].isin([record.subject for record in shown.records])]
    kinds = people["lesion_type"].replace("", "n/a") + people["lesion"].astype(str)
    return list(shown.select(people["person"][~kinds.duplicated()].tolist()[:most]).records)


def _write_table(rows: list[Row], path: Path) -> None:
    table = pd.DataFrame([asdict(row) for row in rows])
    for name in ("people", "interval"):
        pairs = [pair or (np.nan, np.nan) for pair in table.pop(name)]
        table[[f"{name}_low", f"{name}_high"]] = pd.DataFrame(pairs)
    table["sources"] = [" ".join(keys) for keys in table["sources"]]
    with atomic_path(path) as partial:
        table.to_csv(partial, index=False)


def _write_result(rows: list[Row], path: Path, data: Path, limit: int, seconds: float) -> None:
    metrics = {}
    for row in rows:
        low, high = row.interval or (None, None)
        metrics[f"{row.group}/{row.name}"] = metric(row.value, low=low, high=high, unit=row.unit or None, n=row.n)
    metrics |= {name: metric(float(count)) for name, count in counts(rows).items()}
    source = f"toposlearn realism {data}"
    write_result(path, source=source, metrics=metrics, config={"limit": limit}, seconds=seconds)
