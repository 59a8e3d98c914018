"""The runner: what papermill does, and what it lets pass."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from notebook_maker import code, write_notebook

from toposlearn.course import notebooks, run
from toposlearn.course.kernel import PeakMemory

PARAMETERS = code("STEPS = 3  # steps\nRATE = 0.5  # per step\nNAME = 'a'\nSIZES = (1, 2)\nLIMIT = None", "parameters")


def test_a_good_notebook_runs_in_this_interpreter_and_in_its_own_folder(tmp_path):
    source = "import sys, os\nprint(sys.executable)\nprint(os.getcwd())\nprint(STEPS)"
    path = write_notebook(tmp_path / "course" / "00_a.ipynb", PARAMETERS, code(source))
    done = run.run_notebook(path, tmp_path / "out", {"STEPS": "7"})
    assert done.ok, done.error
    assert (done.name, done.title, done.question) == ("00_a", "A tiny notebook", "Does it run?")
    assert done.parameters == {"STEPS": 7}
    assert done.seconds > 0
    executed = nbformat.read(tmp_path / "out" / "00_a.ipynb", as_version=4)
    lines = executed.cells[-1].outputs[0].text.split()
    assert Path(lines[0]) == Path(sys.executable)
    assert Path(lines[1]) == (tmp_path / "course").resolve()
    assert lines[2] == "7"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00_a.ipynb"]


def test_another_environments_kernel_of_the_same_name_is_not_used(tmp_path, monkeypatch):
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    done = run.run_notebook(write_notebook(tmp_path / "a.ipynb", code("1")), tmp_path / "out")
    assert done.ok, done.error


def test_peak_memory_sees_a_peak_that_is_over_and_child_processes(tmp_path):
    plain = write_notebook(tmp_path / "plain.ipynb", code("1"))
    own = write_notebook(tmp_path / "own.ipynb", code("x = b'1' * 300_000_000\ndel x"))
    work = "import time; x = b'1' * 300_000_000; time.sleep(2)"
    grow = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {work!r}])"
    child = write_notebook(tmp_path / "child.ipynb", code(grow))
    base, own_peak, child_peak = (
        run.run_notebook(path, tmp_path / "out").peak_memory_bytes / 1e6 for path in (plain, own, child)
    )
    assert 20 < base < 300
    assert 280 < own_peak - base < 340
    assert 280 < child_peak - base < 380


def test_peak_memory_of_a_process_that_is_gone_is_no_error():
    peak = PeakMemory()
    peak.sample()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    peak.watch(child.pid)
    peak.sample()
    assert peak.bytes == 0


def test_an_exception_fails_the_run_in_one_line_and_its_copy_shows_it(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", code("x = 1"), code("raise KeyError('no\\nsuch')"))
    done = run.run_notebook(path, tmp_path / "out")
    assert not done.ok
    assert "In [2]: KeyError" in done.error
    assert "\n" not in done.error
    executed = nbformat.read(tmp_path / "out" / "a.ipynb", as_version=4)
    assert any(output.output_type == "error" for cell in executed.cells for output in cell.get("outputs", ()))


def test_a_dead_kernel_fails_the_run(tmp_path):
    done = run.run_notebook(write_notebook(tmp_path / "a.ipynb", code("import os; os._exit(3)")), tmp_path / "out")
    assert "DeadKernelError" in done.error


@pytest.mark.parametrize(
    "source",
    [
        "from ipywidgets import interact\n@interact(n=(1, 3))\ndef show(n=2):\n    1 / 0",
        "import ipywidgets as w\ns = w.IntSlider()\ndef show(n):\n    1 / 0\nw.interactive_output(show, {'n': s})",
        "import ipywidgets as w\nout = w.Output()\nwith out:\n    1 / 0\nout",
        "import ipywidgets as w\nout = w.Output()\nwith out:\n    1 / 0",
        "import ipywidgets as w\nout = w.Output()\n@out.capture()\ndef show(change):\n    1 / 0\n"
        "s = w.IntSlider()\ns.observe(show, 'value')\ns.value = 3",
    ],
    ids=["interact", "interactive_output", "output", "output not shown", "capture"],
)
def test_an_exception_inside_a_widget_fails_the_run(tmp_path, source):
    done = run.run_notebook(write_notebook(tmp_path / "a.ipynb", code(source)), tmp_path / "out")
    assert done.error is not None
    assert "ZeroDivisionError" in done.error


def test_a_widget_that_works_is_no_failure(tmp_path):
    source = "from ipywidgets import interact\n@interact(n=(1, 3))\ndef show(n=2):\n    print(n)"
    done = run.run_notebook(write_notebook(tmp_path / "a.ipynb", code(source)), tmp_path / "out")
    assert done.ok, done.error


def test_an_unknown_parameter_is_refused_and_the_known_ones_are_listed(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", PARAMETERS)
    with pytest.raises(ValueError, match=r"a.ipynb: unknown parameter STEP: this notebook knows STEPS, RATE, NAME"):
        run.run_notebook(path, tmp_path / "out", {"STEP": 1})
    assert not (tmp_path / "out").exists()


def test_a_value_of_another_type_is_refused(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", PARAMETERS)
    with pytest.raises(ValueError, match=r"parameter STEPS is int \(default 3\), got 'many'"):
        run.run_notebook(path, tmp_path / "out", {"STEPS": "many"})


def test_no_notebook_and_a_broken_one_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent.ipynb"):
        run.run_notebook(tmp_path / "absent.ipynb", tmp_path / "out")
    (tmp_path / "b.ipynb").write_text("{")
    with pytest.raises(ValueError, match=r"b.ipynb is not a readable notebook"):
        run.run_notebook(tmp_path / "b.ipynb", tmp_path / "out")


def test_each_notebook_is_given_the_parameters_it_declares_and_records(tmp_path):
    first = write_notebook(tmp_path / "00_a.ipynb", code("DATA = 'x'", "parameters"), code("assert DATA == 'y'"))
    second = write_notebook(tmp_path / "01_b.ipynb", code("1 / 0"))
    write_notebook(tmp_path / "draft.ipynb")
    paths = notebooks.numbered_notebooks(tmp_path)
    assert paths == [first, second]
    done = list(run.run_notebooks(paths, tmp_path / "out", {"DATA": "y"}))
    assert [(one.name, one.ok, one.jobs) for one in done] == [("00_a", True, 1), ("01_b", False, 1)]
    assert run.read_record(tmp_path / "out") == done


def test_two_notebooks_at_a_time_share_the_cores_and_are_recorded_in_order(tmp_path):
    meet = """
import os, time
from pathlib import Path
Path(NAME).touch()
while not (Path("a").exists() and Path("b").exists()): time.sleep(0.05)  # until both run
if NAME == "a": time.sleep(1)
print(os.environ["OMP_NUM_THREADS"])"""
    cells = {name: (code(f"NAME = {name!r}", "parameters"), code(meet)) for name in "ab"}
    paths = [write_notebook(tmp_path / f"0{i}_{name}.ipynb", *cells[name]) for i, name in enumerate("ab")]
    done = list(run.run_notebooks(paths, tmp_path / "out", {}, jobs=2))
    assert [(one.name, one.error) for one in done] == [("01_b", None), ("00_a", None)]
    assert [(one.name, one.jobs) for one in run.read_record(tmp_path / "out")] == [("00_a", 2), ("01_b", 2)]
    executed = nbformat.read(tmp_path / "out" / "notebooks" / "00_a.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text.strip() == str(max(1, os.cpu_count() // 2))


def test_a_rerun_takes_the_place_of_the_earlier_record(tmp_path):
    old = run.NotebookRun("01_b", "B", "Why?", "broken", 1.0, 2)
    other = run.NotebookRun("00_a", "A", "Why?", None, 1.0, 2, {"SIZES": [1]})
    new = run.NotebookRun("01_b", "B", "Why?", None, 3.0, 4)
    for one in (old, other, new):
        run.record(tmp_path, one)
    assert run.read_record(tmp_path) == [other, new]
    (tmp_path / "notebooks.json").write_text("[]")
    with pytest.raises(ValueError, match="not a record of notebook runs"):
        run.read_record(tmp_path)


@pytest.mark.parametrize(("kind", "jobs"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_an_interruption_leaves_no_kernel_and_no_half_written_file(tmp_path, kind, jobs):
    marker = tmp_path / "pid"
    source = f"import os, time\nopen({str(marker)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    path = write_notebook(tmp_path / "a.ipynb", code(source))
    command = (  # a shell that starts the tests in the background leaves SIGINT ignored, in its children too
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from pathlib import Path; from toposlearn.course.run import run_notebooks; "
        f"list(run_notebooks([Path({str(path)!r})], Path({str(tmp_path)!r}), {{}}, jobs={jobs}))"
    )
    process = subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.DEVNULL)
    _wait(lambda: marker.exists() and marker.read_text())
    os.kill(process.pid, kind)
    assert process.wait(timeout=60) != 0
    _wait(lambda: not psutil.pid_exists(int(marker.read_text())))
    if kind == signal.SIGINT:
        assert list((tmp_path / "notebooks").iterdir()) == []
    assert not (tmp_path / "notebooks" / "a.ipynb").exists()


def _wait(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
