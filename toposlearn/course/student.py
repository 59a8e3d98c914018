"""Notebooks for students: the solutions are taken out, the exercise and its check stay."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import nbformat

from toposlearn.course.notebooks import read_notebook, tags
from toposlearn.reproducibility import atomic_path


def student_copy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without the cells tagged ``solution`` and without outputs."""
    student = copy.deepcopy(notebook)
    student.cells = [cell for cell in student.cells if "solution" not in tags(cell)]
    for cell in student.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return student


def write_student_copies(paths: Sequence[Path], out: str | Path) -> list[Path]:
    """Write the student copy of each notebook to the folder `out`, under the same name.

    Raises:
        ValueError: `out` is the folder of a source notebook, which would be overwritten.
    """
    out = Path(out)
    if any(path.resolve().parent == out.resolve() for path in paths):
        raise ValueError(f"out is {out}, where the source notebooks are: choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    return [_write(student_copy(read_notebook(path)), out / path.name) for path in paths]


def _write(notebook: nbformat.NotebookNode, path: Path) -> Path:
    with atomic_path(path) as partial:
        partial.write_text(nbformat.writes(notebook), encoding="utf-8")
    return path
