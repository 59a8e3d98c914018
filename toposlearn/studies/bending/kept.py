"""Spatial relations that a head keeps while it is changed more and more.

A simulated head is a bent template, so this is no evidence that relations are the same in all people (six real people
are, in notebook 02). It measures how much change a relation endures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from toposlearn.anatomy import LabelMap
from toposlearn.arrays import Float32s, Float64s
from toposlearn.cohort.head import CSF
from toposlearn.relations.agreement import permuted_within_sides
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import TABLE_RELATIONS, UNDECIDED, relation_margins
from toposlearn.studies.bending.changes import CHANGES, VOXEL_MM, Scene, grow

TOUCHING = 0.01  # minimum boundary that two neighbors share, in shares of the brain size squared
ADJACENT_DECIDED = 0.005  # minimum difference from it, to be counted
KINDS = (*TABLE_RELATIONS, "apart")  # adjacent: pairs that touch; apart: pairs that do not
DIRECTIONS = KINDS[:3]
PERMUTATIONS = 200  # of the names, for the share kept by chance
Index = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]  # (R,) each: relation, structures a and b


@dataclass(frozen=True, eq=False)
class Kept:
    """Result of a study of the R relations decided in the template, each turned so that it holds there.

    Attributes:
        relations: one row each; columns `structure_a, side_a, relation, structure_b, side_b, margin` (share of brain
            size), `margin_mm` (of directions), `distance_mm` (between centroids).
        draws: one row for each amount of each draw: `change, draw`, all of `Changed` but the label map, and
            `structures`, how many are left.
        margins: (rows of draws, R), as `relative_margins`, positive where the relation still holds; NaN where a
            structure is gone.
        chance: for each of `KINDS`, the share kept when names are permuted within a side.
    """

    relations: pd.DataFrame
    draws: pd.DataFrame
    margins: Float32s
    chance: dict[str, float]


def relative_margins(subject: Layout) -> Float64s:
    """Margins (4, S, S) of `TABLE_RELATIONS` between the S structures of a head, positive where a relation holds.

    Directions in shares of the brain's size. Adjacency: the shared boundary in shares of the size squared, minus
    `TOUCHING`: stricter than `relations.decisions`, since one face of a 2 mm voxel is 4 mm² already.
    """
    directions = [relation_margins(subject, relation) / subject.size for relation in DIRECTIONS]
    return np.stack([*directions, subject.shared / subject.size**2 - TOUCHING])


def study(
    scene: Scene,
    changes: Sequence[str] = tuple(CHANGES),
    *,
    draws: int = 12,
    seed: int = 0,
    voxel: float = VOXEL_MM,
    progress: bool = True,
) -> Kept:
    """Change a head by each of `changes`, in growing amounts and several draws, and count which relations are kept.

    Args:
        scene: the head.
        changes: of `CHANGES`; others raise ValueError.
        draws: number per change, two or more: of a bend, a site or a direction, and of the place between voxels.
        seed: of the draws.
        voxel: mm, of the changed head.
        progress: show a progress bar.
    """
    unknown = [name for name in changes if name not in CHANGES]
    if unknown or not changes:
        raise ValueError(f"changes must be some of {', '.join(CHANGES)}, got {', '.join(unknown) or 'none'}")
    if draws < 2:
        raise ValueError(f"draws must be at least 2, or there is no interval, got {draws}")
    own = layout(without_fluid(scene))
    template = relative_margins(own)
    index = _decided(own, template)
    rows, margins = [], []
    todo = [(name, draw) for name in changes for draw in range(draws)]
    for name, draw in tqdm(todo, desc=f"head {scene.head.family}", unit="draw", disable=not progress):
        generator = np.random.default_rng([seed, list(CHANGES).index(name), draw])
        for changed in grow(CHANGES[name], scene, generator, voxel):
            head, reached = layout(changed.label_map), changed._asdict()
            del reached["label_map"]
            rows.append({"change": name, "draw": draw, **reached, "structures": len(head.structures)})
            margins.append(np.sign(template[index]) * _margins_in(head, own)[index])
    relations = _table(own, template, index)
    by_chance = pd.Series(_kept_by_chance(own, template, index, seed)).groupby(relations["relation"]).mean()
    chance = {kind: float(by_chance[kind]) for kind in KINDS if kind in by_chance}
    return Kept(relations, pd.DataFrame(rows), np.stack(margins).astype(np.float32), chance)


def without_fluid(scene: Scene) -> LabelMap:
    """The template's own label map, without the fluid around the brain."""
    labels = np.where(scene.head.labels == CSF, 0, scene.head.labels).astype(np.int16)
    return LabelMap(labels, scene.head.affine, scene.head.family, scene.head.family)


def _decided(own: Layout, template: Float64s) -> Index:
    """The relations that a template decides: each pair of a side once, in the order in which the direction holds."""
    sides = np.array([each.side for each in own.structures])
    across = (sides[:, None] != sides) & (sides[:, None] != "midline") & (sides != "midline")
    once = np.triu(~across, k=1)
    directed = np.argwhere((template[:-1] > UNDECIDED) & (once | once.T))
    adjacent = np.argwhere((np.abs(template[-1:]) > ADJACENT_DECIDED) & once)
    adjacent[:, 0] = len(DIRECTIONS)
    relation, a, b = np.concatenate([directed, adjacent]).T
    return relation, a, b


def _margins_in(head: Layout, own: Layout) -> Float64s:
    """Margins (4, S, S) in another head between the template's structures; NaN where one of them is gone."""
    margins = np.full((len(TABLE_RELATIONS), len(own.structures), len(own.structures)), np.nan)
    there = np.flatnonzero([structure in head.structures for structure in own.structures])
    margins[:, there[:, None], there] = relative_margins(head)
    return margins


def _kept_by_chance(own: Layout, template: Float64s, index: Index, seed: int) -> Float64s:
    """How often each relation (R,) is kept when structures exchange their names within a side."""
    generator = np.random.default_rng(seed)
    orders = [permuted_within_sides(own.structures, generator) for _ in range(PERMUTATIONS)]
    kept = [template[index] * template[:, order[:, None], order][index] > 0 for order in orders]
    return np.asarray(np.mean(kept, axis=0))


def _table(own: Layout, template: Float64s, index: Index) -> pd.DataFrame:
    """`Kept.relations`."""
    (relation, a, b), margin = index, template[index]
    touching, structures = relation == len(DIRECTIONS), np.array(own.structures, dtype=object)
    return pd.DataFrame(
        {
            "structure_a": [each.name for each in structures[a]],
            "side_a": [each.side for each in structures[a]],
            "relation": np.array(KINDS)[relation + (touching & (margin < 0))],
            "structure_b": [each.name for each in structures[b]],
            "side_b": [each.side for each in structures[b]],
            "margin": np.abs(margin),
            "margin_mm": np.where(touching, np.nan, np.abs(margin) * own.size),
            "distance_mm": np.linalg.norm(own.centers[a] - own.centers[b], axis=1),
        }
    )
