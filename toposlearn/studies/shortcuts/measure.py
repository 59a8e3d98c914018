"""What predicts each label without any learned representation: every shortcut is at chance, or has a stated reason.

This is an examination of data, not of networks: a network that predicts a label no better than a shortcut does has
shown nothing.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from sklearn.model_selection import LeaveOneGroupOut
from tqdm import tqdm

from toposlearn.arrays import Float64s
from toposlearn.config import VolumeConfig
from toposlearn.data import read_manifest
from toposlearn.downstream.classification import FEWEST_FOR_AUC
from toposlearn.downstream.splits import identity
from toposlearn.reproducibility import atomic_path, metric, write_result
from toposlearn.studies.shortcuts.association import association
from toposlearn.studies.shortcuts.auc import PERMUTATIONS, area_under_curve, cross_validate, permuted, random_splits
from toposlearn.studies.shortcuts.inputs import UNKNOWN, file_features, label_table, shortcut_features, subject_table

RESULT, ROWS, PAIRS, FEATURES = "results.json", "shortcuts.csv", "association.csv", "features.csv"
PEOPLE, SITES = "people left out", "sites left out"  # ways to split
AT_CHANCE, SHORTCUT, ACCIDENT, UNEXPLAINED, FEW = "at chance", "shortcut", "accident", "unexplained", "too few people"
FEWEST_AT_SITE = 5  # people per class, for the AUC of one site
LEVEL = 0.05  # of all tests of one split together
REASONS = yaml.safe_load(Path(__file__).with_name("reasons.yaml").read_text(encoding="utf-8"))


def find_shortcuts(
    data: Path, out: Path, volume: VolumeConfig, *, permutations: int = PERMUTATIONS, progress: bool = True
) -> Path:
    """Measure how well every shortcut predicts every label of a data folder, and which properties go together.

    Args:
        data: data folder with participants.tsv.
        out: folder of ``results.json``, ``shortcuts.csv``, ``association.csv`` and the kept ``features.csv``.
        volume: the grid that images are brought to.
        permutations: random orders of each label.
        progress: show progress bars.

    Returns:
        The result file.

    Raises:
        ValueError: participants.tsv has no column that could be a label.
    """
    started, manifest = time.perf_counter(), read_manifest(data)
    table = subject_table(manifest)
    features = file_features(manifest, volume, out / FEATURES, progress=progress)
    rows: list[dict[str, Any]] = []
    for name, label in tqdm(label_table(table).items(), desc="measuring", unit="label", disable=not progress):
        for shortcut, values in shortcut_features(features, table, label).items():
            about = {"label": name, "column": str(name).split()[0], "shortcut": shortcut}
            rows += [about | row for row in _measure(label.dropna(), values, table, permutations)]
    simulated = all(identity(record, manifest)[0] == "simulated" for record in manifest.records)
    explained = explain(pd.DataFrame(rows), simulated=simulated)
    for file, frame in ((ROWS, explained), (PAIRS, association(table))):
        with atomic_path(out / file) as partial:
            frame.to_csv(partial, index=False)
    return write_result(
        out / RESULT,
        source=f"toposlearn shortcuts --data {data}",
        metrics={
            f"{row['label']}/{row['shortcut']}/{row['split']}/auc": metric(
                row["value"], low=row["low"], high=row["high"], null=row["null"], n=row["people"]
            )
            for row in explained[explained["value"].notna()].to_dict("records")
        },
        config={"volume": asdict(volume), "permutations": permutations, "people": len(manifest)},
        seeds=[0],
        seconds=time.perf_counter() - started,
    )


def _measure(
    label: pd.Series[float], features: Float64s, table: pd.DataFrame, permutations: int
) -> list[dict[str, Any]]:
    """One row for people left out, one for sites left out, and one for each site with enough people."""
    positive = label.to_numpy() > 0
    row = {"people": len(positive), "positive": int(positive.sum()), "split": PEOPLE}
    if min(positive.sum(), (~positive).sum()) < FEWEST_FOR_AUC:
        return [row]
    labels = permuted(positive, np.zeros(len(positive)), permutations)
    rows = [row | area_under_curve(cross_validate(features, labels, random_splits(positive)), labels)]
    sites = table.reindex(columns=["site"], fill_value="").loc[label.index, "site"].to_numpy(dtype=str)
    if str(label.name).startswith("site ") or len(set(sites)) < 2 or set(sites) & set(UNKNOWN):
        return rows
    labels = permuted(positive, sites, permutations)
    folds = cross_validate(features, labels, [list(LeaveOneGroupOut().split(sites, groups=sites))])
    rows.append(row | {"split": SITES} | area_under_curve(folds, labels))
    for site, fold in zip(np.unique(sites), folds, strict=True):
        here = positive[fold[0]]
        if min(here.sum(), (~here).sum()) >= FEWEST_AT_SITE:
            row = {"people": len(here), "positive": int(here.sum()), "split": f"site {site} left out"}
            rows.append(row | area_under_curve([fold], labels))
    return rows


def explain(rows: pd.DataFrame, *, simulated: bool) -> pd.DataFrame:
    """Add the columns ``reason`` and ``verdict`` to rows of ``shortcuts.csv``.

    ``at chance``: not above the range of its null. ``shortcut``: above, with a stated reason (known for the simulated
    cohort only). Without a reason: ``unexplained`` if the AUC is too high for the best of as many numbers (Bonferroni),
    else ``accident``.
    """
    rows = rows.reindex(columns=[*rows.columns.union(["value", "low", "high", "null_high", "p"], sort=False)])
    names = zip(rows["label"], rows["shortcut"], strict=True)
    rows["reason"] = [reason_for(*each) if simulated else "" for each in names]
    above = rows["value"] > rows["null_high"]
    tested = rows["value"].notna() & (rows["reason"] == "")
    tests = tested.groupby(rows["split"]).transform("sum")
    rows["verdict"] = np.select(
        [rows["value"].isna(), ~above, rows["reason"] != "", rows["p"] * tests <= LEVEL],
        [FEW, AT_CHANCE, SHORTCUT, UNEXPLAINED],
        ACCIDENT,
    )
    return rows


def reason_for(label: str, shortcut: str) -> str:
    """Why this shortcut is meant to predict this label of the simulated cohort; empty where it is not meant to."""
    matching = (one for one in REASONS if re.fullmatch(one["labels"], label) and shortcut in one["shortcuts"])
    return str(next(matching, {"reason": ""})["reason"])
