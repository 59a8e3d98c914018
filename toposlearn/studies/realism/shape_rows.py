"""Rows on shape: sizes and volumes, spread between people, the map to the template, mass effect, sameness, aging."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from toposlearn.intervals import bootstrap_subjects
from toposlearn.studies.realism import published
from toposlearn.studies.realism.people import Measured
from toposlearn.studies.realism.person import RINGS
from toposlearn.studies.realism.published import Published
from toposlearn.studies.realism.realism_shapes import shared_pairs
from toposlearn.studies.realism.row import Row, columns, judged, resampled, row_of

DONOR_STRUCTURES = ("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "accumbens")
LOBES = ("frontal-cortex", "parietal-cortex", "temporal-cortex", "occipital-cortex", "insula")
MASSES = ("glioma", "low-grade-glioma", "high-grade-glioma", "metastases")
FEWEST = 8  # healthy people to speak of
Pairs = set[tuple[int, int]]


def shape_rows(measured: Measured, donors: pd.DataFrame, touching: Mapping[str, Pairs]) -> Iterator[Row]:
    """All rows on shape, in the order of the page; what a folder does not tell is left out.

    Args:
        measured: of `measure_folder`.
        donors: volumes of the six real people, and
        touching: which of their structures touch, both of `measure_donors`.
    """
    healthy = healthy_of(measured.people)
    yield from _size(measured.people)  # no disease here changes the size of a head
    yield from _volumes(healthy)
    yield from _volumes_of_typical(healthy)
    yield from _spread(healthy, donors)
    yield from _map(measured.people)
    yield from _sameness(measured, touching)
    yield from _aging(healthy)


def healthy_of(people: pd.DataFrame, least: int = FEWEST) -> pd.DataFrame:
    """Controls without a lesion, of whom published values speak; everybody where they are fewer than `least`."""
    kept = people[people["diagnosis"].isin(["", "control"]) & ~people["lesion"].isin(["true", "True", "1"])]
    return kept if len(kept) >= least else people


def _size(people: pd.DataFrame) -> Iterator[Row]:
    if "volume/intracranial" not in people:
        return

    def variation(table: pd.DataFrame) -> float:
        volumes = table["volume/intracranial"]
        return float(volumes.std() / volumes.mean())

    def ratio(table: pd.DataFrame) -> float:
        by_sex = table.groupby("sex")["volume/intracranial"].mean()
        return float(by_sex.get("M", np.nan) / by_sex.get("F", np.nan))

    yield judged(resampled("size", "variation of the intracranial volume", people, variation), published.SIZE_SPREAD)
    if set(people["sex"]) >= {"F", "M"}:
        yield judged(resampled("size", "men over women", people, ratio), published.SEX_RATIO)


def _volumes(people: pd.DataFrame) -> Iterator[Row]:
    found = columns(people, "volume/")
    for name, reference in published.VOLUMES.items():
        yield from row_of("volume", name, found.get(name, ()), "ml", reference)


def _volumes_of_typical(people: pd.DataFrame) -> Iterator[Row]:
    """Volumes of people whose brains are scaled to the published mean: shape without size."""
    found = columns(people, "volume/")
    if "brain" not in found:
        return
    for name, reference in published.VOLUMES.items():
        if name in found and name not in ("brain", "intracranial"):
            scaled = found[name] * published.TYPICAL_BRAIN_ML / found["brain"]
            yield from row_of("volume, size taken out", name, scaled, "ml", reference)


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Each gray structure that donors have, as a share of all of them: (people, structures)."""
    names = [f"volume/{name}" for name in (*DONOR_STRUCTURES, *LOBES)]
    volumes = table[[name for name in names if name in table]]
    return volumes.div(volumes.sum(axis=1), axis=0).rename(columns=lambda name: name.removeprefix("volume/"))


def _spread(people: pd.DataFrame, donors: pd.DataFrame) -> Iterator[Row]:
    """Standard deviation over people of the logarithm of a structure's share, against six real people."""
    ours, real = shares(people), shares(donors)
    freedom = len(real) - 1
    for name in [one for one in DONOR_STRUCTURES if one in ours]:
        deviation = float(np.log(real[name]).std())
        low, high = (deviation * float(np.sqrt(freedom / stats.chi2.ppf(q, freedom))) for q in (0.975, 0.025))
        text = f"{deviation:.2f}, interval {low:.2f} to {high:.2f} (six donors)"
        row = resampled("spread between people", name, ours, partial(_log_deviation, name=name))
        yield judged(row, Published(low, high, text, ("donors",)))


def _log_deviation(table: pd.DataFrame, name: str) -> float:
    return float(np.log(table[name]).std())


def _map(people: pd.DataFrame) -> Iterator[Row]:
    folded = Published(0, 0, "0: no place is folded", ())
    yield from row_of("map to the template", "share folded", people.get("jacobian/folded", ()), "", folded)
    for q in (1, 25, 50, 75, 99):
        name = f"local size, percentile {q}"
        yield from row_of("map to the template", name, people.get(f"size/{q}", ()), "× template")
    spread = people.get("size/local spread", ())
    yield from row_of("map to the template", "spread within a person, sd of the logarithm", spread)
    masses = people[people["lesion_type"].isin(["", *MASSES])]
    for ring in RINGS:
        squeezed = Published(0, 1, "at most 1: tissue is pushed away, it does not grow", ())
        values = masses.get(f"mass/{ring}", ())
        reference = None if ring == "inside" else squeezed
        yield from row_of("local size around a mass", ring, values, "× the brain's median", reference)


def _sameness(measured: Measured, donors: Mapping[str, set[tuple[int, int]]]) -> Iterator[Row]:
    name = "voxels with the label that the template has there"
    yield from row_of("one brain, bent", name, measured.people.get("same as template", ()))
    allowed = set.union(*donors.values())
    kept = {label for pair in allowed for label in pair}
    ours = [{pair for pair in pairs if kept.issuperset(pair)} for pairs in measured.touching.values()]
    real = [shared_pairs(a, b) for a, b in combinations(donors.values(), 2)]
    both = np.zeros((len(ours), len(ours)))
    for (a, mine), (b, other) in combinations(enumerate(ours), 2):
        both[a, b] = both[b, a] = shared_pairs(mine, other)
    text = f"{min(real):.2f} to {max(real):.2f} (pairs of six donors)"
    reference = Published(min(real), max(real), text, ("donors",))
    interval = bootstrap_subjects(both[None]) if len(ours) > 2 else None  # pairs are not independent: people are
    for row in row_of("one brain, bent", "neighbors that two people share", both[np.triu_indices_from(both, k=1)]):
        yield judged(replace(row, interval=interval), reference)


def _aging(people: pd.DataFrame) -> Iterator[Row]:
    """Change in ten years, from a straight line through people of all ages."""
    if "volume/intracranial" not in people or len(people) < 3 or not people["age"].astype(bool).all():
        return
    ages = people["age"].astype(float).to_numpy()
    if np.ptp(ages) == 0:
        return
    for name, reference in (("fluid", published.FLUID_PER_DECADE), ("cortex", None), ("hippocampus", None)):
        share = 100 * (people[f"volume/{name}"] / people["volume/intracranial"]).to_numpy()
        line = stats.linregress(ages / 10, share)
        half = float(stats.t.ppf(0.975, len(ages) - 2) * line.stderr)
        slope, unit = float(line.slope), "% of the intracranial volume a decade"
        row = Row("aging", name, slope, None, (slope - half, slope + half), len(ages), unit)
        yield judged(row, reference)
