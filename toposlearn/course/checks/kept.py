"""Check of the exercise on relations kept: the share, and its usual mistakes.

`before` and `after` (P,) are margins in mm of the same P relations in a head and in the changed head; a relation is
decided where its margin is larger than `least`, either way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toposlearn.course.checks.judge import Check, Inputs

Margins = npt.NDArray[np.float64]


def _cases() -> dict[str, Inputs]:
    before = np.array([12, 3, 5, 1.5, 8, 4, 6, -7, -2, -9, -3, -5, 0.4, -0.3, 0.9, 0.2, 0.6])
    after = np.array([9, 3.8, 2, 4, 6, 0.2, -1, -4, -8, -0.5, 2, 6, 3, 5, -2, -6, 1])
    return {"": (before, after, 1.1)}


def _unchanged() -> dict[str, Inputs]:
    before, _, least = _cases()[""]
    return {"nothing changes": (before, before, least)}


def _draw(rng: np.random.Generator) -> Inputs:
    """No margin lies at 0 or at `least`; one at least is decided."""
    size, least = rng.integers(5, 40), float(rng.uniform(0.5, 3))
    before, after = (rng.choice([-1, 1], size) * rng.uniform(0.1, 0.9, size) * least for _ in range(2))
    large = rng.random(size) < 0.6
    large[0] = True
    before = np.where(large, np.sign(before) * rng.uniform(1.1, 5, size) * least, before)
    return before, np.where(rng.random(size) < 0.6, after * 8, after), least


def _decided(margins: Margins, least: float) -> npt.NDArray[np.bool_]:
    decided: npt.NDArray[np.bool_] = np.abs(margins) > least
    return decided


def _same(before: Margins, after: Margins) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = np.sign(before) == np.sign(after)
    return same


def _kept(before: Margins, after: Margins, least: float) -> float:
    return float(_same(before, after)[_decided(before, least)].mean())


check_share_kept = Check(
    "share kept",
    right=lambda before, after, least: _kept(before, after, least),
    cases=_cases,
    edges=_unchanged,
    draw=_draw,
    mistakes={
        "relations that the template does not decide are counted: leave out those with |before| up to `least`.": (
            lambda before, after, least: _same(before, after).mean()
        ),
        "a relation that did not hold and still does not is kept as well: compare signs, do not ask for a positive "
        "margin (hint: `np.sign`).": (
            lambda before, after, least: ((before > least) & (after > 0)).sum() / _decided(before, least).sum()
        ),
        "relations with a negative margin are decided as well (hint: `np.abs`).": (
            lambda before, after, least: (after > 0)[before > least].mean()
        ),
        "a margin that got small has not turned: ask for `least` before the change, not after it.": (
            lambda before, after, least: (_same(before, after) & _decided(after, least))[_decided(before, least)].mean()
        ),
        "what is small after the change is left out: ask for `least` before the change alone.": (
            lambda before, after, least: _same(before, after)[_decided(before, least) & _decided(after, least)].mean()
        ),
        "you ask which relations are decided *after* the change: ask for `least` before it.": (
            lambda before, after, least: _same(before, after)[_decided(after, least)].mean()
        ),
        "this is how many are kept: divide by how many were decided.": (
            lambda before, after, least: _same(before, after)[_decided(before, least)].sum()
        ),
        "this divides by all relations: divide by those that were decided.": (
            lambda before, after, least: (_same(before, after) & _decided(before, least)).mean()
        ),
        "this is the share that broke: what is kept is the rest.": (
            lambda before, after, least: 1 - _kept(before, after, least)
        ),
        "this is in percent: a share lies between 0 and 1.": lambda before, after, least: (
            100 * _kept(before, after, least)
        ),
        "this is the share of relations that were decided: ask which of them have the same sign after.": (
            lambda before, after, least: _decided(before, least).mean()
        ),
        "only the undecided are left: `>` and `<` are exchanged.": (
            lambda before, after, least: _same(before, after)[~_decided(before, least)].mean()
        ),
        "margins are compared as numbers: they may change, only their signs must not (hint: `np.sign`).": (
            lambda before, after, least: (before == after)[_decided(before, least)].mean()
        ),
        "you ask which margins moved by less than `least`: a relation is kept where its sign is.": (
            lambda before, after, least: (np.abs(after - before) <= least)[_decided(before, least)].mean()
        ),
        "this is the answer for each relation: take the mean (hint: `.mean()`).": (
            lambda before, after, least: _same(before, after)[_decided(before, least)]
        ),
        "this is the answer for each relation, decided or not: pick those that were decided, then take the mean.": (
            lambda before, after, least: _same(before, after)
        ),
    },
    meaning="Only what was decided before can be kept, and small is not turned.",
)
