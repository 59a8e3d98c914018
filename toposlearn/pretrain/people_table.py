"""Tables and sentences of `between_metrics`: networks beside their rivals, and which rival is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from toposlearn.config import ROW_NAMES
from toposlearn.data import PosedSubjects
from toposlearn.models import Readout, Taco
from toposlearn.pretrain.between_people import POSES, RIVALS, UNTRAINED, modality_pairs
from toposlearn.pretrain.point_errors import CONTINUOUS, FITTED, POINT_TO_TOKEN, TOKEN
from toposlearn.tables import interval_table, labeled_table

Metrics = Mapping[str, Mapping[str, Any]]
READINGS = {
    TOKEN: "at tokens",
    CONTINUOUS: "continuous",
    FITTED: "with neighbors",
    POINT_TO_TOKEN: "point to token",
}
RATER_MM = 0.66  # mean of 32 landmarks, 60 people (AFIDs)


def people_section(metrics: Metrics, networks: Mapping[str, tuple[Taco, Readout]], people: PosedSubjects) -> str:
    """All metrics of `measure_people`: of each modality and token level a table, and the rivals that are better."""
    between = {name: value for name, value in metrics.items() if name.split("/")[1] in POSES}
    parts = [_lines({name: value for name, value in metrics.items() if name not in between})]
    rows = row_names(networks)
    levels = dict.fromkeys(name.split("/")[0] for name in between)
    for pair, level in product(modality_pairs(people.modalities), levels):
        size = int(level.removeprefix("stride")) * people.spacing
        keys = {pose.replace("_", " "): f"{level}/{pose}/{'-'.join(pair)}/NAME" for pose in POSES}
        parts += [f"**{size:g} mm tokens, {' to '.join(pair)}**", people_table(metrics, keys, rows)]
        parts.append("\n".join(f"* {each}" for name in networks for each in better_in_words(metrics, keys, name, rows)))
    if between:
        count = max(value["n"] for value in between.values())
        parts.append(f"{count} people; {people.truth}; 95 % intervals over people.")
        parts += [f"Readings of {name} below a token: {readout}." for name, (_, readout) in networks.items()]
        parts += [f"A human rater of landmarks: {RATER_MM} mm from the consensus of raters."] * bool(people.landmarks)
    return "\n\n".join(filter(None, parts))


def _lines(metrics: Metrics) -> str:
    """One line per metric."""
    rows = {
        name: "  ".join(f"{part} {f'{x:.4g}' if isinstance(x, float) else x}" for part, x in value.items())
        for name, value in metrics.items()
    }
    return "\n".join(f"{name:<36} {row}" for name, row in rows.items())


def row_names(networks: Iterable[str]) -> dict[str, str]:
    """Labels of networks, which are their names, and of what they are compared with, in the order of rows."""
    others = {UNTRAINED: "untrained network"} | {name: ROW_NAMES[name] for name in (*RIVALS, "floor", "random")}
    return {name: name for name in networks} | {name: label.strip("*") for name, label in others.items()}


def people_table(metrics: Metrics, keys: Mapping[str, str], rows: Mapping[str, str]) -> str:
    """One row per network and rival, in Markdown; columns are poses and readings, errors in mm with 95 % intervals.

    `keys` are pose -> the key of `between_metrics`.
    """
    columns = {f"{pose}, {words}": f"{key}/{end}" for pose, key in keys.items() for end, words in READINGS.items()}
    table = interval_table(metrics, rows, columns, digits=2).dropna(axis=1, how="all")
    return labeled_table("error between people, mm", table, rows)


def better_in_words(metrics: Metrics, keys: Mapping[str, str], network: str, rows: Mapping[str, str]) -> list[str]:
    """One sentence per pose and reading: rivals with a smaller error, by the interval of the paired difference."""
    sentences = []
    for pose, key in keys.items():
        for end in (TOKEN, CONTINUOUS, FITTED):
            own = metrics.get(f"{key.replace('NAME', network)}/{end}")
            found: dict[str, dict[str, float]] = {"better": {}, "undecided": {}}
            for rival in RIVALS:
                change = metrics.get(f"{key.replace('NAME', f'{network}-{rival}')}/{end}")
                if change is not None and change["high"] > 0:
                    value = metrics[f"{key.replace('NAME', rival)}/{end}"]["value"]
                    found["better" if change["low"] > 0 else "undecided"][rows[rival].strip("*")] = value
            if own is not None:
                better, undecided = (_listed(values) for values in found.values())
                less = f"{better or 'no rival'} {'are' if len(found['better']) > 1 else 'is'} better"
                open_ = f"; undecided: {undecided}" * bool(undecided)
                sentences.append(f"{network}, {pose}, {READINGS[end]} ({own['value']:.2f} mm): {less}{open_}.")
    return sentences


def _listed(errors: Mapping[str, float]) -> str:
    """Names with their errors, the smallest first."""
    names = [f"{name} ({value:.2f} mm)" for name, value in sorted(errors.items(), key=lambda item: item[1])]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
