"""What predicts each label without any learned representation, which properties go together, and both as tables.

A network that predicts a label no better than a shortcut does has shown nothing.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import Template
from numpy.typing import NDArray
from scipy import stats
from sklearn.model_selection import LeaveOneGroupOut
from tqdm import tqdm

from toposlearn.arrays import Float64s
from toposlearn.config import VolumeConfig
from toposlearn.data import read_manifest
from toposlearn.downstream.classification import FEWEST_FOR_AUC
from toposlearn.downstream.splits import identity
from toposlearn.reproducibility import metric, write_result, write_text
from toposlearn.studies.shortcuts.auc import PERMUTATIONS, area_under_curve, cross_validate, permuted, random_splits
from toposlearn.studies.shortcuts.inputs import UNKNOWN, file_features, label_table, shortcut_features, subject_table
from toposlearn.tables import markdown_table

RESULT, ROWS, PAIRS, FEATURES = "results.json", "shortcuts.csv", "association.csv", "features.csv"
PEOPLE, SITES = "people left out", "sites left out"  # ways to split
AT_CHANCE, SHORTCUT, ACCIDENT, UNEXPLAINED, FEW = "at chance", "shortcut", "accident", "unexplained", "too few people"
Row = dict[str, Any]  # of shortcuts.csv
FEWEST_AT_SITE = 5  # people per class, for the AUC of one site
LEVEL = 0.05  # of all tests of one split together
EASY = 0.9  # AUC from which a label that a shortcut is meant to predict is called easy
MARKS = {SHORTCUT: " *", ACCIDENT: " ?", UNEXPLAINED: " !!"}
NESTED = ({"diagnosis", "degree"}, {"lesion", "lesion_type"})  # one is a part of the other
REASONS = yaml.safe_load(Path(__file__).with_name("reasons.yaml").read_text(encoding="utf-8"))


def find_shortcuts(data: Path, out: Path, volume: VolumeConfig, *, permutations: int = PERMUTATIONS) -> Path:
    """Measure how well every shortcut predicts every label of a data folder, and which properties go together.

    Writes ``results.json`` (returned), ``shortcuts.csv``, ``association.csv`` and ``features.csv`` (reused) to `out`.
    """
    started, manifest = time.perf_counter(), read_manifest(data)
    table = subject_table(manifest)
    features = file_features(manifest, volume, out / FEATURES)
    rows = [
        {"label": name, "column": str(name).split()[0], "shortcut": shortcut} | row
        for name, label in tqdm(label_table(table).items(), desc="measuring", unit="label")
        for shortcut, values in shortcut_features(features, table, label).items()
        for row in _measure(label.dropna(), values, table, permutations)
    ]
    simulated = all(identity(record, manifest)[0] == "simulated" for record in manifest.records)
    explained = explain(pd.DataFrame(rows), simulated=simulated)
    write_text(out / ROWS, explained.to_csv(index=False))
    write_text(out / PAIRS, association(table).to_csv(index=False))
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


def _measure(label: pd.Series[float], features: Float64s, table: pd.DataFrame, permutations: int) -> list[Row]:
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

    ``at chance``: not above the range of its null. ``shortcut``: above, with a reason (of the simulated cohort only).
    Without one: ``unexplained`` if too high for the best of as many numbers (Bonferroni), else ``accident``.
    """
    rows = rows.reindex(columns=rows.columns.union(["value", "low", "high", "null_high", "p"], sort=False))
    rows["reason"] = [reason_for(*each) if simulated else "" for each in rows[["label", "shortcut"]].to_numpy()]
    tested = rows["value"].notna() & (rows["reason"] == "")
    tests = tested.groupby(rows["split"]).transform("sum")
    rows["verdict"] = np.select(
        [rows["value"].isna(), rows["value"] <= rows["null_high"], rows["reason"] != "", rows["p"] * tests <= LEVEL],
        [FEW, AT_CHANCE, SHORTCUT, UNEXPLAINED],
        ACCIDENT,
    )
    return rows


def reason_for(label: str, shortcut: str) -> str:
    """Why this shortcut is meant to predict this label of the simulated cohort; empty where it is not meant to."""
    matching = (one for one in REASONS if re.fullmatch(one["labels"], label) and shortcut in one["shortcuts"])
    return str(next(matching, {"reason": ""})["reason"])


def association(table: pd.DataFrame, *, permutations: int = 999) -> pd.DataFrame:
    """How strongly each pair of columns of `subject_table` goes together, from 0 to 1.

    With age, it is the share of the variance of ranks between the groups. People with unknown values are left out.
    """
    rows = []
    for first, second in combinations(table.columns, 2):
        pair = table[[first, second]]
        pair = pair[~pair.isin(UNKNOWN).any(axis=1)]
        if {first, second} not in NESTED and (pair.nunique() > 1).all():
            rows.append((first, second, *_strength(pair, permutations), len(pair)))
    return pd.DataFrame(rows, columns=["first", "second", "measure", "strength", "p", "n"])


def _strength(pair: pd.DataFrame, permutations: int) -> tuple[str, float, float]:
    a, b = (pair[name] for name in sorted(pair, key=lambda name: name != "age"))
    with_age, codes = a.name == "age", b.factorize()[0]

    def strength(values: NDArray[Any]) -> float:
        if with_age:
            groups = [values[codes == code] for code in np.unique(codes)]
            return float(stats.kruskal(*groups).statistic / (len(values) - 1))
        return float(stats.contingency.association(stats.contingency.crosstab(values, codes).count, method="cramer"))

    test = stats.permutation_test(
        (a.astype(float).to_numpy() if with_age else a.factorize()[0],),
        strength,
        permutation_type="pairings",
        vectorized=False,
        n_resamples=permutations,
        alternative="greater",
        random_state=np.random.default_rng(0),
    )
    return "Kruskal-Wallis, H/(n-1)" if with_age else "Cramer's V", float(test.statistic), float(test.pvalue)


def shortcuts_report(folder: Path) -> str:
    """Every table of a result folder of `toposlearn shortcuts`; unexplained shortcuts come last."""
    rows = pd.read_csv(folder / ROWS, keep_default_na=False, na_values=dict.fromkeys(("value", "low", "high", "p"), ""))
    numbers = zip(rows["value"], rows["low"], rows["high"], strict=True)
    cells = [f"{value:.2f} [{low:.2f}, {high:.2f}]" for value, low, high in numbers]
    rows["cell"] = np.where(rows["value"].isna(), FEW, cells)
    splits = {split: part for split, part in rows.groupby("split", sort=False) if split in (PEOPLE, SITES)}
    measured = pd.concat(splits.values()).dropna(subset="value").groupby("label", sort=False)
    template = Template(Path(__file__).with_name("report.md.j2").read_text(encoding="utf-8"), trim_blocks=True)
    report: str = template.render(
        tables={split: shortcuts_table(part) for split, part in splits.items()},
        explained={label: part[part["verdict"] == SHORTCUT] for label, part in measured},
        easy=EASY,
        unpredicted=[label for label, part in measured if not part["verdict"].isin((SHORTCUT, UNEXPLAINED)).any()],
        association=association_table(pd.read_csv(folder / PAIRS)),
        unexplained=rows[rows["verdict"] == UNEXPLAINED].drop_duplicates(["label", "shortcut"]).to_dict("records"),
    )
    return report + "\n"


def shortcuts_table(rows: pd.DataFrame) -> str:
    """One row per label, one column per shortcut, for rows of ``shortcuts.csv`` of one split with their ``cell``."""
    label = "label (with, without)"
    counts = zip(rows["label"], rows["positive"], rows["people"] - rows["positive"], strict=True)
    cells = rows.assign(**{label: [f"{name} ({yes}, {no})" for name, yes, no in counts]})
    cells["cell"] += cells["verdict"].map(MARKS).fillna("")
    table = cells.pivot(index=label, columns="shortcut", values="cell").fillna("-")
    table = table.reindex(index=cells[label].unique(), columns=cells["shortcut"].unique()).reset_index()
    return markdown_table([*map(str, table)], table.to_numpy().tolist())


def association_table(pairs: pd.DataFrame) -> str:
    """One row per pair of properties, for the rows of ``association.csv``."""
    chance = [pairs["p"] > LEVEL, pairs["p"] * len(pairs) > LEVEL]
    status = np.select(chance, ["independent", ACCIDENT], "**dependent**")
    names = pairs["first"] + ", " + pairs["second"]
    strength, p = pairs["strength"].map("{:.2f}".format), pairs["p"].map("{:.3f}".format)
    rows = zip(names, pairs["measure"], strength, p, status, strict=True)
    return markdown_table(("properties", "measure", "strength", "p", ""), list(rows))
