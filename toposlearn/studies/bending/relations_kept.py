"""How many spatial relations of a head are kept while it is changed, by one kind of change, more and more.

A simulated head is a bent template: its relations hold until a bend breaks them. So this is no evidence that relations
are the same in all people (six real people are, in notebook 02). It says how much change a relation endures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from toposlearn.anatomy import LabelMap
from toposlearn.cohort.head import CSF
from toposlearn.relations.agreement import permuted_within_sides
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import TABLE_RELATIONS, UNDECIDED, relation_margins
from toposlearn.studies.bending.changes import CHANGES, Array, Scene
from toposlearn.studies.bending.growing import VOXEL_MM, Changed, grow

TOUCHING = 0.01  # of brain size squared: the boundary that two neighbors share at least
ADJACENT_DECIDED = 0.005  # and this much more or less, to be counted
KINDS = (*TABLE_RELATIONS, "apart")  # pairs that touch, and pairs that do not
MEASURED = tuple(name for name in Changed._fields if name != "label_map")


@dataclass(frozen=True, eq=False)
class Kept:
    """What a study found.

    Attributes:
        relations: a row for each of R relations decided in the template, turned so that it holds there; columns
            `structure_a, side_a, relation, structure_b, side_b, margin` (share of brain size), `margin_mm` (of
            directions), `distance_mm` (between centroids).
        draws: a row for each draw of each amount: `change, draw`, all of `Changed` but the label map, and `structures`,
            how many are left.
        margins: (rows of draws, R), as `relative_margins`, turned so that the relation still holds where positive;
            NaN where a structure is gone.
        chance: for each of `KINDS`, the share kept when names are permuted within a side.
    """

    relations: pd.DataFrame
    draws: pd.DataFrame
    margins: NDArray[np.float32]
    chance: dict[str, float]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(rows of draws, R), whether the relation still holds. One of a structure that is gone does not."""
        return np.asarray(self.margins > 0)


def relative_margins(person: Layout) -> Array:
    """Margins (4, S, S) of `TABLE_RELATIONS` between the S structures of a head, positive where a relation holds.

    Directions in shares of the brain's size. Adjacency: the shared boundary in shares of the size squared, less
    `TOUCHING`: stricter than `relations.decisions`, since one face of a 2 mm voxel is 4 mm² already.
    """
    directions = [relation_margins(person, relation) / person.size for relation in TABLE_RELATIONS[:-1]]
    return np.stack([*directions, person.shared / person.size**2 - TOUCHING])


def study(
    scene: Scene,
    changes: Sequence[str] = tuple(CHANGES),
    *,
    draws: int = 12,
    seed: int = 0,
    voxel: float = VOXEL_MM,
    progress: bool = True,
) -> Kept:
    """Change a head by each of `changes`, in growing amounts and several draws, and see which relations are kept.

    Args:
        scene: the head.
        changes: of `CHANGES`.
        draws: of each change: a bend, a site or a direction, and where the head lies between voxels.
        seed: of the draws.
        voxel: mm, of the changed head.
        progress: a bar.

    Raises:
        ValueError: an unknown change, or fewer than two draws.
    """
    unknown = [name for name in changes if name not in CHANGES]
    if unknown or not changes:
        raise ValueError(f"changes must be some of {', '.join(CHANGES)}, got {', '.join(unknown) or 'none'}")
    if draws < 2:
        raise ValueError(f"draws must be at least 2, or there is no interval, got {draws}")
    template = layout(without_fluid(scene))
    which = _decided(template)
    rows, margins = [], []
    todo = [(name, draw) for name in changes for draw in range(draws)]
    for name, draw in tqdm(todo, desc=f"head {scene.head.family}", unit="draw", disable=not progress):
        generator = np.random.default_rng([seed, list(CHANGES).index(name), draw])
        for changed in grow(CHANGES[name], scene, generator, voxel):
            found = layout(changed.label_map)
            reached = {key: getattr(changed, key) for key in MEASURED}
            rows.append({"change": name, "draw": draw, **reached, "structures": len(found.structures)})
            margins.append(_margins(template, which, found))
    relations = _relation_table(template, which)
    chance = pd.Series(_kept_by_chance(template, which, seed)).groupby(relations["relation"]).mean()
    by_kind = {kind: float(chance[kind]) for kind in KINDS if kind in chance}
    return Kept(relations, pd.DataFrame(rows), np.stack(margins).astype(np.float32), by_kind)


def without_fluid(scene: Scene) -> LabelMap:
    """The template's own label map, fluid around the brain left out."""
    labels = np.where(scene.head.labels == CSF, 0, scene.head.labels).astype(np.int16)
    return LabelMap(labels, scene.head.affine, scene.head.family, scene.head.family)


def _decided(template: Layout) -> NDArray[np.int64]:
    """(R, 3): relation, a, b of each relation that the template decides, each pair of a side once, so that it holds."""
    sides, margins = np.array([structure.side for structure in template.structures]), relative_margins(template)
    across = (sides[:, None] != sides) & (sides[:, None] != "midline") & (sides != "midline")
    once = np.triu(~across, k=1)
    directed = np.argwhere((margins[:-1] > UNDECIDED) & (once | once.T))
    adjacent = np.argwhere((np.abs(margins[-1]) > ADJACENT_DECIDED) & once)
    last = np.full((len(adjacent), 1), len(margins) - 1)
    return np.concatenate([directed, np.hstack([last, adjacent])])


def _margins(template: Layout, which: NDArray[np.int64], head: Layout) -> Array:
    """The margin of each relation (R,) in another head, positive where it has the sign that it has in the template."""
    margins = np.full((len(TABLE_RELATIONS), *template.shared.shape), np.nan)
    there = np.flatnonzero([structure in head.structures for structure in template.structures])
    margins[:, there[:, None], there] = relative_margins(head)
    return _turned(template, which, margins)


def _turned(template: Layout, which: NDArray[np.int64], margins: Array) -> Array:
    """Margins (4, S, S) read at each relation (R,), positive where the sign is the template's."""
    relation, a, b = which.T
    return np.asarray(np.sign(relative_margins(template)[relation, a, b]) * margins[relation, a, b])


def _relation_table(template: Layout, which: NDArray[np.int64]) -> pd.DataFrame:
    relation, a, b = which.T
    margin = relative_margins(template)[relation, a, b]
    names, touching = np.array(KINDS), len(TABLE_RELATIONS) - 1
    kind = np.where((relation == touching) & (margin < 0), touching + 1, relation)
    ends = {"a": [template.structures[i] for i in a], "b": [template.structures[i] for i in b]}
    columns = {f"structure_{end}": [part.name for part in parts] for end, parts in ends.items()}
    columns |= {f"side_{end}": [part.side for part in parts] for end, parts in ends.items()}
    table = pd.DataFrame(columns).assign(relation=names[kind], margin=np.abs(margin))
    table["margin_mm"] = np.where(relation == touching, np.nan, np.abs(margin) * template.size)
    table["distance_mm"] = np.linalg.norm(template.centers[a] - template.centers[b], axis=1)
    return table[["structure_a", "side_a", "relation", "structure_b", "side_b", "margin", "margin_mm", "distance_mm"]]


def _kept_by_chance(template: Layout, which: NDArray[np.int64], seed: int, permutations: int = 200) -> Array:
    """How often each relation (R,) is kept in a head whose structures changed their names within a side."""
    generator = np.random.default_rng(seed)
    margins = relative_margins(template)
    kept = np.zeros(len(which))
    for _ in range(permutations):
        order = permuted_within_sides(template.structures, generator)
        kept += _turned(template, which, margins[:, order[:, None], order]) > 0
    return kept / permutations
