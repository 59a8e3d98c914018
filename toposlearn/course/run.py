"""Run notebooks without a browser.

Beyond papermill: a parameter the notebook does not know is refused, an exception inside a widget fails the run, the
kernel is this interpreter, time and peak memory are recorded, and an output file is either whole or not there.
"""

import json
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat

from toposlearn.course.kernel import PeakMemory, kernel_class
from toposlearn.course.notebooks import check_parameters, heading, one_line, read_notebook, read_parameters
from toposlearn.reproducibility import environment_line, write_json

CELL_TIMEOUT = 900  # seconds; a built-in notebook takes less than a fifth of it on an idle machine


@dataclass(frozen=True)
class NotebookRun:
    """The record of one execution of a notebook."""

    name: str
    title: str
    question: str
    error: str | None  # one line; None when every cell ran and no widget failed
    seconds: float
    peak_memory_bytes: int
    parameters: dict[str, Any] = field(default_factory=dict)
    environment: str = ""
    jobs: int = 1  # notebooks that ran at a time; where it is 1, `seconds` are those of this notebook alone

    @property
    def ok(self) -> bool:
        """True when every cell ran and no widget failed."""
        return self.error is None


def run_notebook(path: str | Path, out: str | Path, parameters: Mapping[str, Any] | None = None) -> NotebookRun:
    """Execute a notebook in its own folder and write the executed copy to ``out/NAME.ipynb``; an error shows there.

    `parameters` are values for names of its ``parameters`` cell; an unknown name or a value that does not fit is a
    ValueError, and so is a file that is no notebook.
    """
    path, out = Path(path), Path(out)
    notebook = read_notebook(path)
    given = check_parameters(notebook, parameters or {}, name=path.name)
    out.mkdir(parents=True, exist_ok=True)
    peak, start = PeakMemory(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".running-", dir=out) as folder:
        copy = Path(folder).resolve() / path.name
        with peak.sampling():
            error = _execute(path, copy, given, peak)
        if copy.exists():
            error = error or next(iter(widget_errors(read_notebook(copy))), None)
            os.replace(copy, out / path.name)
    seconds = round(time.perf_counter() - start, 2)
    return NotebookRun(path.stem, *heading(notebook), error, seconds, peak.bytes, given, environment_line())


def _execute(path: Path, copy: Path, parameters: dict[str, Any], peak: PeakMemory) -> str | None:
    """Run papermill; return the failure as one line, or None."""
    import papermill
    from nbclient.output_widget import OutputWidget
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    # nbclient answers an Output widget on a channel that it is reading, and may wait for itself forever; the answer
    # only matters to a browser, and what the widget caught is in the stored state all the same.
    silent = patch.object(OutputWidget, "sync_state", lambda self: None)
    with silent, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of papermill's own dependencies; the kernel's warnings are untouched
        try:
            papermill.execute_notebook(
                read_notebook(path),
                str(copy),
                parameters,
                kernel_name="python3",
                progress_bar=False,
                execution_timeout=CELL_TIMEOUT,
                cwd=str(path.parent.resolve()),
                kernel_manager_class=kernel_class(peak),
                extra_arguments=["--log-level=40"],  # the kernel's own log, not the notebook's warnings
            )
        except PapermillExecutionError as failure:
            return f"In [{failure.exec_count}]: {one_line(f'{failure.ename}: {failure.evalue}')}"
        except Exception as failure:  # the kernel died, or never came up
            return one_line(f"{type(failure).__name__}: {failure}")
    return None


def widget_errors(notebook: nbformat.NotebookNode) -> list[str]:
    """Exceptions kept inside Output widgets of an executed notebook, which papermill does not see."""
    widgets = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    holders = [model.get("state", {}) for model in widgets.get("state", {}).values()] + notebook.cells
    outputs = [output for holder in holders for output in holder.get("outputs", ())]
    failed = [output for output in outputs if output.get("output_type") == "error"]
    return [one_line(f"inside a widget: {error['ename']}: {error['evalue']}") for error in failed]


def run_notebooks(
    paths: Sequence[Path], out: Path, parameters: Mapping[str, Any], *, jobs: int = 1
) -> Iterator[NotebookRun]:
    """Run notebooks, each with those of `parameters` that it declares, and yield each run when it ends.

    Executed copies go to ``out/notebooks``, the record to ``out/notebooks.json``. `jobs` notebooks run at a time, each
    on its share of the cores; one at a time, they run in the given order.
    """
    run = partial(_run_with_declared, out=out / "notebooks", parameters=parameters)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    workers = multiprocessing.get_context("spawn").Pool(jobs, _start_worker, [threads]) if jobs > 1 else nullcontext()
    with workers as pool:
        for done in pool.imap_unordered(run, paths) if pool else map(run, paths):
            if jobs > 1:
                done = replace(done, jobs=jobs, environment=f"{done.environment} · {jobs} notebooks at a time")
            record(out, done)
            yield done
        if pool:
            pool.close()
            pool.join()


def _run_with_declared(path: Path, out: Path, parameters: Mapping[str, Any]) -> NotebookRun:
    known = read_parameters(read_notebook(path))
    return run_notebook(path, out, {name: value for name, value in parameters.items() if name in known})


def _start_worker(threads: int) -> None:
    """Set the threads of a worker's kernels; make the worker end its kernel when the pool ends the worker."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C, which reaches every process: the parent ends the pool
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def record(out: Path, run: NotebookRun) -> None:
    """Put a run into ``out/notebooks.json``, in the place of an earlier run of the same notebook."""
    runs = {earlier.name: earlier for earlier in read_record(out)} | {run.name: run}
    rows = [asdict(runs[name]) for name in sorted(runs)]
    write_json(out / "notebooks.json", {"schema": "toposlearn/notebooks/1", "notebooks": rows})


def read_record(out: Path) -> list[NotebookRun]:
    """The runs recorded under `out`, in the course's order; none when there is no record."""
    path = out / "notebooks.json"
    if not path.exists():
        return []
    try:
        return [NotebookRun(**row) for row in json.loads(path.read_text(encoding="utf-8"))["notebooks"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a record of notebook runs: {one_line(str(error))}") from error
