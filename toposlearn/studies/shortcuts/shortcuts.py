"""What explains each label without any representation, and why: every shortcut is at chance, or has a stated reason.

It judges data, not networks: a network that beats chance on a label which a shortcut tells as well has shown nothing.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from toposlearn.arrays import Float64s
from toposlearn.config import VolumeConfig
from toposlearn.data import Manifest, read_manifest
from toposlearn.downstream.classification import FEWEST_FOR_AUC
from toposlearn.downstream.splits import identity
from toposlearn.reproducibility import atomic_path, metric, write_result
from toposlearn.studies.shortcuts import chance
from toposlearn.studies.shortcuts.association import association
from toposlearn.studies.shortcuts.labels import UNKNOWN, Label, labels_of, people_table
from toposlearn.studies.shortcuts.shortcut_features import file_features, shortcut_features

RESULT, ROWS, PAIRS, FEATURES = "results.json", "shortcuts.csv", "association.csv", "features.csv"
PEOPLE, SITES = "people left out", "sites left out"  # ways to split
AT_CHANCE, SHORTCUT, ACCIDENT, UNEXPLAINED, FEW = "at chance", "shortcut", "accident", "unexplained", "too few people"
FEWEST_AT_SITE = 5  # people a class, for the number of one site
LEVEL = 0.05  # of all verdicts of one split together

SIZES = ("volumes, ml", "volumes, shares")


@dataclass(frozen=True)
class Reason:
    """Why a shortcut is meant to tell a label of the simulated cohort."""

    labels: str  # regular expression
    shortcuts: tuple[str, ...]
    words: str


REASONS = (
    Reason("sex .*", ("brain size", "volumes, ml"), "heads of men are larger"),
    Reason("sex .*", ("headers",), "fields of view are fitted to the head, and heads of men are larger"),
    Reason("sex .*", ("histogram",), "brightness counts tell the head's size, and heads of men are larger"),
    Reason("age .*", SIZES, "ventricles grow with age in everybody"),
    Reason("age .*", ("histogram",), "more fluid is seen with age"),
    Reason(".* atrophy.*", SIZES, "atrophy is a change of volumes"),
    Reason(".* atrophy.*", ("histogram",), "more fluid is seen"),
    Reason("diagnosis developmental", SIZES, "one caudate outgrows the other"),
    Reason("lesion true|.*(glioma|metastases)", SIZES, "a mass pushes structures away"),
    Reason("lesion.*", ("histogram",), "lesions have a brightness of their own"),
    Reason("site .*", ("histogram",), "scanners differ in contrast, noise and resolution"),
    Reason("site .*", ("headers",), "sites differ in the thickness and direction of slices"),
)


def reason_for(label: str, shortcut: str) -> str:
    """Why this shortcut is meant to tell this label of the simulated cohort; empty where it is not."""
    return next((one.words for one in REASONS if re.fullmatch(one.labels, label) and shortcut in one.shortcuts), "")


def find_shortcuts(
    data: str | Path,
    out: str | Path,
    volume: VolumeConfig,
    *,
    permutations: int = chance.PERMUTATIONS,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Judge every shortcut on every label of a data folder, and which properties go together.

    Args:
        data: folder of people with participants.tsv.
        out: folder of ``results.json``, ``shortcuts.csv``, ``association.csv`` and the kept ``features.csv``.
        volume: the grid that images are brought to.
        permutations: random orders of each label.
        seed: of folds, orders and bootstrap.
        progress: show progress bars.

    Returns:
        The result file.

    Raises:
        ValueError: participants.tsv has no column that could be a label.
    """
    started, out = time.perf_counter(), Path(out)
    manifest = read_manifest(data)
    table = people_table(manifest)
    features = file_features(manifest, volume, out / FEATURES, progress=progress)
    rows: list[dict[str, Any]] = []
    for label in tqdm(labels_of(table), desc="judging", unit="label", disable=not progress):
        for shortcut, values in shortcut_features(features, table, label).items():
            rows += _judge_label(label, shortcut, values, table, permutations, seed)
    judged = with_verdicts(pd.DataFrame(rows), simulated=_simulated(manifest))
    for name, frame in ((ROWS, judged), (PAIRS, association(table, seed=seed))):
        with atomic_path(out / name) as partial:
            frame.to_csv(partial, index=False)
    return write_result(
        out / RESULT,
        source=f"toposlearn shortcuts --data {data}",
        metrics=_metrics(judged),
        config={"volume": asdict(volume), "permutations": permutations, "people": len(manifest)},
        seeds=[seed],
        seconds=time.perf_counter() - started,
    )


def _simulated(manifest: Manifest) -> bool:
    return all(identity(record, manifest)[0] == "simulated" for record in manifest.records)


def _judge_label(
    label: Label, shortcut: str, values: Float64s, table: pd.DataFrame, permutations: int, seed: int
) -> list[dict[str, Any]]:
    """A row for people left out, one for sites left out, and one for each site that has people enough."""
    about = {"label": label.name, "column": label.column, "shortcut": shortcut}
    positive = label.positive[label.subjects]
    facts = {**about, "people": len(positive), "positive": int(positive.sum())}
    if label.fewest < FEWEST_FOR_AUC:
        return [{**facts, "split": PEOPLE}]
    settings: dict[str, Any] = {"permutations": permutations, "seed": seed}
    known = values[label.subjects]
    folds = chance.random_folds(positive, seed)
    rows = [{**facts, "split": PEOPLE, **asdict(chance.judge(known, positive, folds, **settings))}]
    sites = np.asarray(table["site"][label.subjects] if "site" in table else [""] * len(positive), dtype=str)
    if label.column == "site" or len(set(sites)) < 2 or set(sites) & set(UNKNOWN):
        return rows
    left_out = dict(zip(np.unique(sites), chance.site_folds(sites), strict=True))
    settings["blocks"] = sites
    rows.append({**facts, "split": SITES, **asdict(chance.judge(known, positive, left_out.values(), **settings))})
    for site, fold in left_out.items():
        here = positive[fold[1]]
        if min(here.sum(), (~here).sum()) >= FEWEST_AT_SITE:
            counts = {"people": len(here), "positive": int(here.sum()), "split": f"site {site} left out"}
            rows.append({**about, **counts, **asdict(chance.judge(known, positive, [fold], **settings))})
    return rows


def with_verdicts(rows: pd.DataFrame, *, simulated: bool) -> pd.DataFrame:
    """Adds ``verdict`` and ``reason``.

    ``at chance``: not above the range of its null. ``shortcut``: above, with a stated reason. Without a reason:
    ``unexplained`` if it is too high for the best of as many numbers (Bonferroni), else ``accident``.

    Args:
        rows: as in ``shortcuts.csv``.
        simulated: reasons are known for the simulated cohort only.
    """
    found = rows.reindex(columns=[*rows.columns.union(["value", "null_high", "p"], sort=False)])
    found["reason"] = [
        reason_for(*names) if simulated else "" for names in zip(found["label"], found["shortcut"], strict=True)
    ]
    above = found["value"] > found["null_high"]
    asked = found["value"].notna() & (found["reason"] == "")
    looks = asked.groupby(found["split"]).transform("sum")
    found["verdict"] = np.select(
        [found["value"].isna(), ~above, found["reason"] != "", found["p"] * looks <= LEVEL],
        [FEW, AT_CHANCE, SHORTCUT, UNEXPLAINED],
        ACCIDENT,
    )
    return found


def _metrics(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """``LABEL/SHORTCUT/SPLIT/auc``."""
    known = rows[rows["value"].notna()].rename(columns={"people": "n"}).to_dict("records")
    return {
        f"{row['label']}/{row['shortcut']}/{row['split']}/auc": metric(
            **{name: row[name] for name in ("value", "low", "high", "null", "n")}
        )
        for row in known
    }
