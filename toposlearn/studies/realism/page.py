"""From a folder of subjects to the realism page, its table and its result file."""

from __future__ import annotations

import time
from math import isnan
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from toposlearn.explore.html_page import figure_element, html_page
from toposlearn.reproducibility import metric, write_result, write_text
from toposlearn.studies.realism.figures import plot_beside_templates, plot_contrast, plot_noise, plot_volumes
from toposlearn.studies.realism.measure import Measured, healthy_of, measure_donors, measure_folder, measure_templates
from toposlearn.studies.realism.published import RANGES, SHORTCOMINGS, SOURCES, status_of
from toposlearn.studies.realism.table import realism_table

SUBJECTS_SHOWN = 4


def write_realism(data: Path, out: Path, *, limit: int = 64, progress: bool = True) -> Path:
    """Measure a folder of subjects with structure labels; write ``realism.html`` (returned), ``.csv`` and ``.json``.

    At most `limit` subjects are measured, evenly spaced. An unusable image is skipped and reported on stderr. Raises
    ValueError where a subject has no structure labels, or no image can be used.
    """
    start = time.perf_counter()
    measured, templates = measure_folder(data, limit=limit, progress=progress), measure_templates()
    donors, touching = measure_donors(measured.spacing)
    table = realism_table(measured, templates, donors, touching)
    write_text(out / "realism.csv", table.to_csv(index=False))
    metrics = {}
    for row in table.to_dict("records"):
        low, high = (None if isnan(end) else end for end in (row["interval_low"], row["interval_high"]))
        known = metric(row["value"], low=low, high=high, unit=row["unit"] or None, n=row["n"])
        metrics[f"{row['group']}/{row['name']}"] = known
    metrics |= {name: metric(float(count)) for name, count in counts(table["verdict"]).items()}
    seconds = time.perf_counter() - start
    source = f"toposlearn realism {data}"
    write_result(out / "realism.json", source=source, metrics=metrics, config={"limit": limit}, seconds=seconds)
    page = html_page("Do simulated people look real?", _body(measured, table, templates, donors))
    return write_text(out / "realism.html", page)


def _body(measured: Measured, table: pd.DataFrame, templates: pd.DataFrame, donors: pd.DataFrame) -> str:
    environment = Environment(loader=PackageLoader(__package__, ""), autoescape=True)
    environment.filters["number"] = number
    used = set(" ".join(table["sources"]).split())
    healthy = healthy_of(measured.subjects)
    return environment.get_template("page.html.j2").render(
        measured=measured,
        healthy=healthy,
        groups={group: list(rows.itertuples()) for group, rows in table.groupby("group", sort=False)},
        counts=counts(table["verdict"]),
        figures=_figures(measured, healthy, templates, donors),
        figure_element=figure_element,
        shortcomings=shortcomings(table, donors),
        sources={key: text for key, text in SOURCES.items() if key in used},
    )


def _figures(
    measured: Measured, healthy: pd.DataFrame, templates: pd.DataFrame, donors: pd.DataFrame
) -> dict[str, Figure]:
    figures = {"contrast": plot_contrast(measured.images, templates), "noise": plot_noise(measured.images, templates)}
    if "volume/brain" in healthy:
        figures["volumes"] = plot_volumes(healthy, donors)
    shown = [r for r in measured.records if r.subject in set(healthy["subject"]) and "T1w" in r.images]
    if shown:
        figures["templates"] = plot_beside_templates(shown[:SUBJECTS_SHOWN])
    return figures


def counts(verdicts: pd.Series[str]) -> dict[str, int]:
    """Number of rows ``within`` their reference, ``outside`` it, and ``undecided``."""
    kinds = {"within": ("within", "as known"), "outside": ("outside",), "undecided": ("undecided",)}
    return {name: int(verdicts.str.startswith(starts).sum()) for name, starts in kinds.items()}


def number(value: float) -> str:
    """Three digits without an exponent, with a true minus sign; a dash for NaN."""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "–" if isnan(value) else ("0" if text in ("0", "-0") or "e-" in text else text).replace("-", "−")


def shortcomings(table: pd.DataFrame, donors: pd.DataFrame) -> list[str]:
    """Known shortcomings of the simulation in sentences with their numbers; those without a row are left out."""
    known = {f"{row.group}/{row.name}": row for row in table.itertuples()}
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
