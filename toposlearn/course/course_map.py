"""The map of the course, read from its notebooks: what each asks, how many exercises it holds, how long it takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from toposlearn.course.notebooks import heading, numbered_notebooks, read_notebook, tags
from toposlearn.tables import markdown_table

MEASURED = re.compile(r"Measured: (\d+) s\b")  # as `toposlearn report --readme` writes it into a first cell
BUSY = "A busy machine takes several times as long."


class Stop(NamedTuple):
    """A notebook of the course."""

    name: str
    title: str
    question: str
    exercises: int
    seconds: int | None  # measured; None where the notebook does not say


def course_stops(folder: str | Path) -> list[Stop]:
    """The numbered notebooks of a folder in order."""
    return [_stop(path) for path in numbered_notebooks(folder)]


def _stop(path: Path) -> Stop:
    notebook = read_notebook(path)
    measured = MEASURED.search(notebook.cells[0].source)
    exercises = sum("exercise" in tags(cell) for cell in notebook.cells)
    return Stop(path.stem, *heading(notebook), exercises, int(measured[1]) if measured else None)


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
    exercises, holders = sum(stop.exercises for stop in stops), sum(stop.exercises > 0 for stop in stops)
    summary = f"Notebooks: {len(stops)}; with exercises: {holders}, which hold {exercises} in all."
    timed = [(stop.seconds, stop.name[:2]) for stop in stops if stop.seconds is not None]
    if not timed:
        return summary
    seconds, number = max(timed)
    return f"{summary} On an idle machine the slowest, {number}, takes {seconds} s. {BUSY}"
