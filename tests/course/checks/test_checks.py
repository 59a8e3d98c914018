"""What holds for every check of the course, whatever the exercise."""

import numpy as np
import pytest
import torch

from toposlearn.cohort.contrast import PulseSequence, signal
from toposlearn.course import checks
from toposlearn.course.checks.ask import copy
from toposlearn.course.checks.compare import same_values

CHECKS = {name: getattr(checks, name) for name in vars(checks) if name.startswith("check_")}
MISTAKES = [(name, hint) for name, check in CHECKS.items() for hint in check.mistakes]
every_check = pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
NUMBERS_ONLY = "check_null_time"  # nothing in it can be changed in place
every_check_of_arrays = pytest.mark.parametrize(
    "check",
    [check for name, check in CHECKS.items() if name != NUMBERS_ONLY],
    ids=[n for n in CHECKS if n != NUMBERS_ONLY],
)


@every_check
def test_the_right_answer_passes(check):
    assert check(check.right) == f"Right. {check.words[1]}"


@pytest.mark.parametrize(("name", "hint"), MISTAKES, ids=[f"{name}-{hint[:40]}" for name, hint in MISTAKES])
def test_each_mistake_gets_its_own_hint(name, hint):
    check = CHECKS[name]
    with pytest.raises(AssertionError) as refused, np.errstate(all="ignore"):
        check(check.mistakes[hint])
    assert hint in str(refused.value)


@every_check
def test_a_memorized_answer_fits_only_the_first_case(check):
    (inputs, *_) = check.cases.values()
    memory = check.right(*inputs)
    with pytest.raises(AssertionError, match="The first case was right: is a size or a value of it part of"):
        check(lambda *_: memory)


@every_check
@pytest.mark.parametrize(
    "nothing", [None, ..., "right", [None], (1, 2, 3), print, object()], ids=lambda it: type(it).__name__
)
def test_anything_else_is_refused_in_words(check, nothing):
    with pytest.raises(AssertionError, match=r"returns nothing|expected|print"):
        check(lambda *_: nothing)


@every_check_of_arrays
def test_no_answer_damages_what_the_next_is_asked(check):
    before = [check.right(*inputs) for inputs in check.cases.values()]
    with pytest.raises(AssertionError, match="you changed your input"):
        check(lambda *inputs: [_spoil(value) for value in inputs])
    now = [check.right(*inputs) for inputs in check.cases.values()]
    assert all(same_values(torch.as_tensor(a).detach(), b, 0.0) for a, b in zip(before, now, strict=True))
    assert check(check.right).startswith("Right.")


def _spoil(value):
    """Set all numbers of an argument to 1; scalars of Python cannot be changed, and are given back."""
    if isinstance(value, tuple):
        return [_spoil(item) for item in value]
    if isinstance(value, torch.Tensor | np.ndarray):
        value[...] = 1
    return value


@every_check
def test_cases_drawn_at_random_differ_from_the_first_in_size_or_value(check):
    (first, *_) = check.cases.values()
    for seed in range(20):
        drawn = check.draw(np.random.default_rng(seed))
        assert len(drawn) == len(first)
        assert not same_values(torch.as_tensor(check.right(*drawn)).detach(), check.right(*first), check.near)
        again = check.draw(np.random.default_rng(seed))
        assert all(_equal(a, b) for a, b in zip(drawn, again, strict=True))


def _equal(a, b):
    if isinstance(a, tuple):
        return all(_equal(*pair) for pair in zip(a, b, strict=True))
    return bool((torch.as_tensor(a) == torch.as_tensor(b)).all())


@every_check_of_arrays
def test_copies_of_the_inputs_share_nothing(check):
    (inputs, *_) = check.cases.values()
    copied = [copy(value, []) for value in inputs]
    assert all(_equal(a, b) for a, b in zip(inputs, copied, strict=True))
    _spoil(tuple(copied))
    assert not all(_equal(a, b) for a, b in zip(inputs, copied, strict=True))


def test_the_right_time_gives_no_signal():
    timed = PulseSequence(6000.0, 10.0, checks.check_null_time.right(4200.0, 6000.0))
    assert signal(timed, *np.array([[4200.0], [1600.0], [1.0]])) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("off", [0.9, -0.9])
def test_a_time_found_to_one_millisecond_is_right(off):
    check = checks.check_null_time
    assert check(lambda t1, repetition: check.right(t1, repetition) + off).startswith("Right.")
    with pytest.raises(AssertionError, match=r"too (early|late)"):
        check(lambda t1, repetition: check.right(t1, repetition) + 5 * off)


@pytest.mark.parametrize("exponent", [1, -1, 0])
def test_no_message_about_the_time_speaks_of_infinite_signals(exponent):
    with pytest.raises(AssertionError) as refused, np.errstate(all="ignore"):
        checks.check_null_time(lambda t1, repetition: t1 * np.log(exponent / (2 + np.exp(repetition / t1))))
    assert "inf" not in str(refused.value)


def test_a_match_with_token_zero_counts():
    (case,) = checks.check_error_after_move.cases.values()
    assert (case[0] == 0).any()
    assert (case[0] == -1).any()
