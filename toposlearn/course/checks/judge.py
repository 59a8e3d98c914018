"""A check of an exercise: its right answer and its usual mistakes as functions, and what is said about an answer.

An answer is asked for cases that tell the mistakes apart, then for cases drawn at random, which no constant fits. A
right one gives one line to read; a wrong one raises AssertionError, with the hint of the mistake that explains every
answer, or else with the difference.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from toposlearn.course.answers import is_solution
from toposlearn.course.ask import Reply, ask, copy
from toposlearn.course.compare import difference, read, same, same_values, wrong_kind
from toposlearn.course.gradients import refuse_cut_gradient

Inputs = tuple[Any, ...]
Cases = Mapping[str, Inputs]
DRAWN = 3  # cases drawn at random


class Asked(NamedTuple):
    """An answer to one case, as a tensor, and the right one; both also as they were given, for the gradient."""

    inputs: Inputs
    got: Tensor
    right: Any
    replies: tuple[Reply, Reply]


@dataclass(frozen=True)
class Check:
    """Call it with a learner's function.

    Attributes:
        what: how messages name the answer.
        right: the right answer; the names of its arguments are those of the messages.
        cases: name and inputs of cases on which no two mistakes give the same answers.
        draw: a case drawn at random, of any size, without ties, so that no right answer is refused.
        mistakes: for each hint a function that makes the mistake.
        meaning: what is said of a right answer.
        edges: cases at the edge, asked of an answer that is right so far.
        signs: for each hint whether an answer shows it, ``(answer, *inputs)``; for mistakes of many forms.
        near: the absolute difference up to which two answers are the same.
    """

    what: str
    right: Callable[..., Any]
    cases: Callable[[], Cases]
    draw: Callable[[np.random.Generator], Inputs]
    mistakes: Mapping[str, Callable[..., Any]]
    meaning: str
    edges: Callable[[], Cases] = dict
    signs: Mapping[str, Callable[..., bool]] = field(default_factory=dict)
    near: float = 1e-5

    def __call__(self, fn: Callable[..., Any], rng: np.random.Generator | None = None) -> str:
        """One line when `fn` is right, else AssertionError; `rng` draws the cases, by default new ones each time."""
        rng = rng or np.random.default_rng()
        drawn = {f"drawn at random, {i}": self.draw(rng) for i in range(1, DRAWN + 1)}
        asked: dict[str, Asked] = {}
        for cases in (self.cases(), self.edges(), drawn):
            self._try(fn, cases, asked)
        for one in asked.values():
            self._refuse_cut_gradient(one)
        return f"{'The solution passes.' if is_solution(fn) else 'Right.'} {self.meaning}"

    @property
    def names(self) -> list[str]:
        """The arguments of the function."""
        return list(inspect.signature(self.right).parameters)

    def _try(self, fn: Callable[..., Any], cases: Cases, asked: dict[str, Asked]) -> None:
        """Ask for some more cases and note them in `asked`; AssertionError when one is wrong."""
        for name, inputs in cases.items():
            try:
                asked[name] = self._ask(fn, inputs)
            except AssertionError as refused:
                if self._wrong(asked):
                    break  # an earlier answer is wrong already, and says more
                raise AssertionError(f"{self.what}{_in(name)}: {refused}") from refused.__cause__
        wrong = self._wrong(asked)
        if wrong:
            raise AssertionError(f"{self.what}{_in(wrong[0])}: {self._hint(asked, wrong[0])}")

    def _ask(self, fn: Callable[..., Any], inputs: Inputs) -> Asked:
        reply = ask(fn, inputs, self.names)
        leaves: list[Tensor] = []
        right = Reply(self.right(*[copy(value, leaves) for value in inputs]), leaves)
        return Asked(inputs, read(reply.answer, right.answer), right.answer, (reply, right))

    def _refuse_cut_gradient(self, one: Asked) -> None:
        try:
            refuse_cut_gradient(*one.replies, one.inputs, self.names)
        except AssertionError as refused:
            raise AssertionError(f"{self.what}: {refused}") from None

    def _wrong(self, asked: Mapping[str, Asked]) -> list[str]:
        return [name for name, one in asked.items() if not same(one.got, one.right, self.near)]

    def _hint(self, asked: Mapping[str, Asked], name: str) -> str:
        """What is wrong about the answer to the case `name`, the first that is wrong."""
        one = asked[name]
        named = wrong_kind(one.got, one.right, self.near) or self._mistake(asked)
        if named:
            return named
        hint = self._sign(one) or difference(one.got, one.right, self.near)
        first = name == next(iter(asked))
        return hint if first else f"{hint} The first case was right: is a size or a value of it part of your function?"

    def _mistake(self, asked: Mapping[str, Asked]) -> str | None:
        """The hint of the mistake that explains every answer so far."""
        with np.errstate(all="ignore"):
            for hint, mistake in self.mistakes.items():
                if all(same_values(one.got, mistake(*one.inputs), self.near) for one in asked.values()):
                    return hint
        return None

    def _sign(self, one: Asked) -> str | None:
        return next((hint for hint, shows in self.signs.items() if shows(one.got, *one.inputs)), None)


def _in(case: str) -> str:
    return f" ({case})" if case else ""
