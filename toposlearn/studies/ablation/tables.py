"""Tables and sentences written from the result files, so that no number is copied by hand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from toposlearn.config import ROW_NAMES
from toposlearn.pretrain.between_people import RIVALS
from toposlearn.pretrain.people_table import people_table
from toposlearn.pretrain.point_errors import CONTINUOUS, TOKEN
from toposlearn.tables import interval_table, labeled_table

Metrics = Mapping[str, Mapping[str, Any]]
FAMILIES = ("A", "B")
ACROSS = TOKEN
PROBES = ("probe_T1w_T1w", "probe_T1w_T2w", "probe_T2w_T2w")
NETWORKS = ("untrained", "reconstruction", "intra", "inter", "no_reconstruction", "full")
ROWS = (*NETWORKS, "position", "centered", "rigid", "affine", "floor")
WITHOUT = {"reconstruction": "no_reconstruction", "intra": "inter", "inter": "intra"}  # term -> the variant without it
_MATCHERS = yaml.safe_load(Path(__file__).with_name("tables.yaml").read_text(encoding="utf-8"))
MATCHER_ROWS: dict[str, str] = _MATCHERS["rows"]


def read_result(weights: str | Path) -> Mapping[str, Any]:
    """The content of ``results.json`` beside the weights; no metrics and no seeds without such a file."""
    file = Path(weights) / "results.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"metrics": {}, "seeds": []}


def result_section(result: Mapping[str, Any]) -> str:
    """All tables of the content of ``results.json`` in Markdown, with people, seeds and the command."""
    metrics, versions = result["metrics"], result["versions"]
    parts = []
    for family in FAMILIES:
        counted = metrics.get(f"{family}/full/stride8/{ACROSS}")
        if counted:
            parts += [f"**Anatomy {family}** ({counted['n']} held-out people)", comparison_table(metrics, family)]
    parts += real_tables(result, ROW_NAMES)
    for stride in sorted(result["config"]["model"]["token_strides"], reverse=True):
        parts += [f"**Two people, /{stride}: what each part is worth**", difference_table(metrics, stride)]
    parts.append(
        f"Seeds {', '.join(map(str, result['seeds']))}; {result['config']['train']['steps']} steps; mean and 95 % "
        "interval (bootstrap over people, crossed with seeds), mm in template space. "
        f"torch {versions['torch']}, {result['device']}. Made by `{result['source']}`."
    )
    return "\n\n".join(parts) + "\n"


def real_tables(result: Mapping[str, Any], rows: Mapping[str, str]) -> list[str]:
    """Headings and tables of real people, as scanned and posed, one for each token level; none where none are known."""
    parts = []
    for pair, words in {"": "one modality", "-cross": "two modalities"}.items():
        for stride in sorted(result["config"]["model"]["token_strides"], reverse=True):
            keys = {pose: f"R{up}{pair}/NAME/stride{stride}" for pose, up in (("as scanned", "-up"), ("posed", ""))}
            counted = result["metrics"].get(f"{keys['posed'].replace('NAME', 'position')}/{ACROSS}")
            if counted:
                size = stride * result["config"]["volume"]["spacing"]
                parts += [f"**Real people** ({counted['n']}), {words}, {size:g} mm tokens"]
                parts += [people_table(result["metrics"], keys, rows)]
    if parts and (source := result["config"].get("real people", {}).get("source")):
        parts.append(f"Real people: {source}.")
    return parts


def comparison_table(metrics: Metrics, family: str = "A") -> str:
    """One row per variant and control, errors in template mm with 95 % intervals, people of anatomy A or B."""
    levels = {name.split("/")[2] for name in metrics if name.startswith(f"{family}/full/")}
    strides = sorted((int(level.removeprefix("stride")) for level in levels), reverse=True)
    errors = {"same person": "same_person_error", "two people": ACROSS}
    errors["two people, continuous"] = CONTINUOUS
    columns = {f"{kind}, /{n}": f"{family}/NAME/stride{n}/{error}" for n in strides for kind, error in errors.items()}
    table = interval_table(metrics, ROW_NAMES, columns).dropna(axis=1, how="all")
    table["probe Dice T1 / T1→T2 / T2"] = [
        " / ".join(_dice(metrics.get(f"{family}/{name}/stride{strides[-1]}/{probe}")) for probe in PROBES)
        for name in table.index
    ]
    return labeled_table("trained with", table, ROW_NAMES)


def _dice(value: Mapping[str, Any] | None) -> str:
    return "–" if value is None else f"{value['value']:.2f}".lstrip("0")


def difference_table(metrics: Metrics, stride: int) -> str:
    """Full minus each other row, across people, paired: below zero full is better; with 0 inside it is undecided."""
    columns = {f"anatomy {family}": f"{family}/full-NAME/stride{stride}/{ACROSS}" for family in FAMILIES}
    return labeled_table("full minus", interval_table(metrics, ROW_NAMES, columns, sign="+"), ROW_NAMES)


def matchers_section(result: Mapping[str, Any]) -> str:
    """Tables of the content of ``matchers.json`` in Markdown: each token level, and each matcher minus `mutual`."""
    metrics, rows = result["metrics"], MATCHER_ROWS | {name: ROW_NAMES[name] for name in RIVALS}
    strides = sorted(result["config"]["model"]["token_strides"], reverse=True)
    parts = []
    for stride in strides:
        columns = {title: f"A/NAME/stride{stride}/{name}" for title, name in _MATCHERS["columns"].items()}
        nulls = [metrics.get(key.replace("NAME", "untrained"), {}).get("null") for key in columns.values()]
        null = ["*null*", *("–" if value is None else f"{value:.3g}" for value in nulls)]
        table = labeled_table("trained with", interval_table(metrics, rows, columns, 2), rows)
        size = stride * result["config"]["volume"]["spacing"]
        parts += [f"**Two people, tokens of {size:g} mm**", f"{table}\n| {' | '.join(null)} |"]
    parts += real_tables(result, rows)
    parts += ["**Another matcher minus mutual nearest neighbors**", _matcher_changes(metrics, strides)]
    return "\n\n".join(parts) + "\n"


def _matcher_changes(metrics: Metrics, strides: Sequence[int]) -> str:
    levels = [(one, stride) for stride in strides for one in FAMILIES]
    columns = {f"error, {one}, /{stride}, mm": f"{one}/NAME/stride{stride}/{ACROSS}" for one, stride in levels}
    columns[f"probe Dice, A, /{strides[-1]}"] = f"A/NAME/stride{strides[-1]}/{PROBES[0]}"
    rank = "effective_rank/first_modality"
    columns |= {f"effective rank, A, /{stride}": f"A/NAME/stride{stride}/{rank}" for stride in strides}
    rows = {f"{name}-{name.partition('-')[0]}": label for name, label in MATCHER_ROWS.items() if "-" in name}
    return labeled_table("matcher", interval_table(metrics, rows, columns, 2, "+"), rows)


def variants_table(metrics: Metrics, anatomy: str, strides: Sequence[int], spacing: float) -> pd.DataFrame:
    """One row per measured variant and control: errors in mm at `strides` (voxels of `spacing` mm), probe Dice."""
    errors = {
        f"{kind.replace('_', ' ')}, {stride * spacing:g} mm": f"{anatomy}/NAME/stride{stride}/{kind}_error"
        for stride in strides
        for kind in ("same_person", "across_people")
    }
    finest = f"{anatomy}/NAME/stride{min(strides)}"
    probes = {f"probe {' -> '.join(name.split('_')[1:])}": f"{finest}/{name}" for name in PROBES}
    return interval_table(metrics, ROWS, errors).join(interval_table(metrics, ROWS, probes, digits=2)).fillna("–")


class Change(NamedTuple):
    """Error between two people in mm, with a term minus without it; below 0 the term helps."""

    term: str
    anatomy: str
    stride: int
    value: float
    low: float
    high: float

    @property
    def undecided(self) -> bool:
        """Whether the interval contains 0."""
        return self.low <= 0 <= self.high


def term_changes(metrics: Metrics) -> list[Change]:
    """The change by every term, for each anatomy and token level; none for a term that no run lacks alone."""
    changes = []
    for term, other in WITHOUT.items():
        for name in sorted(name for name in metrics if f"/full-{other}/" in name and name.endswith(f"/{ACROSS}")):
            anatomy, _, level, _ = name.split("/")
            if anatomy not in FAMILIES:
                continue
            interval = (metrics[name][key] for key in ("value", "low", "high"))
            changes.append(Change(term, anatomy, int(level.removeprefix("stride")), *interval))
    return changes


def change_in_words(changes: Sequence[Change]) -> list[str]:
    """One sentence per term: in how many comparisons it lowers the error, raises it, or neither."""
    sentences = []
    for term in WITHOUT:
        of_term = [change for change in changes if change.term == term]
        if not of_term:
            sentences.append(f"{term}: not measured, because no run here lacks only this term.")
            continue
        undecided, count = sum(change.undecided for change in of_term), len(of_term)
        lower = sum(change.high < 0 for change in of_term)
        values = [change.value for change in of_term]
        sentences.append(
            f"{term}: lowers the error between two people in {lower} of {count} comparisons, raises it in "
            f"{count - lower - undecided}, and in {undecided} the interval holds 0 ({min(values):+.1f} to "
            f"{max(values):+.1f} mm)."
        )
    return sentences
