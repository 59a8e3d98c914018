"""The table of the realism page: each measured number with its interval, its reference and its status."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from toposlearn.anatomy import TISSUES
from toposlearn.intervals import bootstrap_number, bootstrap_subjects
from toposlearn.studies.realism.measure import PERCENTILES, Measured
from toposlearn.studies.realism.published import NONE, ORDER, RANGES, TYPICAL_BRAIN_ML, Reference, status_of
from toposlearn.studies.realism.shapes import RINGS, Pairs, pairwise_shared

DONOR_STRUCTURES = ("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "accumbens")
LOBES = ("frontal-cortex", "parietal-cortex", "temporal-cortex", "occipital-cortex", "insula")
MASSES = ("", "glioma", "low-grade-glioma", "high-grade-glioma", "metastases")
FEWEST = 8  # healthy subjects whose volumes are compared
Ends = tuple[float, float]
UNKNOWN: Ends = (nan, nan)
NOISE = "signal to noise in white matter"


@dataclass(frozen=True)
class Row:
    """One line of the table: the mean over subjects, or a number that only a group has.

    Attributes:
        people: 5th and 95th percentile of subjects; NaN for a number of a group.
        interval: 95 % interval of the value; NaN where there is none.
        note: status where it is not that of `published.status_of`.
    """

    group: str
    name: str
    value: float
    n: int
    unit: str = ""
    reference: Reference = NONE
    people: Ends = UNKNOWN
    interval: Ends = UNKNOWN
    note: str = ""

    @property
    def status(self) -> str:
        """``within``, ``outside``, ``undecided`` or ``not judged``."""
        return self.note or status_of(self.value, self.reference, *self.interval)


def rows_of(
    group: str,
    columns: Mapping[str, Any],
    unit: str = "",
    references: Mapping[str, Reference] | None = None,
    interval: Ends | None = None,
) -> Iterator[Row]:
    """One row per name of `columns`, whose values are one number per subject; none where no subject has it."""
    for name, values in columns.items():
        numbers = np.asarray(values, dtype=float)
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers):
            ends = bootstrap_subjects(numbers[None]) if len(numbers) > 1 else UNKNOWN
            low, high = np.percentile(numbers, [5, 95]).tolist()
            reference, mean = (references or {}).get(name, NONE), float(numbers.mean())
            yield Row(group, name, mean, len(numbers), unit, reference, (low, high), interval or ends)


def resampled(
    group: str, name: str, subjects: pd.DataFrame, number: Callable[[pd.DataFrame], float], reference: Reference
) -> Row:
    """The row of a number that only a group has, with its interval from resampled subjects."""
    interval, count = UNKNOWN, len(subjects)
    if count > 1:
        interval = bootstrap_number(lambda drawn: number(subjects.iloc[drawn]), count)
    return Row(group, name, number(subjects), count, reference=reference, interval=interval)


def realism_rows(measured: Measured, templates: pd.DataFrame, donors: pd.DataFrame, touching: list[Pairs]) -> list[Row]:
    """All rows in the order of the page; what a folder does not contain is left out."""
    healthy = healthy_of(measured.subjects)
    return [
        *_image_rows(measured.images, templates),
        *_size(measured.subjects),  # no disease here changes the size of a head
        *_volumes(healthy),
        *_spread(healthy, donors),
        *_map(measured.subjects),
        *_sameness(measured, touching),
        *_aging(healthy),
    ]


def healthy_of(subjects: pd.DataFrame) -> pd.DataFrame:
    """Controls without a lesion, to whom published values apply; all subjects where they are fewer than `FEWEST`."""
    ill = subjects["lesion"].isin(["true", "True", "1"]) | ~subjects["diagnosis"].isin(["", "control"])
    return subjects[~ill] if (~ill).sum() >= FEWEST else subjects


def _between(values: Any, what: str, source: str) -> Reference:
    low, high = float(np.min(values)), float(np.max(values))
    return Reference(low, high, f"{low:.2f} to {high:.2f} ({what})", source)


def _image_rows(images: pd.DataFrame, templates: pd.DataFrame) -> Iterator[Row]:
    by_modality = {str(name): table for name, table in images.groupby("modality")}
    scans = {name: by_modality.get(name, pd.DataFrame({"lesion_type": []})) for name in ORDER}
    ratios = [name for name in TISSUES if f"ratio/{name}" in templates]
    real = {name: _between(templates[f"ratio/{name}"], "three templates", "templates") for name in ratios}
    yield from rows_of("T1w, over white matter", _columns(scans["T1w"], "ratio/", ratios), "", real)
    adc = "ADC, over white matter"
    healthy = [name for name in RANGES[adc] if name != "stroke"]
    yield from rows_of(adc, _columns(scans["ADC"], "ratio/", healthy), "", RANGES[adc])
    strokes = scans["ADC"][scans["ADC"]["lesion_type"] == "stroke"]
    yield from rows_of(adc, {"stroke": strokes.get("ratio/lesion", ())}, "", RANGES[adc])
    yield from _order(scans)
    for modality in [name for name in ORDER if name not in ("T1w", "ADC")]:
        ours = _columns(scans[modality], "ratio/", ("cortex", "csf", "lesion"))
        yield from rows_of(f"{modality}, over white matter", ours)
    for modality, table in scans.items():
        for site, snr in table.groupby("site")["snr"] if "snr" in table else ():
            name = f"{modality}, {site!s}" if site else modality
            reference = {name: RANGES[NOISE].get(modality, NONE)}
            yield from rows_of(NOISE, {name: snr}, "", reference)
    shading = {f"site {site!s}" if site else "all": 100 * values for site, values in images.groupby("site")["shading"]}
    yield from rows_of("shading of white matter", shading, "%")
    texture = {"T1w": 100 * images.get("texture", pd.Series(dtype=float))}
    reference = {"T1w": _between(100 * templates["texture"], "templates, averages of 152", "templates")}
    yield from rows_of("texture of white matter", texture, "%", reference)


def _columns(table: pd.DataFrame, prefix: str, names: Any) -> dict[str, Any]:
    return {name: table.get(f"{prefix}{name}", ()) for name in names}


def _order(scans: Mapping[str, pd.DataFrame]) -> Iterator[Row]:
    """Whether tissues have the order of textbooks; no published number is claimed."""
    ordered = {name: table["as ordered"].dropna() for name, table in scans.items() if len(table)}
    for row in rows_of("order of tissues", ordered, "share of people"):
        status = "as known" if row.value == 1 else f"outside: wrong in {1 - row.value:.0%} of people"
        yield replace(row, reference=Reference(text=f"order only: {' < '.join(ORDER[row.name])}"), note=status)


def _size(subjects: pd.DataFrame) -> Iterator[Row]:
    if "volume/intracranial" not in subjects:
        return

    def variation(table: pd.DataFrame) -> float:
        return float(table["volume/intracranial"].std() / table["volume/intracranial"].mean())

    def ratio(table: pd.DataFrame) -> float:
        by_sex = table.groupby("sex")["volume/intracranial"].mean()
        return float(by_sex.get("M", nan) / by_sex.get("F", nan))

    for name, number in {"variation of the intracranial volume": variation, "men over women": ratio}.items():
        if number is variation or set(subjects["sex"]) >= {"F", "M"}:
            yield resampled("size", name, subjects, number, RANGES["size"][name])


def _volumes(subjects: pd.DataFrame) -> Iterator[Row]:
    """As they are, and of brains scaled to the published mean: shape without size."""
    published = RANGES["volume"]
    volumes = _columns(subjects, "volume/", published)
    yield from rows_of("volume", volumes, "ml", published)
    if len(volumes["brain"]):
        brain = volumes.pop("brain")
        volumes.pop("intracranial")
        scaled = {name: values * TYPICAL_BRAIN_ML / brain for name, values in volumes.items() if len(values)}
        yield from rows_of("volume, size taken out", scaled, "ml", published)


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Each gray structure that the donors have, as a share of all of them: (subjects, structures)."""
    names = [name for name in (*DONOR_STRUCTURES, *LOBES) if f"volume/{name}" in table]
    volumes = table[[f"volume/{name}" for name in names]].set_axis(names, axis=1)
    return volumes.div(volumes.sum(axis=1), axis=0)


def _spread(subjects: pd.DataFrame, donors: pd.DataFrame) -> Iterator[Row]:
    """Standard deviation over subjects of the logarithm of a structure's share, beside six real people."""
    ours, real = shares(subjects), shares(donors)
    freedom = len(real) - 1
    for name in [one for one in DONOR_STRUCTURES if one in ours]:
        deviation = float(np.log(real[name]).std())
        low, high = (deviation * float(np.sqrt(freedom / stats.chi2.ppf(q, freedom))) for q in (0.975, 0.025))
        text = f"{deviation:.2f}, interval {low:.2f} to {high:.2f} (six donors)"
        reference = Reference(low, high, text, "donors")
        yield resampled("spread between people", name, ours[[name]], _log_deviation, reference)


def _log_deviation(table: pd.DataFrame) -> float:
    return float(np.log(table).std().iloc[0])


def _map(subjects: pd.DataFrame) -> Iterator[Row]:
    group = "map to the template"
    yield from rows_of(group, {"share folded": subjects.get("jacobian/folded", ())}, "", RANGES[group])
    sizes = {f"local size, percentile {q}": subjects.get(f"size/{q}", ()) for q in PERCENTILES}
    yield from rows_of(group, sizes, "× template")
    spread = subjects.get("size/local spread", ())
    yield from rows_of(group, {"spread within a person, sd of the logarithm": spread})
    masses = subjects[subjects["lesion_type"].isin(MASSES)]
    group = "local size around a mass"
    yield from rows_of(group, _columns(masses, "mass/", RINGS), "× the brain's median", RANGES[group])


def _sameness(measured: Measured, touching: list[Pairs]) -> Iterator[Row]:
    same = measured.subjects.get("same as template", ())
    yield from rows_of("one brain, bent", {"voxels with the label that the template has there": same})
    labels = frozenset[int]().union(*set[frozenset[int]]().union(*touching))  # those that donors have
    ours = pairwise_shared([{pair for pair in pairs if pair <= labels} for pairs in measured.touching])
    real = pairwise_shared(touching)[np.triu_indices(len(touching), k=1)]
    interval = bootstrap_subjects(ours[None]) if len(ours) > 2 else UNKNOWN  # over subjects: pairs are dependent
    name = "neighbors that two people share"
    shared = {name: ours[np.triu_indices(len(ours), k=1)]}
    reference = {name: _between(real, "pairs of six donors", "donors")}
    yield from rows_of("one brain, bent", shared, "", reference, interval)


def _aging(subjects: pd.DataFrame) -> Iterator[Row]:
    """Change in ten years, from a straight line through subjects of all ages."""
    ages = pd.to_numeric(subjects["age"], errors="coerce")
    if "volume/intracranial" not in subjects or len(subjects) < 3 or ages.isna().any() or ages.nunique() == 1:
        return
    for name in ("fluid", "cortex", "hippocampus"):
        share = 100 * (subjects[f"volume/{name}"] / subjects["volume/intracranial"])
        line = stats.linregress(ages / 10, share)
        half, slope = float(stats.t.ppf(0.975, len(ages) - 2) * line.stderr), float(line.slope)
        unit = "% of the intracranial volume a decade"
        reference, interval = RANGES["aging"].get(name, NONE), (slope - half, slope + half)
        yield Row("aging", name, slope, len(ages), unit, reference, interval=interval)
