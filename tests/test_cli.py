"""The command line: exit codes, one-line errors, quick help."""

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from notebook_maker import code, write_notebook

from toposlearn import cli
from toposlearn.book import build
from toposlearn.cohort import PLAIN, Recipe
from toposlearn.commands import app
from toposlearn.config import VARIANTS, TacoConfig, preset
from toposlearn.course import run
from toposlearn.data import PointSource
from toposlearn.studies.ablation import RealPeople

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]


def toposlearn(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "toposlearn", *arguments], capture_output=True, text=True, **options)


@pytest.fixture
def stand_in(monkeypatch):
    """Put a function in the place of one that a command would import; returns the calls made to it."""

    def replace(module, name, effect=None):
        calls = []

        def stand_in_function(*arguments, **named):
            calls.append((arguments, named))
            if isinstance(effect, BaseException):
                raise effect
            return effect

        monkeypatch.setattr(importlib.import_module(module), name, stand_in_function)
        return calls

    return replace


def test_help_and_version_do_not_load_the_heavy_packages():
    script = (
        "import sys\nfrom toposlearn.cli import execute\n"
        f"codes = [execute([name, '--help']) for name in {COMMANDS}] + [execute(['--help']), execute(['--version'])]\n"
        "heavy = {'torch', 'monai', 'numpy', 'papermill', 'nbformat', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'{codes} {heavy}' if any(codes) or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage:") == 1 + len(COMMANDS)


def test_help_answers_within_a_second_of_computing():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert toposlearn("all", "--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "No such command 'nope'"),
        (["run"], "Missing argument"),
        (["cohort", "--subjects", "many"], "Invalid value for '--subjects'"),
        (["all", "--folder", "x"], "No such option: --folder"),
    ],
)
def test_a_command_that_cannot_be_read_exits_2_in_one_line(capsys, arguments, message):
    assert cli.execute(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]


def test_no_command_shows_the_help(capsys):
    assert cli.execute([]) == 2
    assert "cohort" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("effect", "code", "line"),
    [
        (ValueError("subjects must be\n  at least 1"), 1, "error: subjects must be at least 1"),
        (FileNotFoundError(2, "No such file or directory", "x/y"), 1, "error: No such file or directory: x/y"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: Permission denied: /x"),
        (OSError("disk full"), 1, "error: disk full"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (RuntimeError("odd"), 1, "error: RuntimeError: odd (--debug before the command shows where)"),
        (ValueError(), 1, "error: ValueError"),
    ],
)
def test_an_error_is_one_line(capsys, stand_in, effect, code, line):
    stand_in("toposlearn.cohort", "write_cohort", effect)
    assert cli.execute(["cohort"]) == code
    assert capsys.readouterr().err == line + "\n"


def test_a_file_that_ends_too_early_is_no_interruption(capsys, stand_in):
    stand_in("toposlearn.cohort", "write_cohort", EOFError("the file ended"))
    assert cli.execute(["cohort"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: EOFError: the file ended (--debug ")


def test_debug_lets_the_error_through(stand_in):
    stand_in("toposlearn.cohort", "write_cohort", ValueError("bad"))
    with pytest.raises(ValueError, match="bad"):
        cli.execute(["--debug", "cohort"])


def test_an_unwritable_folder_and_an_unknown_preset_end_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for arguments in (["course", "--out", "file/x"], ["pretrain", "--preset", "huge"], ["report", "absent"]):
        done = toposlearn(*arguments, cwd=tmp_path)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stdout == ""


def test_cohort_passes_its_options_on(stand_in, capsys):
    calls = stand_in("toposlearn.cohort", "write_cohort", "folder")
    assert cli.execute(["cohort", "--subjects", "3", "--seed", "5", "--out", "d", "--anatomy", "B"]) == 0
    ((folder,), named) = calls[0]
    assert str(folder) == "d"
    assert named == {"subjects": 3, "seed": 5, "anatomy": "B", "labels": "synthseg", "recipe": PLAIN, "workers": None}
    assert capsys.readouterr().out == "folder\n"
    more = ["--recipe", "full", "--modalities", "T1w,ADC", "--voxels", "64", "--misregister-mm", "5"]
    assert cli.execute(["cohort", *more, "--misregister-degrees", "3"]) == 0
    assert calls[1][1]["recipe"] == Recipe("full", ("T1w", "ADC"), 64, 5.0, 3.0)
    assert capsys.readouterr().err == ""
    assert cli.execute(["cohort", "--recipe", "full", "--subjects", "31"]) == 0
    assert "note: with fewer than 32 people" in capsys.readouterr().err


def test_config_shows_all_presets_or_the_settings_of_one(stand_in, capsys):
    stand_in("toposlearn.models", "preset_table", "| table |\n")
    assert cli.execute(["config"]) == 0
    assert capsys.readouterr().out == "| table |\n"
    assert cli.execute(["config", "lab"]) == 0
    assert TacoConfig.from_dict(json.loads(capsys.readouterr().out)) == preset("lab")
    assert cli.execute(["config", "huge"]) == 1
    assert capsys.readouterr().err == "error: unknown preset 'huge': choose one of smoke, lab, gpu, paper\n"


def test_pretrain_builds_the_settings(stand_in, cohort):
    calls, data = stand_in("toposlearn.pretrain", "pretrain"), ["--data", str(cohort)]
    assert cli.execute(["pretrain", "--preset", "smoke", "--variant", "intra", "--seed", "3", "--resume", *data]) == 0
    ((settings, *_), named) = calls[0]
    assert (settings.preset, settings.variant, settings.train.seed, settings.train.steps) == ("smoke", "intra", 3, 10)
    assert settings.loss.weight_inter == 0
    assert named == {"resume": True, "hash_names": False, "points": PointSource()}


def test_ablation_passes_its_options_on(stand_in, capsys, monkeypatch):
    calls, drawn = stand_in("toposlearn.studies.ablation", "run_ablation", {"A/full": 1}), []
    monkeypatch.setattr("toposlearn.studies.ablation.figures.save_overview", lambda *arguments: drawn.append(arguments))
    assert cli.execute(["ablation", "--seeds", "2", "--shipped", "weights", "--out", "runs/mine"]) == 0
    given = {"held_out": None, "seeds": range(2), "variants": VARIANTS, "shipped": Path("weights")}
    assert calls[0][1] == {**given, "real": None, "registration": True}
    real = ["--real", "mine", "--labels", "desikan", "--source", "me", "--no-registration"]
    assert cli.execute(["ablation", "--variants", "intra,full", *real]) == 0
    assert calls[1][1]["variants"] == ("intra", "full")
    assert calls[1][1]["real"] == RealPeople(Path("mine"), PointSource("desikan"), "me")
    assert not calls[1][1]["registration"]
    assert drawn == [(Path("weights"), Path("data/cohort"), {"A/full": 1})]
    assert capsys.readouterr().out == "runs/mine/results.json\nruns/ablation/results.json\n"


def test_matchers_passes_its_options_on_and_prints_tables(stand_in, tmp_path, capsys):
    result = {"metrics": {}, "config": {"model": {"token_strides": [8]}, "volume": {"spacing": 3.0}}}
    (tmp_path / "matchers.json").write_text(json.dumps(result))
    calls = stand_in("toposlearn.studies.ablation", "run_matchers", tmp_path / "matchers.json")
    assert cli.execute(["matchers", "--seeds", "2", "--held-out", "b", "--out", "runs/mine"]) == 0
    assert calls[0][0][1:] == (Path("data/cohort"), Path("runs/mine"))
    more = {"real": None, "registration": True}
    assert calls[0][1] == {"held_out": Path("b"), "seeds": range(2), "shipped": None, **more}
    printed = capsys.readouterr().out
    assert "tokens of 24 mm" in printed
    assert printed.endswith("matchers.json\n")


def test_evaluate_names_missing_weights_in_one_line(tmp_path, capsys, cohort):
    arguments = ["evaluate", "--checkpoints", str(tmp_path), "--data", str(cohort), "--out", str(tmp_path / "out")]
    assert cli.execute(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: no weights in {tmp_path}: expected VARIANT-seedN/weights.safetensors")
    assert not (tmp_path / "out").exists()


def test_run_takes_parameters_as_two_words_or_with_an_equals_sign(tmp_path, capsys):
    cells = code("STEPS = 3\nNAME = 'a'", "parameters"), code("assert (STEPS, NAME) == (5, 'b=c'), (STEPS, NAME)")
    path = write_notebook(tmp_path / "00_a.ipynb", *cells)
    out = tmp_path / "out"
    assert cli.execute(["run", str(path), "-p", "STEPS", "5", "-p", "NAME=b=c", "--out", str(out)]) == 0
    assert "[1/1] 00_a" in capsys.readouterr().out
    assert (out / "notebooks" / "00_a.ipynb").exists()
    assert "Failed: 0." in (out / "index.html").read_text()


def test_run_refuses_an_unknown_parameter_before_any_notebook_runs(tmp_path, capsys):
    first = write_notebook(tmp_path / "00_a.ipynb", code("STEPS = 3", "parameters"))
    second = write_notebook(tmp_path / "01_b.ipynb", code("SIZE = 3", "parameters"))
    out = tmp_path / "out"
    assert cli.execute(["run", str(first), str(second), "-p", "STEPS", "5", "--out", str(out)]) == 1
    assert capsys.readouterr().err == "error: 01_b.ipynb: unknown parameter STEPS: this notebook knows SIZE\n"
    assert not out.exists()


@pytest.mark.parametrize("arguments", [["-p", "STEPS"], ["-p", "STEPS=1", "-p", "STEPS=2"]])
def test_run_wants_a_parameter_once_and_with_a_value(tmp_path, arguments, capsys):
    path = write_notebook(tmp_path / "00_a.ipynb", code("STEPS = 3", "parameters"))
    assert cli.execute(["run", str(path), *arguments]) == 1
    assert capsys.readouterr().err == "error: a parameter is given once, as -p NAME VALUE\n"


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = code("DATA = '../data/cohort'\nRESULTS = '../runs/latest/results'", "parameters"), code("print(DATA)")
    write_notebook(tmp_path / "notebooks" / "00_a.ipynb", *cells)
    write_notebook(tmp_path / "notebooks" / "01_b.ipynb", code("1 / 0"))
    write_notebook(tmp_path / "notebooks" / "02_c.ipynb", code("2"))
    return tmp_path


def test_all_simulates_runs_and_writes_the_index_even_if_a_notebook_fails(course, stand_in, capsys):
    calls = stand_in("toposlearn.cohort", "write_cohort")
    assert cli.execute(["all", "--subjects", "8"]) == 1
    assert calls[0][1] == {"subjects": 8}
    printed = capsys.readouterr()
    assert printed.err == "error: 1 of 3 notebooks failed: 01_b\n"
    assert "FAILED In [1]: ZeroDivisionError: division by zero" in printed.out
    index = (course / "runs/latest/index.html").read_text()
    assert "Notebooks run: 3. Failed: 1." in index
    assert "1 / 0" not in (course / "runs/latest/book/00_a.html").read_text()
    assert "This notebook stopped" in (course / "runs/latest/book/01_b.html").read_text()
    assert "In [1]: ZeroDivisionError" in index
    assert [one.parameters for one in run.read_record(course / "runs/latest")] == [{}, {}, {}]


def test_all_refuses_an_unwritable_folder_before_it_simulates(course, stand_in, capsys):
    calls = stand_in("toposlearn.cohort", "write_cohort")
    (course / "file").write_text("")
    assert cli.execute(["all", "--out", "file/book"]) == 1
    assert capsys.readouterr().err == "error: Not a directory: file/book\n"
    assert calls == []


def test_all_leaves_data_that_is_there_alone_and_passes_other_folders_on(course, stand_in, capsys):
    (course / "notebooks" / "01_b.ipynb").unlink()
    (course / "mine").mkdir()
    (course / "mine" / "participants.tsv").write_text("participant_id\nsub-001\n")
    calls = stand_in("toposlearn.cohort", "write_cohort")
    assert cli.execute(["all", "--data", "mine", "--out", "book"]) == 0
    assert calls == []
    assert capsys.readouterr().err == ""
    assert cli.execute(["all", "--data", "mine", "--out", "again", "--subjects", "8"]) == 0
    assert capsys.readouterr().err == "note: --subjects 8 is not used, because mine exists\n"
    first, second = run.read_record(course / "book")
    assert first.parameters == {"DATA": str(course / "mine"), "RESULTS": str(course / "book" / "results")}
    assert second.parameters == {}


def test_report_writes_the_readme_table(course, monkeypatch):
    monkeypatch.setattr(build, "write_book", lambda *arguments: None)  # the tests of `all` build one
    (course / "README.md").write_text(f"{build.BEGIN}\n{build.END}\n")
    assert cli.execute(["run", "notebooks/02_c.ipynb", "--out", "runs/latest"]) == 0
    assert cli.execute(["report", "--readme"]) == 0
    assert "(notebooks/02_c.ipynb)" in (course / "README.md").read_text()
    assert "Measured: " in (course / "notebooks/02_c.ipynb").read_text()


def test_course_writes_student_copies(course, capsys):
    assert cli.execute(["course"]) == 0
    assert capsys.readouterr().out.split() == ["student/00_a.ipynb", "student/01_b.ipynb", "student/02_c.ipynb"]


def test_a_terminated_run_leaves_nothing_half_written(tmp_path):
    marker = tmp_path / "started"
    path = write_notebook(tmp_path / "a.ipynb", code(f"open({str(marker)!r}, 'w')\nimport time\ntime.sleep(60)"))
    process = subprocess.Popen([sys.executable, "-m", "toposlearn", "run", str(path), "--out", str(tmp_path / "out")])
    end = time.monotonic() + 30
    while not marker.exists() and time.monotonic() < end:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    assert list((tmp_path / "out" / "notebooks").iterdir()) == []
