"""One number of the realism page: what was measured, what real people or templates have, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toposlearn.intervals import bootstrap_number, bootstrap_subjects
from toposlearn.studies.realism.published import Published, verdict

Floats = NDArray[np.float64]
Interval = tuple[float, float]
NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Row:
    """A number with its reference.

    Attributes:
        value: the mean over people, or a number that only a group has.
        people: 5th and 95th percentile of people; None for a number of a group.
        interval: 95 % interval of the value; None where there is none to be had.
        n: people, or scans, or pairs.
        low: of the reference, as `high`.
        sources: keys of `published.SOURCES`, or ``templates``, ``donors``.
    """

    group: str
    name: str
    value: float
    people: Interval | None
    interval: Interval | None
    n: int
    unit: str = ""
    reference: str = ""
    low: float | None = None
    high: float | None = None
    sources: tuple[str, ...] = ()
    verdict: str = NOT_JUDGED


def judged(row: Row, reference: Published | None) -> Row:
    """The row with its verdict; as it is where there is no reference."""
    if reference is None:
        return row
    said = verdict(row.value, reference.low, reference.high, row.interval)
    return replace(
        row,
        reference=reference.text,
        low=reference.low,
        high=reference.high,
        sources=reference.sources,
        verdict=said,
    )


def row_of(group: str, name: str, values: object, unit: str = "", reference: Published | None = None) -> Iterator[Row]:
    """The row of one number a person; none where nobody has it."""
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return
    interval = bootstrap_subjects(numbers[None]) if len(numbers) > 1 else None
    low, high = np.percentile(numbers, [5, 95]).tolist()
    yield judged(Row(group, name, float(numbers.mean()), (low, high), interval, len(numbers), unit), reference)


def resampled(group: str, name: str, people: pd.DataFrame, of: Callable[[pd.DataFrame], float]) -> Row:
    """The row of a number that only a group has, with its interval from people drawn again; one person has none."""
    interval = bootstrap_number(lambda drawn: of(people.iloc[drawn]), len(people)) if len(people) > 1 else None
    return Row(group, name, of(people), None, interval, len(people))


def columns(table: pd.DataFrame, prefix: str) -> dict[str, Floats]:
    """The columns whose names begin with a prefix, without it."""
    names = [str(name) for name in table if str(name).startswith(prefix)]
    return {name.removeprefix(prefix): table[name].to_numpy(float) for name in names}
