"""What surrounds one structure in several people: how far its neighbors are, who agrees, on which side they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toposlearn.anatomy import Structure
from toposlearn.relations.consistency import fraction_interval
from toposlearn.relations.frame import Array
from toposlearn.relations.graphs import nearest_structures, structure_distances
from toposlearn.relations.layout import Layout
from toposlearn.relations.relations import relation_margins

WAYS = ("lateral", "anterior", "superior")
MORE = 3  # rows at most for structures that are neighbors in some people only


@dataclass(frozen=True, eq=False)
class Surroundings:
    """One structure and its M neighbors in the P people who have it.

    Attributes:
        chosen: the structure.
        k: how many neighbors count.
        subjects: names of the P people who have it.
        asked: how many people were asked.
        shared: how many other structures all P have; only these are compared.
        neighbors: the `k` nearest on average, nearest first; then up to `MORE` that are so in single people.
        distances: (P, M) mm between centroids.
        among: (P, M) bool, is it among this person's `k` nearest?
        offsets: (3, P, M) mm, by how much a neighbor lies further lateral, anterior, superior than the chosen one.
    """

    chosen: Structure
    k: int
    subjects: tuple[str, ...]
    asked: int
    shared: int
    neighbors: tuple[Structure, ...]
    distances: Array
    among: npt.NDArray[np.bool_]
    offsets: Array

    @property
    def chance(self) -> float:
        """Fraction of people who would have a structure among their `k` nearest if names meant nothing."""
        return self.k / self.shared


def compared_structures(subjects: Mapping[str, Layout], chosen: Structure) -> list[Structure]:
    """The other structures that all people who have the chosen one share; nothing if nobody has it."""
    have = [subject for subject in subjects.values() if chosen in subject.structures]
    parts = have[0].structures if have else ()
    return [part for part in parts if part != chosen and all(part in subject.structures for subject in have)]


def surroundings(subjects: Mapping[str, Layout], chosen: Structure, k: int = 5) -> Surroundings:
    """Measure what surrounds a structure. People may have different structures: those that all share are compared.

    Args:
        subjects: name -> layout; gaps are not needed.
        chosen: the structure.
        k: neighbors that count.

    Raises:
        ValueError: nobody has the structure, or they share fewer than `k` others.
    """
    have = {name: subject for name, subject in subjects.items() if chosen in subject.structures}
    if not have:
        raise ValueError(f"chosen must be a structure that somebody has: nobody has {chosen.full_name}")
    others = compared_structures(have, chosen)
    if not 1 <= k <= len(others):
        raise ValueError(f"k must be between 1 and {len(others)}, the other structures that all people share, got {k}")
    rows = [[subject.index(part) for part in (chosen, *others)] for subject in have.values()]
    distances = np.stack(
        [structure_distances(subject)[np.ix_(r, r)] for subject, r in zip(have.values(), rows, strict=True)]
    )  # (P, S + 1, S + 1), the chosen one first
    nearest = np.stack([nearest_structures(each, k)[0] - 1 for each in distances])  # (P, K) among the others
    among = (nearest[:, :, None] == np.arange(len(others))).any(axis=1)  # (P, S)
    shown = _shown(distances[:, 0, 1:].mean(axis=0), among, k)
    offsets = np.stack([_offsets(subject, r) for subject, r in zip(have.values(), rows, strict=True)], axis=1)
    return Surroundings(
        chosen=chosen,
        k=k,
        subjects=tuple(have),
        asked=len(subjects),
        shared=len(others),
        neighbors=tuple(others[i] for i in shown.tolist()),
        distances=distances[:, 0, 1:][:, shown],
        among=among[:, shown],
        offsets=offsets[:, :, shown],
    )


def _shown(distances: Array, among: npt.NDArray[np.bool_], k: int) -> npt.NDArray[np.int64]:
    """Which of the others (S,) get a row: the k nearest on average, then the nearest that somebody counts in."""
    order = np.argsort(distances, kind="stable")
    rest = [i for i in order[k:].tolist() if among[:, i].any()]
    return np.array([*order[:k].tolist(), *rest[:MORE]], dtype=np.int64)


def _offsets(subject: Layout, rows: list[int]) -> Array:
    """How much further lateral, anterior, superior the others lie than the first of `rows`: (3, S) mm."""
    return np.stack([relation_margins(subject, way)[rows[1:], rows[0]] for way in WAYS])


def agreement(count: int, subjects: int) -> str:
    """How many people agree, with the exact 95 % interval of the fraction: ``6 of 6 [.54, 1]``."""
    ends = ", ".join(_short(end) for end in fraction_interval(count, subjects))
    return f"{count} of {subjects} [{ends}]"


def readable(part: Structure) -> str:
    """Name with its side, without hyphens."""
    return part.full_name.replace("-", " ")


def describe_surroundings(found: Surroundings) -> str:
    """The neighbors in one sentence each, nearest first."""
    have = f"{len(found.subjects)} of {found.asked} people have the {readable(found.chosen)}."
    rows = zip(found.neighbors[: found.k], found.distances.mean(axis=0), found.among.sum(axis=0), strict=False)
    told = [f"{readable(part)}, {mm:.0f} mm, {agreement(int(n), len(found.subjects))}" for part, mm, n in rows]
    return f"{have} Its {found.k} nearest: {'; '.join(told)}. By chance {_short(found.chance)}."


def _short(fraction: float) -> str:
    """A fraction as ``.54``; 0 and 1 only if they are exact."""
    if fraction in (0, 1):
        return f"{fraction:.0f}"
    words = f"{fraction:.2f}"
    return {"0.00": "<.01", "1.00": ">.99"}.get(words, words.lstrip("0"))
