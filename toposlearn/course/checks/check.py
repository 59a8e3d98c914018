"""The check of an exercise: its right answer, its usual mistakes, and the message that an answer gets.

A learner's function is called on cases on which the usual mistakes differ, then on random ones, which no constant fits.
A wrong one raises AssertionError, with the hint of the mistake that explains every answer, or else with the difference.
"""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from toposlearn.course.checks import compare
from toposlearn.course.checks.answers import is_solution
from toposlearn.course.checks.ask import Reply, ask, read_hints

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
    """A check of a learner's function, to be called with it.

    `right` names the arguments in messages, and the file ``hints/NAME.txt`` of its words and usual mistakes.
    """

    right: Callable[..., Any]
    cases: Cases  # no two mistakes give the same answers to them
    draw: Callable[[np.random.Generator], Inputs]  # a case of any size, without ties, so that no right answer fails
    edges: Cases = field(default_factory=dict)  # cases at the edge, asked of an answer that is right so far
    near: float = 1e-5  # the absolute difference up to which two answers are the same

    @property
    def words(self) -> tuple[str, str]:
        """How messages name the answer, and what a right answer means."""
        return read_hints(self.right.__name__, "==")[0]

    @property
    def names(self) -> list[str]:
        """The arguments of the function."""
        return list(inspect.signature(self.right).parameters)

    @cached_property
    def mistakes(self) -> dict[str, Callable[..., Any]]:
        """For each hint a function of the inputs that makes the mistake."""
        return self._functions("##", self.names)

    @cached_property
    def signs(self) -> dict[str, Callable[..., Any]]:
        """For each hint on a mistake of many forms a condition on the answer `got` that shows it."""
        return self._functions("??", ["got", "right", *self.names])

    def _functions(self, mark: str, arguments: Sequence[str]) -> dict[str, Callable[..., Any]]:
        scope, head = vars(sys.modules[self.right.__module__]), f"lambda {', '.join(arguments)}: "
        return {hint: eval(head + body, scope) for hint, body in read_hints(self.right.__name__, mark)}

    def __call__(self, fn: Callable[..., Any], rng: np.random.Generator | None = None) -> str:
        """One line when `fn` is right, else AssertionError; `rng` draws the cases, by default new ones each time."""
        rng = rng or np.random.default_rng()
        drawn = {f"drawn at random, {i}": self.draw(rng) for i in range(1, DRAWN + 1)}
        asked: dict[str, Asked] = {}
        for cases in (self.cases, self.edges, drawn):
            self._try(fn, cases, asked)
        for one in asked.values():
            wrong = compare.wrong_gradient(*one.replies)
            if wrong:
                raise self._refusal("", wrong)
        return f"{'The solution passes.' if is_solution(fn) else 'Right.'} {self.words[1]}"

    def _try(self, fn: Callable[..., Any], cases: Cases, asked: dict[str, Asked]) -> None:
        """Ask for some more cases and note them in `asked`; AssertionError when one is wrong."""
        for name, inputs in cases.items():
            try:
                replies = ask(fn, inputs, self.names), ask(self.right, inputs, self.names)
                got, right = (reply.answer for reply in replies)
                asked[name] = Asked(inputs, compare.read(got, right), compare.as_tensor(right), replies)
            except AssertionError as refused:
                if self._first_wrong(asked) is not None:
                    break  # an earlier answer is wrong already, and says more
                raise self._refusal(name, str(refused)) from refused.__cause__
        wrong = self._first_wrong(asked)
        if wrong is not None:
            raise self._refusal(wrong, self._hint(asked, wrong))

    def _refusal(self, case: str, message: str) -> AssertionError:
        return AssertionError(f"{self.words[0]}{f' ({case})' if case else ''}: {message}")

    def _first_wrong(self, asked: Mapping[str, Asked]) -> str | None:
        for name, (_, got, right, _) in asked.items():
            if not (compare.same_values(got, right, self.near) and compare.same_kind(got, right)):
                return name
        return None

    def _hint(self, asked: Mapping[str, Asked], name: str) -> str:
        """What is wrong about the answer to the case `name`, the first that is wrong."""
        inputs, got, right, _ = asked[name]
        named = compare.wrong_kind(got, right, self.near) or self._mistake(asked)
        if named:
            return named
        sign = next((hint for hint, shows in self.signs.items() if shows(got, right, *inputs)), None)
        hint = sign or compare.difference(got, right, self.near)
        first = name == next(iter(asked))
        return hint if first else f"{hint} The first case was right: is a size or a value of it part of your function?"

    def _mistake(self, asked: Mapping[str, Asked]) -> str | None:
        """The hint of the mistake that explains every answer so far."""
        with np.errstate(all="ignore"):
            for hint, mistake in self.mistakes.items():
                if all(compare.same_values(one.got, mistake(*one.inputs), self.near) for one in asked.values()):
                    return hint
        return None
