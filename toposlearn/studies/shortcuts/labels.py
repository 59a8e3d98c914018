"""The questions that a table of people lets one ask: which column, who counts, and who is a positive.

Every question has two answers, so that one measure (AUC) and one null serve all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toposlearn.data import Manifest

COLUMNS = ("diagnosis", "degree", "lesion", "lesion_type", "site", "sex", "age")
REFERENCE = {"diagnosis": "control", "degree": "n/a", "lesion_type": "n/a"}  # every other value is set against it
UNKNOWN = ("", "n/a")


@dataclass(frozen=True, eq=False)
class Label:
    """One question with two answers.

    Attributes:
        name: column and value, such as ``diagnosis atrophy``.
        column: of participants.tsv.
        subjects: (S,) bool, who counts.
        positive: (S,) bool, who has the value.
    """

    name: str
    column: str
    subjects: NDArray[np.bool_]
    positive: NDArray[np.bool_]

    @property
    def fewest(self) -> int:
        """People in the smaller of the two classes."""
        return int(min(self.positive[self.subjects].sum(), (~self.positive[self.subjects]).sum()))


def people_table(manifest: Manifest) -> pd.DataFrame:
    """A row a person of the manifest, as strings, with `COLUMNS` that participants.tsv has.

    Raises:
        ValueError: it has none of them.
    """
    table = pd.DataFrame([dict(record.info) for record in manifest.records]).fillna("").astype(str)
    table.index = pd.Index([record.subject for record in manifest.records], name="participant_id")
    known = [name for name in COLUMNS if name in table]
    if not known:
        raise ValueError(f"{manifest.root}/participants.tsv has none of the columns {', '.join(COLUMNS)}: add one")
    if "age" in table:
        table["age"] = table["age"].where(pd.to_numeric(table["age"], errors="coerce").notna(), "n/a")
    return table[known]


def labels_of(table: pd.DataFrame) -> list[Label]:
    """Every question that two people or more answer differently.

    Diagnosis and each of its degrees against control, lesion and each type against none, each of several sites against
    the others, sex, and age over its median.
    """
    found = []
    for column in table:
        values = _degrees(table) if column == "degree" else table[column]
        found += _over_median(values) if column == "age" else _classes(str(column), values)
    return [label for label in found if label.fewest > 0]


def _degrees(table: pd.DataFrame) -> pd.Series[str]:
    """``atrophy mild``; n/a is control, and whoever is ill without a degree does not count."""
    if "diagnosis" not in table:
        return table["degree"]
    unknown = table["degree"].isin(UNKNOWN)
    healthy = table["diagnosis"] == REFERENCE["diagnosis"]
    return (table["diagnosis"] + " " + table["degree"]).mask(unknown, "").mask(healthy, REFERENCE["degree"])


def _classes(column: str, values: pd.Series[str]) -> list[Label]:
    reference = REFERENCE.get(column)
    if reference not in set(values):
        reference = None
    known = np.asarray((values == reference) | ~values.isin(UNKNOWN))
    classes = sorted(set(values[known]) - {reference})
    if reference is None and len(classes) == 2:
        classes = classes[1:]
    found = []
    for value in classes:
        positive = np.asarray(values == value)
        subjects = positive | np.asarray(values == reference) if reference else known
        found.append(Label(f"{column} {value}", column, subjects, positive))
    return found


def _over_median(values: pd.Series[str]) -> list[Label]:
    age = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    known = ~np.isnan(age)
    if not known.any():
        return []
    median = float(np.median(age[known]))
    return [Label(f"age over {median:g}", "age", known, age > median)]
