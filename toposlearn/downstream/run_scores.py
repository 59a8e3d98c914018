"""The scores of each run, kept in its folder, and metrics of all people judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from toposlearn.data import Cache
from toposlearn.downstream.judging import judge, judge_ceiling, judge_prior
from toposlearn.downstream.network_file import NETWORK
from toposlearn.downstream.person_metrics import classification_metrics, regression_metrics
from toposlearn.downstream.segmentation_metrics import segmentation_metrics
from toposlearn.downstream.settings import CLASSIFICATION, SEGMENTATION
from toposlearn.downstream.targets import Target
from toposlearn.reproducibility import atomic_path

SCORES = "scores.csv"  # in the folder of a run
NETWORKS, PRIOR, CEILING = "network", "position prior", "ceiling"  # methods
ALL = "all"  # modalities that are there
Metrics = dict[str, dict[str, Any]]


def run_scores(
    folder: Path,
    train: Cache,
    judged: Cache,
    target: Target,
    some: Sequence[Sequence[str]] = (),
    *,
    references: bool = True,
) -> pd.DataFrame:
    """Scores by method, modalities and person: of the network in `folder`, of the position prior and the ceiling.

    The network is judged with all modalities that are there, and with each of `some`. What is kept is not made again.
    """
    path = folder / SCORES
    wanted = {ALL: None, **{"+".join(present): present for present in some}}
    beside = (PRIOR, CEILING) if references and target.kind == SEGMENTATION else ()
    if path.exists():
        kept = _read(path, target)
        if wanted.keys() <= set(kept.index.unique("present")) and set(beside) <= set(kept.index.unique("method")):
            return kept
    tables = {(NETWORKS, name): judge(folder / NETWORK, judged, present) for name, present in wanted.items()}
    if beside:
        tables |= {(PRIOR, ALL): judge_prior(train, judged, target), (CEILING, ALL): judge_ceiling(judged, target)}
    known = {key: table for key, table in tables.items() if len(table)}  # some modalities no one may have
    with atomic_path(path) as partial:
        pd.concat(known, names=["method", "present"]).to_csv(partial, float_format="%.6g")
    return _read(path, target)


def _read(path: Path, target: Target) -> pd.DataFrame:
    """Scores as stored; names such as 01 or NA are text."""
    index = ["method", "present", "person", *(["class"] if target.kind == SEGMENTATION else [])]
    table = pd.read_csv(path, dtype=dict.fromkeys(index, str), keep_default_na=False, na_values=[""])
    return table.set_index(index)


def metrics_of(tables: Mapping[str, pd.DataFrame], target: Target) -> Metrics:
    """Metric objects by ``[GROUP/]METHOD[/MODALITIES]/MEASURE`` from the `run_scores` of all people of each group."""
    metrics: Metrics = {}
    for group, table in tables.items():
        for (method, present), part in table.groupby(level=["method", "present"], sort=False):
            own = part.droplevel(["method", "present"])
            place = "/".join(filter(None, (group, str(method), "" if present == ALL else str(present))))
            metrics |= {f"{place}/{name}": each for name, each in _metrics(own, target).items()}
    return metrics


def _metrics(scores: pd.DataFrame, target: Target) -> Metrics:
    """Metrics of one method; none where the people who have the modalities are all the same."""
    if target.kind == SEGMENTATION:
        return segmentation_metrics(pd.concat({0: scores}, names=["seed"]))
    truth = scores["truth"].to_numpy()
    if target.kind == CLASSIFICATION:
        if len(set(truth)) < len(target.names):
            return {}
        return classification_metrics(scores[list(target.names)].to_numpy(float)[None], truth.astype(int), target.names)
    if len(set(truth)) < 2:
        return {}
    return regression_metrics(scores["predicted"].to_numpy(float)[None], truth, medians=scores["median"].to_numpy())
