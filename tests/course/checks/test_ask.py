"""How a learner's function is asked: what it may do to its inputs, how long it may take, how it may end."""

import math
import sys
import threading
import time

import numpy as np
import pytest
import torch

from toposlearn.course.checks import ask as asking
from toposlearn.course.checks.ask import TimeUp, ask, call_within


def test_a_function_gets_copies():
    tensor, array = torch.ones(3), np.ones(3)
    seen, _ = ask(lambda *given: given, (tensor, array, (tensor, 2.0)), ("a", "b", "c"))
    assert torch.equal(seen[0], tensor)
    assert seen[0].data_ptr() != tensor.data_ptr()
    assert not np.shares_memory(seen[1], array)
    assert seen[2][0].data_ptr() not in (tensor.data_ptr(), seen[0].data_ptr())


def test_inputs_that_take_a_gradient_come_from_leaves():
    reply = ask(lambda x: 3 * x, (torch.ones(2, requires_grad=True),), ("x",))
    (gradient,) = torch.autograd.grad(reply.answer.sum(), reply.leaves["x"])
    assert gradient.tolist() == [3, 3]


CHANGES = [
    lambda x, y: x.zero_(),
    lambda x, y: x.mul_(2),
    lambda x, y: x.unsqueeze_(0),
    lambda x, y: x.flatten().fill_(3),
    lambda x, y: x.__setitem__(0, 7),
    lambda x, y: x.detach().add_(1),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("learned", [False, True])
def test_a_change_in_place_is_named(change, learned):
    with pytest.raises(AssertionError, match="you changed your input `x` in place"):
        ask(change, (torch.ones(3, requires_grad=learned), 1.0), ("x", "y"))


def test_a_change_of_an_array_or_inside_a_pair_is_named():
    with pytest.raises(AssertionError, match="you changed your input `affine` in place"):
        ask(lambda affine: affine.sort(), (np.array([3.0, 1.0]),), ("affine",))
    with pytest.raises(AssertionError, match="you changed your input `pair` in place"):
        ask(lambda pair: pair[1].add_(1), ((torch.zeros(1), torch.zeros(1)),), ("pair",))


def test_an_exception_is_one_line_with_its_usual_cause():
    def answer(x):
        return torch.relu(missing - x)  # noqa: F821

    with pytest.raises(AssertionError) as refused:
        ask(answer, (torch.ones(2),), ("x",))
    message = str(refused.value)
    assert message.startswith("your function stopped with NameError: name 'missing' is not defined (line ")
    assert "`return torch.relu(missing - x)" in message
    assert "; usual cause: `missing` is misspelled" in message
    assert "\n" not in message
    assert refused.value.__cause__ is None


def test_an_exception_without_a_usual_cause_is_shown_whole():
    def answer(x):
        raise KeyError("odd")

    with pytest.raises(AssertionError, match=r"stopped with KeyError: 'odd' \(line \d+: `raise KeyError") as refused:
        ask(answer, (1.0,), ("x",))
    assert isinstance(refused.value.__cause__, KeyError)


def test_an_assertion_of_the_learner_is_an_exception_as_any_other():
    def answer(x):
        assert x < 0, "x is positive"

    with pytest.raises(AssertionError, match="your function stopped with AssertionError: x is positive"):
        ask(answer, (1.0,), ("x",))


def test_what_is_no_function_is_said_to_be_none():
    with pytest.raises(AssertionError, match="this is int, no function"):
        ask(3, (1.0,), ("x",))


def test_a_learners_warnings_stay_with_the_learner():
    assert ask(lambda x: x / 0, (np.ones(1),), ("x",)).answer == math.inf


def endless(x):
    while True:
        x = x + 1


def stubborn(x):
    while True:
        try:
            x = x + 1
        except Exception:
            continue


def deaf(x):
    start = time.monotonic()
    while time.monotonic() < start + 60:
        try:
            x = x + 1
        except:  # noqa: E722
            pass
        else:
            if time.monotonic() > start + 1.2:
                while True:
                    x = x + 1


@pytest.mark.parametrize("loop", [endless, stubborn, deaf])
def test_an_endless_loop_is_stopped_and_its_line_named(loop, monkeypatch):
    monkeypatch.setattr(asking, "SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(
        AssertionError, match=r"still running after 0.2 s \(line \d+: `.*`\) and was stopped; usual cause: a"
    ):
        ask(loop, (torch.zeros(1),), ("x",))
    assert time.monotonic() - start < 30


def test_a_time_limit_works_in_any_thread():
    caught = []

    def work():
        try:
            call_within(0.1, lambda: endless(0))
        except TimeUp as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert len(caught) == 1


@pytest.mark.parametrize("error", [None, KeyError])
def test_no_late_alarm_hits_what_comes_after(error):
    """Calls of 0 to 3 ms, at a limit of 0.5: the alarm arrives inside, or not at all."""
    ended = {"in time": 0, "stopped": 0}

    def about(seconds):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        if error:
            raise error

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # the two threads take turns all the time
    try:
        for i in range(1000):
            ended[_outcome(lambda i=i: about(3e-6 * i))] += 1
            for _ in range(200):
                pass  # an alarm that is still on its way would arrive here
    finally:
        sys.setswitchinterval(interval)
    assert sum(ended.values()) == 1000
    assert min(ended.values()) > 0


def _outcome(call):
    try:
        call_within(0.0005, call)
    except KeyError:
        return "in time"
    except TimeUp:
        return "stopped"
    return "in time"
