"""Run notebooks without a browser: papermill, and what papermill lets pass.

Beyond papermill: a parameter the notebook does not know is refused, an exception inside a widget fails the run, the
kernel is this interpreter, time and peak memory are recorded, and an output file is either whole or not there.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat

from toposlearn.course.kernel import PeakMemory, kernel_class
from toposlearn.course.notebooks import check_parameters, heading, one_line, read_notebook, read_parameters
from toposlearn.reproducibility import environment_line, write_json

SCHEMA = "toposlearn/notebooks/1"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


@dataclass(frozen=True)
class NotebookRun:
    """What one execution of a notebook showed. `error` is one line, None when the run is good."""

    name: str
    title: str
    question: str
    error: str | None
    seconds: float
    peak_memory_bytes: int
    parameters: dict[str, Any] = field(default_factory=dict)
    environment: str = ""

    @property
    def ok(self) -> bool:
        """True when every cell ran and no widget failed."""
        return self.error is None


def run_notebook(
    path: str | Path,
    out: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    cell_timeout: int | None = None,
) -> NotebookRun:
    """Execute a notebook in its own folder and write the executed copy to ``out/NAME.ipynb``.

    Args:
        path: the notebook.
        out: folder of the executed copy; a failed run's copy shows the error.
        parameters: values for names of its ``parameters`` cell.
        cell_timeout: seconds after which a cell is given up; None waits.

    Raises:
        ValueError: the file is no notebook, or a parameter is unknown or does not fit.
    """
    path, out = Path(path), Path(out)
    notebook = read_notebook(path)
    given = check_parameters(notebook, parameters or {}, name=path.name)
    out.mkdir(parents=True, exist_ok=True)
    peak, start = PeakMemory(), time.perf_counter()
    error = _execute(path, out / path.name, given, peak, cell_timeout)
    seconds = round(time.perf_counter() - start, 2)
    title, question = heading(notebook)
    return NotebookRun(path.stem, title, question, error, seconds, peak.bytes, given, environment_line())


def _execute(
    path: Path, target: Path, parameters: dict[str, Any], peak: PeakMemory, cell_timeout: int | None
) -> str | None:
    """Run papermill; return the failure as one line, or None."""
    import papermill
    from nbclient.output_widget import OutputWidget
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    error = None
    with tempfile.TemporaryDirectory(prefix=".running-", dir=target.parent) as folder:
        copy = Path(folder).resolve() / path.name
        # nbclient answers an Output widget on a channel that it is reading, and may wait for itself forever; the
        # answer only matters to a browser, and what the widget caught is in the stored state all the same.
        silent = patch.object(OutputWidget, "sync_state", lambda self: None)
        with peak.sampling(), silent, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of papermill's own dependencies; the kernel's warnings are untouched
            try:
                papermill.execute_notebook(
                    read_notebook(path),
                    str(copy),
                    parameters,
                    kernel_name="python3",
                    progress_bar=False,
                    execution_timeout=cell_timeout,
                    cwd=str(path.parent.resolve()),
                    kernel_manager_class=kernel_class(peak),
                    extra_arguments=["--log-level=40"],  # the kernel's own chatter, not the notebook's warnings
                )
            except PapermillExecutionError as failure:
                error = f"In [{failure.exec_count}]: {one_line(f'{failure.ename}: {failure.evalue}')}"
            except Exception as failure:  # the kernel died, or never came up
                error = one_line(f"{type(failure).__name__}: {failure}")
        if copy.exists():
            error = error or next(iter(widget_errors(read_notebook(copy))), None)
            os.replace(copy, target)
    return error


def widget_errors(notebook: nbformat.NotebookNode) -> list[str]:
    """Exceptions kept inside Output widgets of an executed notebook, which papermill does not see."""
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    outputs = [output for model in state.values() for output in model.get("state", {}).get("outputs", ())]
    outputs += [output for cell in notebook.cells for output in cell.get("outputs", ())]
    failed = [output for output in outputs if output.get("output_type") == "error"]
    return [one_line(f"inside a widget: {error['ename']}: {error['evalue']}") for error in failed]


def run_and_record(
    path: Path, out: Path, parameters: Mapping[str, Any], *, cell_timeout: int | None = None
) -> NotebookRun:
    """Run a notebook with those of `parameters` that it declares; note the run in ``out/notebooks.json``."""
    known = read_parameters(read_notebook(path))
    given = {name: parameters[name] for name in parameters if name in known}
    done = run_notebook(path, out / "notebooks", given, cell_timeout=cell_timeout)
    record(out, done)
    return done


def record(out: Path, run: NotebookRun) -> None:
    """Put a run into ``out/notebooks.json``, in the place of an earlier run of the same notebook."""
    runs = {earlier.name: earlier for earlier in read_record(out)} | {run.name: run}
    rows = [dataclasses.asdict(runs[name]) for name in sorted(runs)]
    write_json(Path(out) / "notebooks.json", {"schema": SCHEMA, "notebooks": rows})


def read_record(out: Path) -> list[NotebookRun]:
    """The runs recorded under `out`, in the course's order; none when there is no record."""
    path = Path(out) / "notebooks.json"
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [NotebookRun(**row) for row in content["notebooks"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a record of notebook runs: {one_line(str(error))}") from error
