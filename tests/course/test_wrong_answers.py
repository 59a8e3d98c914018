"""Answers typed into the exercises of the source notebooks: every wrong one is refused, most with its mistake named."""

import numpy as np
import pytest
from answers_typed import exercises, imported, run_cells, typed

from toposlearn.course.checks import ask

EXERCISES = exercises()
ANSWERS = [one for exercise in EXERCISES for one in typed(exercise)]
RIGHT, WRONG = ([one for one in ANSWERS if (one.kind == "right") is right] for right in (True, False))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Endless loops are stopped early."""
    monkeypatch.setattr(ask, "SECONDS", 1.0)


def test_every_exercise_is_tried_with_ten_wrong_answers_and_five_right_ones():
    for exercise in EXERCISES:
        assert sum(one.exercise == exercise for one in WRONG) >= 10, exercise
        assert sum(one.exercise == exercise for one in RIGHT) >= 5, exercise


@pytest.mark.parametrize("one", RIGHT, ids=str)
def test_a_right_answer_passes(one):
    source = one.exercise.cell(one.body)
    assert run_cells(one.exercise, source, one.exercise.solution).startswith("Right. ")


@pytest.mark.parametrize("one", WRONG, ids=str)
def test_a_wrong_answer_is_refused(one):
    with pytest.raises(AssertionError) as refused:
        run_cells(one.exercise, one.exercise.cell(one.body), one.exercise.solution)
    assert one.fragment in str(refused.value)


def test_nine_in_ten_wrong_answers_have_their_mistake_named(capsys):
    table = {str(e): [one.named for one in WRONG if one.exercise == e] for e in EXERCISES}
    with capsys.disabled():
        print(f"\n{'exercise':26}{'wrong':>6}{'named':>6}{'right':>6}")
        for name, named in table.items():
            right = sum(str(one.exercise) == name for one in RIGHT)
            print(f"{name:26}{len(named):>6}{sum(named):>6}{right:>6}")
        print(f"{'all':26}{len(WRONG):>6}{sum(one.named for one in WRONG):>6}{len(RIGHT):>6}")
    assert sum(one.named for one in WRONG) > 0.9 * len(WRONG)


@pytest.mark.parametrize("one", RIGHT, ids=str)
def test_no_case_drawn_at_random_refuses_a_right_answer(one):
    names = dict(imported(one.exercise.number))
    exec(one.exercise.cell(one.body), names)
    check, answer = names[one.exercise.check.split("(")[0]], names[one.exercise.name]
    for seed in range(40):
        assert check(answer, np.random.default_rng(seed)).startswith("Right. ")
