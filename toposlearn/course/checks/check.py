"""The check of an exercise: its right answer, its usual mistakes, and the message that an answer gets.

An answer is asked for cases on which the usual mistakes differ, then for cases drawn at random, which no constant fits.
A right one gives one line to read; a wrong one raises AssertionError, with the hint of the mistake that explains every
answer, or else with the difference.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from toposlearn.course.checks.answers import is_solution
from toposlearn.course.checks.ask import Reply, ask
from toposlearn.course.checks.compare import (
    as_tensor,
    difference,
    read,
    refuse_cut_gradient,
    same_kind,
    same_values,
    wrong_kind,
)
from toposlearn.course.checks.hints import read_hints

Inputs = tuple[Any, ...]
Cases = Mapping[str, Inputs]
DRAWN = 3  # cases drawn at random


class Asked(NamedTuple):
    """An answer to one case and the right one, as tensors; both also as they were given, for the gradient."""

    inputs: Inputs
    got: Tensor
    right: Tensor
    replies: tuple[Reply, Reply]


@dataclass(frozen=True)
class Check:
    """Call it with a learner's function.

    Attributes:
        what: how messages name the answer.
        right: the right answer; messages name its arguments, and ``hints/NAME.txt`` lists its usual mistakes.
        cases: name and inputs of cases on which no two mistakes give the same answers.
        draw: a case drawn at random, of any size, without ties, so that no right answer is refused.
        meaning: what a right answer means.
        edges: cases at the edge, asked of an answer that is right so far.
        signs: for each hint whether an answer shows it, ``(answer, *inputs)``; for mistakes of many forms.
        near: the absolute difference up to which two answers are the same.
    """

    what: str
    right: Callable[..., Any]
    cases: Callable[[], Cases]
    draw: Callable[[np.random.Generator], Inputs]
    meaning: str
    edges: Callable[[], Cases] = dict
    signs: Mapping[str, Callable[..., bool]] = field(default_factory=dict)
    near: float = 1e-5

    @property
    def names(self) -> list[str]:
        """The arguments of the function."""
        return list(inspect.signature(self.right).parameters)

    @cached_property
    def mistakes(self) -> dict[str, Callable[..., Any]]:
        """For each hint of the exercise's file a function that makes the mistake, calculated beside `right`."""
        scope, head = vars(sys.modules[self.right.__module__]), f"lambda {', '.join(self.names)}: "
        return {hint: eval(head + answer, scope) for hint, answer in read_hints(self.right.__name__)}

    def __call__(self, fn: Callable[..., Any], rng: np.random.Generator | None = None) -> str:
        """One line when `fn` is right, else AssertionError; `rng` draws the cases, by default new ones each time."""
        rng = rng or np.random.default_rng()
        drawn = {f"drawn at random, {i}": self.draw(rng) for i in range(1, DRAWN + 1)}
        asked: dict[str, Asked] = {}
        for cases in (self.cases(), self.edges(), drawn):
            self._try(fn, cases, asked)
        for one in asked.values():
            try:
                refuse_cut_gradient(*one.replies, one.inputs, self.names)
            except AssertionError as refused:
                raise AssertionError(f"{self.what}: {refused}") from None
        return f"{'The solution passes.' if is_solution(fn) else 'Right.'} {self.meaning}"

    def _try(self, fn: Callable[..., Any], cases: Cases, asked: dict[str, Asked]) -> None:
        """Ask for some more cases and note them in `asked`; AssertionError when one is wrong."""
        for name, inputs in cases.items():
            try:
                replies = ask(fn, inputs, self.names), ask(self.right, inputs, self.names)
                got, right = (reply.answer for reply in replies)
                asked[name] = Asked(inputs, read(got, right), as_tensor(right), replies)
            except AssertionError as refused:
                if self._first_wrong(asked) is not None:
                    break  # an earlier answer is wrong already, and says more
                raise AssertionError(f"{self.what}{_in(name)}: {refused}") from refused.__cause__
        wrong = self._first_wrong(asked)
        if wrong is not None:
            raise AssertionError(f"{self.what}{_in(wrong)}: {self._hint(asked, wrong)}")

    def _first_wrong(self, asked: Mapping[str, Asked]) -> str | None:
        for name, (_, got, right, _) in asked.items():
            if not (same_values(got, right, self.near) and same_kind(got, right)):
                return name
        return None

    def _hint(self, asked: Mapping[str, Asked], name: str) -> str:
        """What is wrong about the answer to the case `name`, the first that is wrong."""
        inputs, got, right, _ = asked[name]
        named = wrong_kind(got, right, self.near) or self._mistake(asked)
        if named:
            return named
        sign = next((hint for hint, shows in self.signs.items() if shows(got, *inputs)), None)
        hint = sign or difference(got, right, self.near)
        first = name == next(iter(asked))
        return hint if first else f"{hint} The first case was right: is a size or a value of it part of your function?"

    def _mistake(self, asked: Mapping[str, Asked]) -> str | None:
        """The hint of the mistake that explains every answer so far."""
        with np.errstate(all="ignore"):
            for hint, mistake in self.mistakes.items():
                if all(same_values(one.got, mistake(*one.inputs), self.near) for one in asked.values()):
                    return hint
        return None


def _in(case: str) -> str:
    return f" ({case})" if case else ""
