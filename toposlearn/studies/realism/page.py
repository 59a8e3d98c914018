"""From a folder of subjects to the realism page, its table and its result file."""

from __future__ import annotations

import time
from collections.abc import Iterable
from math import isnan
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from toposlearn.explore.html_page import figure_element, html_page
from toposlearn.reproducibility import metric, write_result, write_text
from toposlearn.studies.realism.figures import plot_beside_templates, plot_contrast, plot_noise, plot_volumes
from toposlearn.studies.realism.measure import Measured, measure_donors, measure_folder, measure_templates
from toposlearn.studies.realism.published import RANGES, SHORTCOMINGS, SOURCES, status_of
from toposlearn.studies.realism.table import Row, healthy_of, realism_rows

SUBJECTS_SHOWN = 4


def write_realism(data: Path, out: Path, *, limit: int = 64, progress: bool = True) -> Path:
    """Measure a folder of subjects with structure labels; write ``realism.html``, ``.csv`` and ``.json``.

    An unusable image is skipped and reported on stderr.

    Args:
        data: folder of subjects.
        out: folder to write.
        limit: maximum number of subjects to measure, evenly spaced.
        progress: show a progress bar.

    Returns:
        The page.

    Raises:
        ValueError: a subject has no structure labels, or no image can be used.
    """
    start = time.perf_counter()
    measured, templates = measure_folder(data, limit=limit, progress=progress), measure_templates()
    donors, touching = measure_donors(measured.spacing)
    rows = realism_rows(measured, templates, donors, touching)
    write_text(out / "realism.csv", pd.DataFrame([_cells(row) for row in rows]).to_csv(index=False))
    metrics = {f"{row.group}/{row.name}": _metric(row) for row in rows}
    metrics |= {name: metric(float(count)) for name, count in counts(rows).items()}
    seconds = time.perf_counter() - start
    source = f"toposlearn realism {data}"
    write_result(out / "realism.json", source=source, metrics=metrics, config={"limit": limit}, seconds=seconds)
    page = html_page("Do simulated people look real?", _body(measured, rows, templates, donors))
    return write_text(out / "realism.html", page)


def _cells(row: Row) -> dict[str, object]:
    known = {"group": row.group, "name": row.name, "value": row.value, "n": row.n, "unit": row.unit}
    low, high, text, sources = row.reference
    known |= {"reference": text, "low": low, "high": high, "sources": sources, "verdict": row.status}
    known |= {"people_low": row.people[0], "people_high": row.people[1]}
    return known | {"interval_low": row.interval[0], "interval_high": row.interval[1]}


def _metric(row: Row) -> dict[str, object]:
    low, high = (None if isnan(end) else end for end in row.interval)
    return metric(row.value, low=low, high=high, unit=row.unit or None, n=row.n)


def _body(measured: Measured, rows: list[Row], templates: pd.DataFrame, donors: pd.DataFrame) -> str:
    environment = Environment(loader=PackageLoader(__package__, ""), autoescape=True)
    environment.filters["number"] = number
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    used = {key for row in rows for key in row.reference.sources.split()}
    return environment.get_template("page.html.j2").render(
        measured=measured,
        healthy=healthy_of(measured.subjects),
        rows=rows,
        groups=groups,
        counts=counts(rows),
        figures=_figures(measured, templates, donors),
        figure_element=figure_element,
        shortcomings=shortcomings(rows, donors),
        sources={key: text for key, text in SOURCES.items() if key in used},
    )


def _figures(measured: Measured, templates: pd.DataFrame, donors: pd.DataFrame) -> dict[str, Figure]:
    healthy = healthy_of(measured.subjects)
    shown = [r for r in measured.records if r.subject in set(healthy["subject"]) and "T1w" in r.images]
    figures = {
        "contrast": plot_contrast(measured.images, templates),
        "noise": plot_noise(measured.images, templates),
    }
    if "volume/brain" in healthy:
        figures["volumes"] = plot_volumes(healthy, donors)
    if shown:
        figures["templates"] = plot_beside_templates(shown[:SUBJECTS_SHOWN])
    return figures


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """Number of rows ``within`` their reference, ``outside`` it, and ``undecided``."""
    kinds = {"within": ("within", "as known"), "outside": ("outside",), "undecided": ("undecided",)}
    return {name: sum(row.status.startswith(starts) for row in rows) for name, starts in kinds.items()}


def number(value: float) -> str:
    """Three digits without an exponent, with a true minus sign; a dash for NaN."""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "–" if isnan(value) else ("0" if text in ("0", "-0") or "e-" in text else text).replace("-", "−")


def shortcomings(rows: Iterable[Row], donors: pd.DataFrame) -> list[str]:
    """Known shortcomings of the simulation in sentences with their numbers; those without a row are left out."""
    known = {f"{row.group}/{row.name}": row for row in rows}
    sentences = []
    for entry in SHORTCOMINGS["measured"]:
        if set(entry["rows"].values()) <= set(known):
            sentences.append(entry["text"].format(**{name: known[row] for name, row in entry["rows"].items()}))
    means = {name: donors[f"volume/{name}"].mean() for name in RANGES["volume"] if f"volume/{name}" in donors}
    outside = [name for name, mean in means.items() if status_of(mean, RANGES["volume"][name]) != "within"]
    references = (
        "References fall short too: by the same code, the mean of the six real donors misses the published range of "
        f"{len(outside)} of {len(means)} structures ({', '.join(outside).replace('-', ' ')})."
    )
    return [*sentences, references, *SHORTCOMINGS["always"]]
