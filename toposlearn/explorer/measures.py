"""All tokens of all pairs of people: errors of matches, wrong sides, structures; empty without the true places."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from toposlearn.anatomy import STRUCTURES
from toposlearn.arrays import Float64s
from toposlearn.explore.curves import color_of, draw_intervals
from toposlearn.explorer.answers import LESION_SHARE, View, at_border, name_of, wrong_sides
from toposlearn.explorer.scene import Scene
from toposlearn.intervals import across_subjects, mean_metric
from toposlearn.topology import nearest_matches, neighbor_overlap
from toposlearn.topology.distances import Metric

GRID, CHANCE, FLOOR = "grid position", "chance", "best token"
COLORS = {GRID: "0.45", FLOOR: "0.7"}
WORST = 0.05  # share of the tokens that are called the worst
Metrics = Mapping[str, Mapping[str, Any]]


def match_table(scene: Scene, method: str, modalities: tuple[str, str], seed: int = 0) -> pd.DataFrame:
    """One row for each foreground token of each person and each other person; empty for one person.

    The method is a network of the scene, ``grid position``, ``chance`` (drawn by `seed`), or, with the truth, ``best
    token``. Columns: subject, other, token, match, error (mm, NaN where unknown), wrong_side (1.0, 0.0, NaN near the
    midline or where unknown), edge and lesion (whether the token lies at the border of the head, in a lesion),
    structure, and same_structure and same_tissue (of token and match, the side counts in the first).
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = permutations(range(len(scene.subjects.names)), 2)
    parts = [_pair_table(scene, method, modalities, p, q, generator) for p, q in pairs]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["subject", "other", "error"])


def _pair_table(
    scene: Scene, method: str, modalities: tuple[str, str], p: int, q: int, generator: torch.Generator
) -> pd.DataFrame:
    tokens, others = (scene.mask[subject].nonzero()[:, 0] for subject in (p, q))  # two thirds of the tokens are air
    if method == CHANCE:
        index = torch.randint(len(others), (len(tokens),), generator=generator)
    else:
        first, second = _coordinates(scene, method, modalities, p, q)
        metric: Metric = "cosine" if method in scene.networks else "euclidean"
        index = nearest_matches(first[None, tokens], second[None, others], metric=metric)[0]
    matches = others[index]
    error = wrong = torch.full((len(tokens),), torch.nan)
    if scene.template is not None:
        here, there = scene.template[p, tokens], scene.template[q, matches]
        error, wrong = (there - here).norm(dim=1), wrong_sides(here, there, scene.token_size / 2)
    lesion = scene.lesion[p, tokens] >= LESION_SHARE if scene.lesion is not None else torch.zeros(len(tokens))
    columns = {"token": tokens, "match": matches, "error": error, "wrong_side": wrong}
    columns |= {"edge": at_border(scene, p)[tokens].float(), "lesion": lesion.float()}
    table = pd.DataFrame({name: values.numpy() for name, values in columns.items()}).assign(subject=p, other=q)
    if scene.labels is None:
        return table.assign(structure="", same_structure=np.nan, same_tissue=np.nan)
    return table.assign(**_structures(scene.labels[p, tokens].numpy(), scene.labels[q, matches].numpy()))


def _coordinates(scene: Scene, method: str, modalities: tuple[str, str], p: int, q: int) -> tuple[Tensor, Tensor]:
    """What a method compares: (N, C) of two people."""
    if method == GRID:
        return scene.positions, scene.positions
    if method == FLOOR and scene.template is not None:
        return scene.template[p], scene.template[q]
    return scene.tokens[method][modalities[0]][p], scene.tokens[method][modalities[1]][q]


def _structures(here: np.ndarray, there: np.ndarray) -> dict[str, Any]:
    """Columns on the labels (T,) of tokens and their matches; NaN where either is background or unknown."""
    known = (here != 0) & (there != 0)
    tissues = {each.label: each.tissue for each in STRUCTURES}
    first, second = (pd.Series(labels).map(tissues) for labels in (here, there))
    names = {label: name_of(label).removeprefix("left ").removeprefix("right ") for label in set(here.tolist()) - {0}}
    return {
        "structure": [names.get(label, "") for label in here.tolist()],
        "same_structure": np.where(known, here == there, np.nan),
        "same_tissue": np.where(known & first.notna() & second.notna(), first == second, np.nan),
    }


def share_metrics(tables: Mapping[str, pd.DataFrame], column: str, subjects: int) -> dict[str, dict[str, Any]]:
    """Share of matches with wrong_side, same_structure or same_tissue: method -> metric, with its interval over people.

    Tables are method -> `match_table`; that of ``chance`` gives the null, that of ``grid position`` the baseline.
    """
    values = _matrices(tables, column, subjects)
    known = {
        key: across_subjects(values[name]) for key, name in (("null", CHANCE), ("baseline", GRID)) if name in values
    }
    return {name: mean_metric(matrix[None], unit="share", **known) for name, matrix in values.items()}


def structure_metrics(tables: Mapping[str, pd.DataFrame], subjects: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Mean error in mm of the tokens of each structure: structure -> method -> metric, with its interval over people.

    A structure that in some head is no token's most frequent one is left out: it is too small for this token level.
    """
    names = sorted({name for table in tables.values() if "structure" in table for name in table["structure"]} - {""})
    metrics: dict[str, dict[str, dict[str, Any]]] = {}
    for name in names:
        parts = {method: table[table["structure"] == name] for method, table in tables.items()}
        values = _matrices(parts, "error", subjects)
        if len(values) == len(tables):
            null = {"null": across_subjects(values[CHANCE])} if CHANCE in values else {}
            metrics[name] = {method: mean_metric(matrix[None], unit="mm", **null) for method, matrix in values.items()}
    return metrics


def _matrices(tables: Mapping[str, pd.DataFrame], column: str, subjects: int) -> dict[str, Float64s]:
    """Method -> means (S, S) of a column per pair of people; methods that lack the value of a pair are left out."""
    everyone, different = range(subjects), ~np.eye(subjects, dtype=bool)
    matrices = {}
    for method, table in tables.items():
        means = table.pivot_table(column, "subject", "other") if column in table else pd.DataFrame()
        matrix = np.asarray(means.reindex(index=everyone, columns=everyone), dtype=float)
        if different.any() and np.isfinite(matrix[different]).all():
            matrices[method] = matrix
    return matrices


def shared_neighbors(scene: Scene, view: View) -> float:
    """Share of the K neighbors in modality a that are neighbors in modality b too, over person a's tokens."""
    tokens, mask = scene.tokens[view.network], scene.mask[[view.subject_a]]
    first, second = (tokens[modality][[view.subject_a]] for modality in (view.modality_a, view.modality_b))
    return float(neighbor_overlap(first, second, view.k, mask).mean())


def worst_and_all(table: pd.DataFrame) -> pd.DataFrame | None:
    """What the worst matches have in common: shares among them beside those among all tokens; None without truth."""
    known = table.dropna(subset=["error"])
    if known.empty:
        return None
    worst = known[known["error"] >= known["error"].quantile(1 - WORST)]
    rows = {"wrong_side": "match on the wrong side", "edge": "token at the border of the head"}
    rows["lesion"] = "token in a lesion"
    parts = {f"worst {WORST:.0%} of the tokens": worst, "all tokens": known}
    return pd.DataFrame({name: part[list(rows)].mean().rename(rows) for name, part in parts.items()})


def plot_structures(metrics: Mapping[str, Metrics], methods: Sequence[str], title: str = "") -> Figure | None:
    """Draw `structure_metrics` of some methods, the smallest error of the last method first."""
    if not metrics:
        return None
    names = sorted(metrics, key=lambda name: float(metrics[name][methods[-1]]["value"]))
    figure, ax = plt.subplots(figsize=(7.6, 0.3 * len(names) + 1.4), layout="constrained")
    for place, method in enumerate(methods):
        rows = {name: metrics[name][method] for name in names}
        shift = 0.22 * (place - (len(methods) - 1) / 2)
        colors = dict.fromkeys(names, COLORS.get(method) or color_of(method))
        draw_intervals(ax, rows, colors=colors, shift=shift, label=method, ms=5, capsize=2)
    ax.set_xlim(left=0)
    ax.set_xlabel("mean error of the match in another person (mm)")
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=len(methods), title=title)
    return figure
