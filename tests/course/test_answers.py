"""What is checked in a source notebook is what the student wrote, not the solution that stands below it."""

import ast
import functools

import nbformat
import pytest
from answers_typed import COURSE, ROOT, exercises, run_cells, typed
from notebook_maker import code, write_notebook

from toposlearn.course.checks.answers import is_solution, is_stub, unless_answered
from toposlearn.course.notebooks import read_notebook, read_parameters, tags
from toposlearn.course.run import run_notebook

EXERCISES = exercises()
every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=str)


def test_the_course_has_its_exercises():
    assert " ".join(exercise.number for exercise in EXERCISES) == "01 01 02 03 03 03 03 04 04 05 11 12 13 14 15"


@every_exercise
def test_the_untouched_source_passes_and_says_that_it_was_the_solution(exercise, capsys):
    said = run_cells(exercise, exercise.stub, exercise.solution)
    assert said.startswith("The solution passes. ")
    assert capsys.readouterr().out == f"{exercise.name}: no answer yet, so the solution is used.\n"


@every_exercise
def test_a_wrong_answer_in_the_source_stops_at_its_check_with_the_hint(exercise, capsys):
    wrong = next(one for one in typed(exercise) if one.named)
    with pytest.raises(AssertionError) as refused:
        run_cells(exercise, exercise.cell(wrong.body), exercise.solution)
    assert wrong.fragment in str(refused.value)
    assert capsys.readouterr().out == f"{exercise.name}: your answer is used.\n"


@every_exercise
def test_a_copy_without_the_solution_stops_at_the_check(exercise):
    with pytest.raises(AssertionError, match="returns nothing"):
        run_cells(exercise, exercise.stub)


@every_exercise
def test_a_wrong_answer_is_judged_whatever_was_run_before(exercise):
    """Cells run again, in any order: the stub and its solution first, the solution twice, the answer twice."""
    wrong = exercise.cell(next(one for one in typed(exercise) if one.named).body)
    solution, stub = exercise.solution, exercise.stub
    again = [stub, solution, wrong]
    for order in (again, [*again, solution, solution], [wrong, solution, wrong, solution]):
        with pytest.raises(AssertionError):
            run_cells(exercise, *order)
    assert run_cells(exercise, wrong, solution, stub, solution).startswith("The solution passes.")
    assert run_cells(exercise, stub, solution, solution).startswith("The solution passes.")


@every_exercise
def test_a_wrong_answer_typed_into_the_solution_cell_is_judged_as_well(exercise):
    wrong = exercise.cell(next(one for one in typed(exercise) if one.named).body)
    with pytest.raises(AssertionError):
        run_cells(exercise, exercise.stub, f"@unless_answered({exercise.name})\n{wrong}")
    with pytest.raises(AssertionError):
        run_cells(exercise, exercise.stub, wrong)


@every_exercise
def test_every_solution_keeps_the_answer_of_its_own_name_and_is_hidden(exercise):
    (definition,) = ast.parse(exercise.solution).body
    assert definition.name == exercise.name
    assert [ast.unparse(each) for each in definition.decorator_list] == [f"unless_answered({exercise.name})"]
    assert exercise.hidden, "metadata jupyter.source_hidden is missing"


def test_no_solution_of_the_course_stands_outside_an_exercise():
    cells = [cell for path in COURSE for cell in read_notebook(path).cells if "solution" in tags(cell)]
    assert len(cells) == len(EXERCISES)


def stub(x):
    """Only a docstring."""
    ...


def passes(x):
    pass


def gives_nothing(x):
    return None


def through(function):
    @functools.wraps(function)
    def wrapped(*given):
        return function(*given)

    return wrapped


class Answers:
    def method(self, x):
        return x

    def __call__(self, x):
        return x


def prints(x):
    print(x)


def to_do(x):
    raise NotImplementedError


def gives_ellipsis(x):
    return ...


STUBS = [stub, passes, gives_nothing, lambda x: None, functools.cache(stub), through(stub)]
ANSWERS = [
    prints,
    to_do,
    gives_ellipsis,
    lambda x: x,
    functools.cache(prints),
    through(prints),
    functools.partial(prints, 1),
    Answers().method,
    Answers(),
    abs,
    3,
    None,
]


@pytest.mark.parametrize("function", STUBS)
def test_an_empty_stub_gives_way_to_the_solution(function):
    assert is_stub(function)
    assert is_solution(unless_answered(function)(lambda x: x + 1))


@pytest.mark.parametrize("answer", ANSWERS)
def test_anything_that_was_written_is_kept(answer):
    assert not is_stub(answer)
    assert unless_answered(answer)(lambda x: x + 1) is answer


@pytest.mark.notebook
def test_a_margin_of_the_wrong_sign_stops_notebook_02_as_it_is_opened(tmp_path):
    (path,) = [path for path in COURSE if path.name.startswith("02")]
    notebook = read_notebook(path)
    (cell,) = [cell for cell in notebook.cells if "exercise" in tags(cell)]
    body = "    return np.abs(points_a[:, 0]).mean() - np.abs(points_b[:, 0]).mean()"
    cell.source = cell.source.replace("    ...", body)
    nbformat.write(notebook, tmp_path / path.name)
    values = {"DATA": str(ROOT / "data" / "cohort"), "RESULTS": str(tmp_path / "results")}
    known = read_parameters(notebook)
    given = {name: value for name, value in values.items() if name in known}
    done = run_notebook(tmp_path / path.name, tmp_path / "out", given)
    assert done.error is not None
    assert "medial margin in mm (on the right): the sign is turned" in done.error


@pytest.mark.notebook
def test_an_endless_loop_does_not_hang_the_kernel(tmp_path):
    cells = [
        code("from toposlearn.course.checks import ask, check_null_time\nask.SECONDS = 1"),
        code("def null_time(t1, repetition):\n    time = 0\n    while time < t1:\n        time += 0", "exercise"),
        code("check_null_time(null_time)", "check"),
    ]
    done = run_notebook(write_notebook(tmp_path / "00_a.ipynb", *cells), tmp_path / "out")
    assert "still running after 1 s (line " in done.error
    assert "`while time < t1:`" in done.error or "`time += 0`" in done.error
