"""Run notebooks without a browser: papermill, and what papermill lets pass.

Beyond papermill: a parameter the notebook does not know is refused, an exception inside a widget fails the run, the
kernel is this interpreter, time and peak memory are recorded, and an output file is either whole or not there.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import logging
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from toposlearn.kernel import PeakMemory, kernel_class
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


def numbered_notebooks(folder: str | Path) -> list[Path]:
    """The course in order: ``00_*.ipynb``, ``01_*.ipynb``, … of a folder."""
    found = sorted(path for path in Path(folder).glob("*.ipynb") if re.match(r"\d\d_", path.name))
    if not found:
        raise FileNotFoundError(f"no numbered notebook (00_*.ipynb) in {folder}: run from the repository's root")
    return found


def read_notebook(path: str | Path) -> nbformat.NotebookNode:
    """Read a notebook file; ValueError where the file is none."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such notebook: {path}")
    try:
        notebook: nbformat.NotebookNode = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except Exception as error:  # nbformat raises several kinds for files that are no notebooks
        raise ValueError(f"{path} is not a readable notebook: {one_line(str(error))}") from error
    return notebook


def tags(cell: nbformat.NotebookNode) -> list[str]:
    """The tags of a cell."""
    return list(cell.get("metadata", {}).get("tags", []))


def read_parameters(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """Names and defaults in the cell tagged ``parameters``: plain literals only."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and "parameters" in tags(cell)]
    found: dict[str, Any] = {}
    for statement in ast.parse(cells[0].source).body if cells else []:
        try:
            name, value = _assignment(statement)
        except ValueError:
            raise ValueError(f"parameters cell: {ast.unparse(statement)!r} is not NAME = plain literal") from None
        found[name] = value
    return found


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    """Name and value of ``NAME = literal`` or ``NAME: type = literal``."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, ast.literal_eval(value)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name, ast.literal_eval(value)
    raise ValueError("no assignment")


def check_parameters(notebook: nbformat.NotebookNode, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values in the types of the defaults; ValueError for an unknown name or a value that does not fit."""
    known = read_parameters(notebook)
    unknown = sorted(set(given) - set(known))
    if unknown:
        names = ", ".join(known) or "none"
        raise ValueError(f"unknown parameter {', '.join(unknown)}: this notebook knows {names}")
    return {name: _fit(name, value, known[name]) for name, value in given.items()}


def _fit(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, str):
        return str(value)
    with_literals = _literal(value) if isinstance(value, str) else value
    if isinstance(default, float) and type(with_literals) is int:
        return float(with_literals)
    if default is not None and type(with_literals) is not type(default):
        raise ValueError(f"parameter {name} is {type(default).__name__} (default {default!r}), got {value!r}")
    return with_literals


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def heading(notebook: nbformat.NotebookNode) -> tuple[str, str]:
    """The title of the first cell, and the first of its lines that asks a question, both without markup."""
    lines = [line.strip(" #*_>") for line in notebook.cells[0].source.splitlines()] if notebook.cells else []
    lines = [line for line in lines if line]
    question = next((line for line in lines[1:] if line.endswith("?")), "")
    return (lines[0] if lines else ""), re.sub(r"[*`]", "", question)


def run_notebook(path: str | Path, out: str | Path, parameters: Mapping[str, Any] | None = None) -> NotebookRun:
    """Execute a notebook in its own folder and write the executed copy to ``out/NAME.ipynb``.

    Args:
        path: the notebook.
        out: folder of the executed copy; a failed run's copy shows the error.
        parameters: values for names of its ``parameters`` cell.

    Raises:
        ValueError: the file is no notebook, or a parameter is unknown or does not fit.
    """
    path, out = Path(path), Path(out)
    notebook = read_notebook(path)
    try:
        given = check_parameters(notebook, parameters or {})
    except ValueError as refusal:
        raise ValueError(f"{path.name}: {refusal}") from refusal
    out.mkdir(parents=True, exist_ok=True)
    peak, start = PeakMemory(), time.perf_counter()
    error = _execute(path, out / path.name, given, peak)
    seconds = round(time.perf_counter() - start, 2)
    title, question = heading(notebook)
    return NotebookRun(path.stem, title, question, error, seconds, peak.bytes, given, environment_line())


def _execute(path: Path, target: Path, parameters: dict[str, Any], peak: PeakMemory) -> str | None:
    """Run papermill; return the failure as one line, or None."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    error = None
    with tempfile.TemporaryDirectory(prefix=".running-", dir=target.parent) as folder:
        copy = Path(folder).resolve() / path.name
        with peak.sampling(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of papermill's own dependencies; the kernel's warnings are untouched
            try:
                papermill.execute_notebook(
                    read_notebook(path),
                    str(copy),
                    parameters,
                    kernel_name="python3",
                    progress_bar=False,
                    cwd=str(path.parent.resolve()),
                    kernel_manager_class=kernel_class(peak),
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


def one_line(text: str, limit: int = 300) -> str:
    """Text on one line, at most `limit` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def run_all(paths: Sequence[Path], out: Path, parameters: Mapping[str, Any]) -> Iterator[NotebookRun]:
    """Run notebooks one after the other, each with those of `parameters` that it declares; record after each."""
    for path in paths:
        known = read_parameters(read_notebook(path))
        done = run_notebook(path, out / "notebooks", {name: parameters[name] for name in parameters if name in known})
        record(out, done)
        yield done


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
