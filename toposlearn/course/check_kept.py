"""Check of the exercise on relations kept: what a learner wrote against the right answer and the usual mistakes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from toposlearn.course.judge import judge

Margins = npt.NDArray[np.float64]


def check_share_kept(fn: Callable[[Margins, Margins, float], float]) -> str:
    """``fn(before, after, least)``: the share of relations that were decided before and have the same sign after.

    `before` and `after` (P,) are margins in mm of the same P relations in a head and in the changed head; a relation is
    decided where its margin is larger than `least`, either way.
    """
    before = np.array([12, 3, 5, 1.5, 8, 4, 6, -7, -2, -9, -3, -5, 0.4, -0.3, 0.9, 0.2])
    after = np.array([9, 7, 2, 4, 6, 0.2, -1, -4, -8, -0.5, 2, 6, 3, 5, -2, -6])
    least = 1.1
    decided, same = np.abs(before) > least, np.sign(before) == np.sign(after)
    positive, held = before > least, after > 0
    mistakes = {
        "relations that the template does not decide are counted: leave out those with |before| up to `least`.": (
            same.mean()
        ),
        "a relation that did not hold and still does not is kept as well: compare signs, do not ask for a positive "
        "margin (hint: `np.sign`).": (positive & held).sum() / decided.sum(),
        "relations with a negative margin are decided as well (hint: `np.abs`).": held[positive].mean(),
        "a margin that got small has not turned: ask for `least` before the change, not after it.": (
            (same & (np.abs(after) > least))[decided].mean()
        ),
        "this is how many are kept: divide by how many were decided.": same[decided].sum(),
        "this divides by all relations: divide by those that were decided.": (same & decided).mean(),
        "this is the share that broke: what is kept is the rest.": 1 - same[decided].mean(),
    }
    right = same[decided].mean()
    judged = judge(
        "share kept",
        _number(fn(before, after, least)),
        torch.tensor(float(right)),
        {hint: torch.tensor(float(value)) for hint, value in mistakes.items()},
        "Only what was decided before can be kept, and small is not turned.",
    )
    judge("share kept when nothing changes", _number(fn(before, before, least)), torch.tensor(1.0), {}, "")
    return judged


def _number(got: object) -> object:
    """NumPy's numbers as Python's; anything else as it is."""
    return got.item() if isinstance(got, np.generic) else got
