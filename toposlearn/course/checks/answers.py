"""The choice between a student's answer and the solution: the solution is used only where nothing was written."""

import dis
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
STUB = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}  # what `...`, `pass` and a docstring compile to


def unless_answered(answer: Callable[..., Any]) -> Callable[[Function], Function]:
    """Decorator of a solution: keep the student's `answer`; take the solution only where `answer` is the empty stub.

    Without it, a solution cell below the exercise would redefine the student's function, and the check would score the
    solution instead.
    """

    def choose(solution: Function) -> Function:
        name = solution.__name__
        if not is_stub(answer) and not is_solution(answer):
            print(f"{name}: your answer is used.")
            return answer  # type: ignore[return-value]  # the student's function takes the solution's place
        print(f"{name}: no answer yet, so the solution is used.")
        solution.is_solution = True  # type: ignore[attr-defined]
        return solution

    return choose


def is_stub(function: object) -> bool:
    """Whether a function does nothing: its body is a docstring, ``...``, ``pass`` or ``return None``."""
    function = inspect.unwrap(function) if callable(function) else function  # what a decorator holds
    if not isinstance(function, FunctionType):
        return False
    steps = list(dis.get_instructions(function))
    does_nothing = {step.opname for step in steps} <= STUB
    return does_nothing and all(step.argval is None for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST"))


def is_solution(function: object) -> bool:
    """Whether a function is the course's own solution."""
    return getattr(function, "is_solution", False)
