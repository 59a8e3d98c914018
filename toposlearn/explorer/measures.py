"""All tokens of all pairs of people at once: where matches are wrong, on which side, and in which structures.

Without a map to the template nothing here can be measured: tables then have no errors, results are empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from toposlearn.anatomy import STRUCTURES, TISSUES
from toposlearn.arrays import Float64s
from toposlearn.explorer.explorer import LESION_SHARE, View, at_border, name_of
from toposlearn.explorer.scene import Scene
from toposlearn.intervals import across_subjects, bootstrap_subjects
from toposlearn.reproducibility import metric
from toposlearn.topology import nearest_matches, neighbor_overlap

GRID, CHANCE, FLOOR = "grid position", "chance", "best token"
WORST = 0.05  # share of the tokens that are called the worst


def match_table(scene: Scene, method: str, modalities: tuple[str, str], seed: int = 0) -> pd.DataFrame:
    """One row for each foreground token of each person and each other person.

    Args:
        scene: two people or more; of one person the table is empty.
        method: a network of the scene, ``grid position``, ``chance``, or, with the truth, ``best token``.
        modalities: of the token, and of the other person.
        seed: of chance.

    Returns:
        Columns person, other, token, match, error (mm, NaN where unknown), wrong_side (1.0, 0.0, NaN for tokens near
        the midline or where unknown), edge and lesion (is the token at the border of the head,
        in a lesion?), structure, and same_structure and same_tissue (of token and match, the side counts in the first).
    """
    subjects = range(len(scene.subjects.subjects))
    generator = torch.Generator().manual_seed(seed)
    parts = [_pair(scene, method, modalities, p, q, generator) for p in subjects for q in subjects if p != q]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["person", "other", "error"])


def _pair(
    scene: Scene, method: str, modalities: tuple[str, str], p: int, q: int, generator: torch.Generator
) -> pd.DataFrame:
    tokens, others = (scene.mask[subject].nonzero()[:, 0] for subject in (p, q))  # two thirds of the tokens are air
    matches = others[_matches(scene, method, modalities, (p, tokens), (q, others), generator)]
    unknown = torch.full((len(tokens),), float("nan"))
    error, wrong = unknown, unknown
    if scene.template is not None:
        here, there = scene.template[p, tokens], scene.template[q, matches]
        error = (there - here).norm(dim=1)
        wrong = wrong_sides(here, there, scene.token_size / 2)
    lesion = scene.lesion[p, tokens] >= LESION_SHARE if scene.lesion is not None else torch.zeros(len(tokens))
    columns = {"token": tokens, "match": matches, "error": error, "wrong_side": wrong}
    columns |= _same(scene, (p, tokens), (q, matches))
    columns |= {"edge": at_border(scene, p)[tokens].float(), "lesion": lesion.float()}
    table = pd.DataFrame({name: values.numpy() for name, values in columns.items()})
    structures = [""] * len(tokens) if scene.labels is None else map(_structure, scene.labels[p, tokens].tolist())
    return table.assign(subject=p, other=q, structure=list(structures))


def wrong_sides(here: Tensor, there: Tensor, margin: float) -> Tensor:
    """1.0 where template points (N, 3) lie in different halves of the brain, else 0.0; NaN within `margin` mm of x = 0.

    A match in the other half is nearer to the mirror image of the true place than to the true place.
    """
    wrong = (here[:, 0] * there[:, 0] < 0).float()
    return wrong.masked_fill(torch.minimum(here[:, 0].abs(), there[:, 0].abs()) < margin, torch.nan)


def _matches(
    scene: Scene,
    method: str,
    modalities: tuple[str, str],
    first: tuple[int, Tensor],
    second: tuple[int, Tensor],
    generator: torch.Generator,
) -> Tensor:
    """For each of some tokens of one person, the place among some tokens of another: (T,), both as (person, tokens)."""
    (p, tokens), (q, others) = first, second
    if method == CHANCE:
        return torch.randint(len(others), (len(tokens),), generator=generator)
    if method == GRID:
        ends = scene.positions[tokens], scene.positions[others]
    elif method == FLOOR and scene.template is not None:
        ends = scene.template[p, tokens], scene.template[q, others]
    else:
        known = scene.tokens[method]
        ends = known[modalities[0]][p, tokens], known[modalities[1]][q, others]
        return nearest_matches(ends[0][None], ends[1][None])[0]
    return nearest_matches(ends[0][None], ends[1][None], metric="euclidean")[0]


def _same(scene: Scene, first: tuple[int, Tensor], second: tuple[int, Tensor]) -> dict[str, Tensor]:
    """1.0 where tokens of two people have one structure, one tissue; NaN where either is background or unknown."""
    if scene.labels is None:
        unknown = torch.full((len(first[1]),), torch.nan)
        return {"same_structure": unknown, "same_tissue": unknown}
    here, there = (scene.labels[subject, tokens] for subject, tokens in (first, second))
    outside = (here == 0) | (there == 0)
    structure = (here == there).float().masked_fill(outside, torch.nan)
    tissues = {each.label: TISSUES.index(each.tissue) for each in STRUCTURES}
    kinds = [torch.tensor([tissues.get(label, -1) for label in labels.tolist()]) for labels in (here, there)]
    tissue = (kinds[0] == kinds[1]).float().masked_fill(outside | (kinds[0] < 0) | (kinds[1] < 0), torch.nan)
    return {"same_structure": structure, "same_tissue": tissue}


def _structure(label: int) -> str:
    """Name without its side, empty for background."""
    return name_of(label).removeprefix("left ").removeprefix("right ") if label else ""


def share_metrics(tables: Mapping[str, pd.DataFrame], column: str, subjects: int) -> dict[str, dict[str, Any]]:
    """Share of matches for which a column of the tables holds, a metric for each method, with interval over people.

    Args:
        tables: method -> `match_table`; that of ``chance`` gives the null, that of ``grid position`` the baseline.
        column: wrong_side, same_structure or same_tissue.
        subjects: how many people the tables are of.
    """
    values = {name: _matrix(table, column, subjects) for name, table in tables.items()}
    values = {name: matrix for name, matrix in values.items() if _is_complete(matrix)}
    ends = (("null", CHANCE), ("baseline", GRID))
    known = {key: across_subjects(values[name][None]) for key, name in ends if name in values}
    return {name: _estimate(matrix, unit="share", **known) for name, matrix in values.items()}


def structure_metrics(tables: Mapping[str, pd.DataFrame], subjects: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Mean error in mm of the tokens of each structure: structure -> method -> metric, with the interval over people.

    A structure that in some head is no token's most frequent one is left out: it is too small for this token level.
    """
    names = sorted({name for table in tables.values() if "structure" in table for name in table["structure"]} - {""})
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in names:
        parts = {method: table[table["structure"] == name] for method, table in tables.items()}
        values = {method: _matrix(part, "error", subjects) for method, part in parts.items()}
        if all(map(_is_complete, values.values())):
            null = {"null": across_subjects(values[CHANCE][None])} if CHANCE in values else {}
            found[name] = {method: _estimate(matrix, unit="mm", **null) for method, matrix in values.items()}
    return found


def shared_neighbors(scene: Scene, view: View) -> float:
    """Share of the K neighbors in modality a that are neighbors in modality b too, over person a's tokens."""
    tokens, mask = scene.tokens[view.network], scene.mask[view.subject_a][None]
    ends = [tokens[modality][view.subject_a][None] for modality in (view.modality_a, view.modality_b)]
    return float(neighbor_overlap(ends[0], ends[1], view.k, mask).mean())


def _matrix(table: pd.DataFrame, column: str, subjects: int) -> Float64s:
    """Means (S, S) of a column for each pair of people; NaN on the diagonal and where nothing is known."""
    matrix = np.full((subjects, subjects), np.nan)
    if column in table:
        means = table.groupby(["person", "other"])[column].mean().reset_index()
        matrix[means["person"], means["other"]] = means[column]
    return matrix


def _is_complete(matrix: Float64s) -> bool:
    different = ~np.eye(len(matrix), dtype=bool)
    return bool(different.any() and np.isfinite(matrix[different]).all())


def _estimate(matrix: Float64s, **known: Any) -> dict[str, Any]:
    low, high = bootstrap_subjects(matrix[None])
    return metric(across_subjects(matrix[None]), low=low, high=high, n=len(matrix), **known)


def worst_and_all(table: pd.DataFrame) -> pd.DataFrame | None:
    """What the worst matches have in common: shares among them beside those among all tokens; None without truth."""
    known = table.dropna(subset=["error"])
    if known.empty:
        return None
    worst = known[known["error"] >= known["error"].quantile(1 - WORST)]
    rows = {
        "wrong_side": "match on the wrong side",
        "edge": "token at the border of the head",
        "lesion": "token in a lesion",
    }
    parts = {f"worst {WORST:.0%} of the tokens": worst, "all tokens": known}
    return pd.DataFrame({name: part[list(rows)].mean().rename(rows) for name, part in parts.items()})
