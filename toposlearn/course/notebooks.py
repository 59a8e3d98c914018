"""The course's notebooks as files: where they are, what they ask, their parameters, their map, copies for students."""

import ast
import contextlib
import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from toposlearn.reproducibility import write_text
from toposlearn.tables import markdown_table

MEASURED = re.compile(r"Measured: (\d+) s\b")  # as `toposlearn report --readme` writes it into a first cell
BUSY = "A busy machine takes several times as long."


def course_folder() -> Path:
    """The folder ``notebooks``: of the working directory if it has one, else of the source tree."""
    here = Path("notebooks")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "notebooks"


def default_paths(data: Path, out: Path) -> dict[str, str]:
    """Parameters ``DATA`` and ``RESULTS`` for a cohort and a book that are not where the notebooks expect them."""
    root = course_folder().parent
    paths = {"DATA": (data, root / "data/cohort"), "RESULTS": (out / "results", root / "runs/latest/results")}
    return {name: str(path.resolve()) for name, (path, usual) in paths.items() if path.resolve() != usual.resolve()}


def numbered_notebooks(folder: str | Path) -> list[Path]:
    """The course in order: ``00_*.ipynb``, ``01_*.ipynb``, … of a folder."""
    paths = sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise FileNotFoundError(f"no numbered notebook (00_*.ipynb) in {folder}: run from the repository's root")
    return paths


def read_notebook(path: str | Path) -> nbformat.NotebookNode:
    """Read a notebook file; raise ValueError where the file is not a notebook."""
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


def heading(notebook: nbformat.NotebookNode) -> tuple[str, str]:
    """The title of the first cell, and the first of its lines that asks a question, both without markup."""
    lines = [line.strip(" #*_>") for line in notebook.cells[0].source.splitlines()] if notebook.cells else []
    lines = [line for line in lines if line]
    question = next((line for line in lines[1:] if line.endswith("?")), "")
    return (lines[0] if lines else ""), re.sub(r"[*`]", "", question)


def read_parameters(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """Names and defaults in the cell tagged ``parameters``: plain literals only."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and "parameters" in tags(cell)]
    return dict(_assignment(statement) for statement in (ast.parse(cells[0].source).body if cells else []))


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    """Name and value of ``NAME = literal`` or ``NAME: type = literal``."""
    with contextlib.suppress(ValueError):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                return name, ast.literal_eval(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                return name, ast.literal_eval(value)
    raise ValueError(f"parameters cell: {ast.unparse(statement)!r} is not NAME = plain literal")


def check_parameters(notebook: nbformat.NotebookNode, given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The given values in the types of the defaults; ValueError (it begins with `name`) for an unknown or unfit one."""
    known = read_parameters(notebook)
    unknown = ", ".join(sorted(set(given) - set(known)))
    if unknown:
        names = ", ".join(known) or "none"
        raise ValueError(f"{name}: unknown parameter {unknown}: this notebook knows {names}")
    return {key: _fit(f"{name}: parameter {key}", value, known[key]) for key, value in given.items()}


def _fit(name: str, given: Any, default: Any) -> Any:
    if isinstance(default, str):
        return str(given)
    value = given
    if isinstance(given, str):
        with contextlib.suppress(ValueError, SyntaxError):
            value = ast.literal_eval(given)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if default is not None and type(value) is not type(default):
        raise ValueError(f"{name} is {type(default).__name__} (default {default!r}), got {given!r}")
    return value


class Stop(NamedTuple):
    """A notebook of the course."""

    name: str
    title: str
    question: str
    exercises: int
    seconds: int | None  # measured; None where the notebook does not say


def course_stops(folder: str | Path) -> list[Stop]:
    """The numbered notebooks of a folder in order."""
    stops = []
    for path in numbered_notebooks(folder):
        notebook = read_notebook(path)
        measured = MEASURED.search(notebook.cells[0].source)
        exercises = sum("exercise" in tags(cell) for cell in notebook.cells)
        stops.append(Stop(path.stem, *heading(notebook), exercises, int(measured[1]) if measured else None))
    return stops


def course_map(stops: Sequence[Stop]) -> str:
    """Markdown table of the course: each notebook with its question, its exercises and its time."""
    rows = [
        (
            f"[{stop.name[:2]} {stop.title}]({stop.name}.ipynb)",
            stop.question,
            str(stop.exercises or ""),
            "" if stop.seconds is None else f"{stop.seconds} s",
        )
        for stop in stops
    ]
    return markdown_table(["notebook", "question", "exercises", "time on an idle machine"], rows)


def course_summary(stops: Sequence[Stop]) -> str:
    """How many notebooks and exercises there are, and how long the slowest notebook takes."""
    exercises = [stop.exercises for stop in stops if stop.exercises]
    summary = f"Notebooks: {len(stops)}; with exercises: {len(exercises)}, which hold {sum(exercises)} in all."
    timed = [(stop.seconds, stop.name[:2]) for stop in stops if stop.seconds is not None]
    if not timed:
        return summary
    seconds, number = max(timed)
    return f"{summary} On an idle machine the slowest, {number}, takes {seconds} s. {BUSY}"


def student_copy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without the cells tagged ``solution`` and without outputs; exercises and their checks stay."""
    student = copy.deepcopy(notebook)
    student.cells = [cell for cell in student.cells if "solution" not in tags(cell)]
    for cell in student.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return student


def write_student_copies(paths: Sequence[Path], out: str | Path) -> list[Path]:
    """Write the student copy of each notebook to the folder `out`, which must not be that of a source notebook."""
    out = Path(out)
    if any(path.resolve().parent == out.resolve() for path in paths):
        raise ValueError(f"out is {out}, where the source notebooks are: choose another folder")
    return [write_text(out / path.name, nbformat.writes(student_copy(read_notebook(path)))) for path in paths]


def one_line(text: str, limit: int = 300) -> str:
    """Text on one line, at most `limit` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
