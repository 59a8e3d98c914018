"""The table of the realism page: each measured number with its interval, its reference and its verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from toposlearn.anatomy import TISSUES
from toposlearn.intervals import bootstrap_number, bootstrap_subjects
from toposlearn.studies.realism.measure import MAP_NAMES, Measured, healthy_of
from toposlearn.studies.realism.published import ORDER, RANGES, TYPICAL_BRAIN_ML, UNITS, Reference, status_of
from toposlearn.studies.realism.shapes import RINGS, Pairs, pairwise_shared

DONOR_STRUCTURES = ("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "accumbens")
LOBES = ("frontal-cortex", "parietal-cortex", "temporal-cortex", "occipital-cortex", "insula")
MASSES = ("", "glioma", "low-grade-glioma", "high-grade-glioma", "metastases")
Ends = tuple[float, float]
Row = dict[str, Any]  # column of ``realism.csv`` -> value
UNKNOWN: Ends = (nan, nan)
NOISE = "signal to noise in white matter"


def _row(
    group: str,
    name: str,
    value: float,
    n: int,
    *,
    reference: Reference | None = None,
    people: Ends = UNKNOWN,
    interval: Ends = UNKNOWN,
) -> Row:
    """A row with its unit and verdict; without a reference, with that in ``published.yaml``.

    Value: the mean over scans or subjects, or a number that only a group has; people: 5th and 95th percentile of
    scans or subjects; interval: 95 % interval of the value. NaN where a number is unknown.
    """
    kind = name.partition(", ")[0]
    low, high, text, sources = known = reference or RANGES.get(group, {}).get(kind, Reference())
    verdict = status_of(value, known, *interval)
    if group == "order of tissues":
        text = f"order only: {' < '.join(ORDER[name])}"
        verdict = "as known" if value == 1 else f"outside: wrong in {1 - value:.0%} of people"
    row: Row = {"group": group, "name": name, "value": value, "n": n, "unit": UNITS.get(group, UNITS.get(kind, ""))}
    row |= {"reference": text, "low": low, "high": high, "sources": sources, "verdict": verdict}
    row |= {"people_low": people[0], "people_high": people[1]}
    return row | {"interval_low": interval[0], "interval_high": interval[1]}


def mean_row(
    group: str, name: str, values: Any, reference: Reference | None = None, interval: Ends | None = None
) -> Iterator[Row]:
    """The row of a mean over scans or subjects; none where no value is known."""
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers):
        if interval is None:
            interval = bootstrap_subjects(numbers[None]) if len(numbers) > 1 else UNKNOWN
        low, high = np.percentile(numbers, [5, 95]).tolist()
        mean, count = float(numbers.mean()), len(numbers)
        yield _row(group, name, mean, count, reference=reference, people=(low, high), interval=interval)


def resampled(
    group: str,
    name: str,
    subjects: pd.DataFrame,
    number: Callable[[pd.DataFrame], float],
    reference: Reference | None = None,
) -> Row:
    """The row of a number that only a group has, with its interval from resampled subjects."""
    interval, count = UNKNOWN, len(subjects)
    if count > 1:
        interval = bootstrap_number(lambda drawn: number(subjects.iloc[drawn]), count)
    return _row(group, name, number(subjects), count, reference=reference, interval=interval)


def mean_rows(group: str, columns: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of a group: name -> one number per scan or subject."""
    for name, values in columns.items():
        yield from mean_row(group, name, values)


def realism_table(
    measured: Measured, templates: pd.DataFrame, donors: pd.DataFrame, touching: list[Pairs]
) -> pd.DataFrame:
    """All rows in the order of ``realism.csv``, with its columns; what a folder does not contain is left out."""
    healthy = healthy_of(measured.subjects)
    rows = [
        *_image_rows(measured.images, templates),
        *_size_rows(measured.subjects),  # no disease here changes the size of a head
        *_volume_rows(healthy),
        *_spread_rows(healthy, donors),
        *_map_rows(measured.subjects),
        *_sharing_rows(measured.touching, touching),
        *_aging_rows(healthy),
    ]
    return pd.DataFrame(rows)


def _between(values: Any, what: str, source: str = "templates") -> Reference:
    low, high = float(np.min(values)), float(np.max(values))
    return Reference(low, high, f"{low:.2f} to {high:.2f} ({what})", source)


def _columns(table: pd.DataFrame, prefix: str, names: Iterable[str]) -> dict[str, Any]:
    """Name -> the column ``prefix + name`` of each that the table has."""
    return {name: table[prefix + name] for name in names if prefix + name in table}


def _image_rows(images: pd.DataFrame, templates: pd.DataFrame) -> Iterator[Row]:
    scans = {name: images[images["modality"] == name] for name in ORDER}
    real = _columns(templates, "ratio/", TISSUES)
    for name, values in _columns(scans["T1w"], "ratio/", real).items():
        yield from mean_row("T1w, over white matter", name, values, _between(real[name], "three templates"))
    strokes = scans["ADC"][scans["ADC"]["lesion_type"] == "stroke"]
    adc = _columns(scans["ADC"], "ratio/", RANGES["ADC, over white matter"])
    yield from mean_rows("ADC, over white matter", adc | {"stroke": strokes.get("ratio/lesion", ())})
    yield from mean_rows("order of tissues", {name: table["as ordered"] for name, table in scans.items()})
    for name in [name for name in ORDER if name not in ("T1w", "ADC")]:
        yield from mean_rows(f"{name}, over white matter", _columns(scans[name], "ratio/", ("cortex", "csf", "lesion")))
    for name, table in scans.items():
        noise = {f"{name}, {site!s}" if site else name: values for site, values in table.groupby("site")["snr"]}
        yield from mean_rows(NOISE, noise)
    shading = {f"site {site!s}" if site else "all": values for site, values in images.groupby("site")["shading"]}
    yield from mean_rows("shading of white matter", shading)
    texture = _between(templates["texture"], "templates, averages of 152")
    yield from mean_row("texture of white matter", "T1w", images["texture"], texture)


def _size_rows(subjects: pd.DataFrame) -> Iterator[Row]:
    if "volume/intracranial" in subjects:
        yield resampled("size", "variation of the intracranial volume", subjects, _variation)
        if set(subjects["sex"]) >= {"F", "M"}:
            yield resampled("size", "men over women", subjects, _men_over_women)


def _variation(subjects: pd.DataFrame) -> float:
    volumes = subjects["volume/intracranial"]
    return float(volumes.std() / volumes.mean())


def _men_over_women(subjects: pd.DataFrame) -> float:
    by_sex = subjects.groupby("sex")["volume/intracranial"].mean()
    return float(by_sex.get("M", nan) / by_sex.get("F", nan))


def _volume_rows(subjects: pd.DataFrame) -> Iterator[Row]:
    """As they are, and of brains scaled to the published mean: shape without size."""
    volumes = _columns(subjects, "volume/", RANGES["volume"])
    yield from mean_rows("volume", volumes)
    if "brain" in volumes:
        brain = volumes.pop("brain")
        del volumes["intracranial"]
        scaled = {name: values * TYPICAL_BRAIN_ML / brain for name, values in volumes.items()}
        yield from mean_rows("volume, size taken out", scaled)


def _spread_rows(subjects: pd.DataFrame, donors: pd.DataFrame) -> Iterator[Row]:
    """Standard deviation over subjects of the logarithm of a structure's share, beside six real people."""
    ours, real = (pd.DataFrame(np.log(shares(table))) for table in (subjects, donors))
    freedom = len(real) - 1
    for name in [one for one in DONOR_STRUCTURES if one in ours]:
        deviation = float(real[name].std())
        low, high = (deviation * float(np.sqrt(freedom / stats.chi2.ppf(q, freedom))) for q in (0.975, 0.025))
        text = f"{deviation:.2f}, interval {low:.2f} to {high:.2f} (six donors)"
        reference = Reference(low, high, text, "donors")
        yield resampled(
            "spread between people", name, ours[[name]], lambda drawn: float(drawn.std().iloc[0]), reference
        )


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Each gray structure that the donors have, as a share of all of them: (subjects, structures)."""
    volumes = pd.DataFrame(_columns(table, "volume/", (*DONOR_STRUCTURES, *LOBES)))
    return volumes.div(volumes.sum(axis=1), axis=0)


def _map_rows(subjects: pd.DataFrame) -> Iterator[Row]:
    yield from mean_rows("map to the template", _columns(subjects, "map/", MAP_NAMES))
    masses = subjects[subjects["lesion_type"].isin(MASSES)]
    yield from mean_rows("local size around a mass", _columns(masses, "mass/", RINGS))
    same = subjects.get("same as template", ())
    yield from mean_row("one brain, bent", "voxels with the label that the template has there", same)


def _sharing_rows(subjects: list[Pairs], donors: list[Pairs]) -> Iterator[Row]:
    """How many neighbors two subjects share, of the structures that donors have."""
    labels = frozenset[int]().union(*set[frozenset[int]]().union(*donors))
    ours = pairwise_shared([{pair for pair in pairs if pair <= labels} for pairs in subjects])
    interval = bootstrap_subjects(ours[None]) if len(ours) > 2 else UNKNOWN  # over subjects: pairs are dependent
    shared, real = (matrix[np.triu_indices(len(matrix), k=1)] for matrix in (ours, pairwise_shared(donors)))
    reference = _between(real, "pairs of six donors", "donors")
    yield from mean_row("one brain, bent", "neighbors that two people share", shared, reference, interval)


def _aging_rows(subjects: pd.DataFrame) -> Iterator[Row]:
    """Change in ten years, from a straight line through subjects of all ages."""
    ages = pd.to_numeric(subjects["age"], errors="coerce")
    if "volume/intracranial" not in subjects or len(subjects) < 3 or ages.isna().any() or ages.nunique() == 1:
        return
    for name in ("fluid", "cortex", "hippocampus"):
        line = stats.linregress(ages / 10, 100 * (subjects[f"volume/{name}"] / subjects["volume/intracranial"]))
        half, slope = float(stats.t.ppf(0.975, len(ages) - 2) * line.stderr), float(line.slope)
        yield _row("aging", name, slope, len(ages), interval=(slope - half, slope + half))
