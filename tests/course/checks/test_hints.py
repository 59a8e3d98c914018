"""Exceptions that PyTorch, NumPy and Python really raise, and the cause that is named for each."""

import math  # noqa: F401  # for raised.txt
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from toposlearn.course.checks.ask import read_hints, usual_cause

D, X, A = torch.rand(2, 5, 5), torch.rand(2, 3), np.ones((7, 3))
PAIR = tuple(torch.ones(2, requires_grad=True))
UNKNOWN: dict = {}


def recursive():
    return recursive()


def unbound():
    if A.size < 0:
        value = 1
    return value


BLOCKS = re.findall(r"^## (.+)\n((?:(?!## ).+\n)+)", Path(__file__).with_name("raised.txt").read_text(), re.MULTILINE)
RAISED = [(source, cause) for cause, sources in BLOCKS for source in sources.splitlines()]


@pytest.mark.parametrize(("source", "cause"), RAISED)
def test_an_exception_has_its_usual_cause(source, cause):
    with pytest.raises(Exception) as raised:  # noqa: PT011
        eval(source)
    named = usual_cause(raised.value)
    assert (named is None) if cause == "None" else (cause in (named or "")), f"{raised.value!r}: {named}"


def test_every_cause_of_the_table_is_met_or_stands_for_a_stub():
    errors = []
    for source, _ in RAISED:
        try:
            eval(source)
        except Exception as error:
            errors.append(error)
    met = {usual_cause(error) for error in [*errors, NotImplementedError("your turn")]}
    assert [cause for cause, _ in read_hints("exceptions") if "{0}" not in cause and cause not in met] == []
