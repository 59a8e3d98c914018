"""From a folder of subjects to the realism page, its table and its result file."""

from __future__ import annotations

import time
from math import isnan
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader

from toposlearn.explore.html_page import figure_element, html_page
from toposlearn.reproducibility import metric, write_result, write_text
from toposlearn.studies.realism.figures import plot_beside_templates, plot_scans, plot_volumes
from toposlearn.studies.realism.measure import Measured, healthy_of, measure_folder
from toposlearn.studies.realism.published import PUBLISHED
from toposlearn.studies.realism.table import realism_table

SUBJECTS_SHOWN = 4


def write_realism(data: Path, out: Path, *, limit: int = 64, progress: bool = True) -> Path:
    """Measure a folder of subjects with structure labels; write ``realism.html`` (returned), ``.csv`` and ``.json``.

    At most `limit` subjects are measured, evenly spaced. An unusable image is skipped and reported on stderr. Raises
    ValueError where a subject has no structure labels, or no image can be used.
    """
    start, source = time.perf_counter(), f"toposlearn realism {data}"
    measured = measure_folder(data, limit=limit, progress=progress)
    table = realism_table(measured)
    write_text(out / "realism.csv", table.to_csv(index=False))
    metrics = {
        f"{row['group']}/{row['name']}": metric(
            row["value"], low=row["interval_low"], high=row["interval_high"], unit=row["unit"] or None, n=row["n"]
        )
        for row in table.astype(object).where(table.notna(), None).to_dict("records")
    }
    metrics |= {name: metric(float(count)) for name, count in counts(table["verdict"]).items()}
    seconds = time.perf_counter() - start
    write_result(out / "realism.json", source=source, metrics=metrics, config={"limit": limit}, seconds=seconds)
    return write_text(out / "realism.html", html_page("Do simulated people look real?", _body(measured, table)))


def _body(measured: Measured, table: pd.DataFrame) -> str:
    environment = Environment(loader=PackageLoader(__package__, ""), autoescape=True)
    environment.filters["number"] = number
    healthy, rows, real = healthy_of(measured.records), measured.rows, measured.real
    figures = {name: plot_scans(name, rows, real) for name in ("contrast", "noise")}
    of_healthy = rows[rows["subject"].isin([record.subject for record in healthy])]
    if "volume, size taken out" in set(of_healthy["group"]):
        figures["volumes"] = plot_volumes(of_healthy, real)
    if shown := [record for record in healthy if "T1w" in record.images][:SUBJECTS_SHOWN]:
        figures["templates"] = plot_beside_templates(shown)
    return environment.get_template("page.html.j2").render(
        measured=measured,
        healthy=healthy,
        groups={group: list(rows.itertuples()) for group, rows in table.groupby("group", sort=False)},
        counts=counts(table["verdict"]),
        figures=figures,
        figure_element=figure_element,
        shortcomings=shortcomings(table, real),
        sources=PUBLISHED["sources"],
        used=set(" ".join(table["sources"]).split()),
    )


def counts(verdicts: pd.Series[str]) -> dict[str, int]:
    """Number of rows ``within`` their reference, ``outside`` it, and ``undecided``."""
    kinds = {"within": ("within", "as known"), "outside": ("outside",), "undecided": ("undecided",)}
    return {name: int(verdicts.str.startswith(starts).sum()) for name, starts in kinds.items()}


def number(value: float) -> str:
    """Three digits without an exponent, with a true minus sign; a dash for NaN."""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "–" if isnan(value) else ("0" if text in ("0", "-0") or "e-" in text else text).replace("-", "−")


def shortcomings(table: pd.DataFrame, real: pd.DataFrame) -> list[str]:
    """Known shortcomings of the simulation in sentences with their numbers; those without a row are left out."""
    known = {f"{row.group}/{row.name}": row for row in table.itertuples()}
    complete = [each for each in PUBLISHED["shortcomings"]["measured"] if known.keys() >= set(each["rows"].values())]
    sentences = [each["text"].format(**{key: known[row] for key, row in each["rows"].items()}) for each in complete]
    means = real[real["group"] == "volume"].groupby("name")["value"].mean()
    ranges = {name: entry for name, entry in PUBLISHED["ranges"]["volume"].items() if name in means}
    missed = [name.replace("-", " ") for name, (low, high, *_) in ranges.items() if not low <= means[name] <= high]
    donors = PUBLISHED["shortcomings"]["donors"].format(missed=len(missed), known=len(ranges), names=", ".join(missed))
    return [*sentences, donors, *PUBLISHED["shortcomings"]["always"]]
