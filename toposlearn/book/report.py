"""Run notebooks into a book, write the index of a run, and state its times in README.md and in the notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from toposlearn.book.build import build_book
from toposlearn.book.results_page import read_result
from toposlearn.book.templates import TEMPLATES, memory
from toposlearn.course.course_map import BUSY
from toposlearn.course.notebooks import read_notebook
from toposlearn.course.run import NotebookRun, read_record, run_notebooks
from toposlearn.reproducibility import write_text

BEGIN, END = "<!-- notebooks:begin -->", "<!-- notebooks:end -->"
MEASURED = "<!-- measured:begin -->", "<!-- measured:end -->"
CELL_TIMEOUT = 900  # seconds; a built-in notebook takes less than a fifth of it on an idle machine
BOOK = {"book/index.html": "Read the book", "book/results.html": "Results: claims and measurements"}


def run_book(
    paths: Sequence[Path],
    out: Path,
    parameters: Mapping[str, Any],
    report: Callable[[str], object] = print,
    *,
    jobs: int = 1,
) -> list[str]:
    """Run notebooks in order, `jobs` at a time, report each, write the index; return the names that failed.

    The index is written even when the run is interrupted.
    """
    failed = []
    try:
        for number, done in enumerate(run_notebooks(paths, out, parameters, jobs=jobs, cell_timeout=CELL_TIMEOUT), 1):
            took = f"{done.seconds:.1f} s, {memory(done.peak_memory_bytes)}"
            report(f"[{number}/{len(paths)}] {done.name}: {took}: {'ok' if done.ok else f'FAILED {done.error}'}")
            if not done.ok:
                failed.append(done.name)
    finally:
        if (out / "notebooks.json").exists():
            report(f"Index: {write_index(out)}")
    return failed


def write_book(out: Path, root: Path, report: Callable[[str], object] = print) -> Path:
    """Build the book of a run and the index that leads to it; return the index. See `build_book`."""
    report("Book …")
    build_book(out, root, report)
    index = write_index(out)
    report(f"Index: {index}")
    return index


def write_index(out: Path) -> Path:
    """Write ``out/index.html``: links into the book, one row per recorded notebook, the environment of the run."""
    results = {path: str(read_result(path).get("source", "")) for path in sorted((out / "results").glob("**/*.json"))}
    rows = []
    for run in read_record(out):
        files = [out / "book" / f"{run.name}.html", out / "notebooks" / f"{run.name}.ipynb"]
        files += [path for path, source in results.items() if run.name in source]
        rows.append((run, [path.relative_to(out).as_posix() for path in files if path.exists()]))
    book = {page: text for page, text in BOOK.items() if (out / page).exists()}
    return write_text(out / "index.html", TEMPLATES.get_template("index.html.j2").render(rows=rows, book=book))


def update_readme(readme: Path, runs: Sequence[NotebookRun]) -> None:
    """Write the table of the notebooks, with time and memory of `runs`, between the two markers of `readme`.

    The runs must have been made on an idle machine, because the table says so.

    Raises:
        ValueError: no run, a failed run, several runs at a time, or a missing marker.
    """
    failed = [run.name for run in runs if not run.ok]
    if failed or not runs:
        reason = f"{', '.join(failed)} failed" if failed else "no notebook was run"
        raise ValueError(f"{reason}: no table is written (run `make run` first)")
    if any(run.jobs > 1 for run in runs):
        raise ValueError("several notebooks ran at a time: times are measured one at a time (run `make run` first)")
    table = TEMPLATES.get_template("readme.md.j2").render(runs=runs, busy=BUSY)
    text = _replace_between(readme.read_text(encoding="utf-8"), BEGIN, END, table)
    if text is None:
        raise ValueError(f"{readme} has no {BEGIN} … {END}: put the two markers where the table belongs")
    write_text(readme, text)


def update_notebook(path: Path, run: NotebookRun) -> None:
    """State time and memory of `run`, made on an idle machine, in the first cell of the notebook."""
    notebook = read_notebook(path)
    first = notebook.cells[0]
    took = f"{run.seconds:.0f} s on an idle machine, {memory(run.peak_memory_bytes)} of memory"
    line = f"*Measured: {took} ({run.environment}). {BUSY}*\n"
    with_line = _replace_between(first.source, *MEASURED, line)
    first.source = with_line or "\n".join([first.source.rstrip() + "\n", MEASURED[0], line + MEASURED[1]])
    write_text(path, nbformat.writes(notebook) + "\n")


def _replace_between(text: str, begin: str, end: str, new: str) -> str | None:
    """`text` with `new` between two markers; None where a marker is missing."""
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    return f"{before}{begin}\n{new}{end}{after}" if begun and ended else None
