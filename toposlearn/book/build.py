"""The book as HTML that opens without a network: executed notebooks, the way through them, what was measured.

The sources are written to a temporary folder and built strictly (a warning is an error). The new book replaces an
earlier one only when it is complete. Nothing is executed here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from toposlearn.book.course_pages import index_page, notebook_page
from toposlearn.book.pages import write_pages
from toposlearn.book.results_page import write_results_page
from toposlearn.book.templates import FOLDER
from toposlearn.course.notebooks import one_line, read_notebook
from toposlearn.course.run import read_record


def build_book(out: Path, root: Path, report: Callable[[str], object] = print) -> None:
    """Build ``out/book/`` from the notebooks and results under `out`.

    Args:
        out: folder with ``notebooks.json``, ``notebooks/`` and ``results/``.
        root: folder that holds ``checkpoints/`` and ``benchmarks/``.
        report: receives one line on what was built.

    Raises:
        ValueError: Sphinx reported a fault of a page; an earlier book is kept.
    """
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".book-", dir=out) as folder:
        sources, built = Path(folder, "sources"), Path(folder, "book")
        _write_sources(sources, out, root, report)
        _run_sphinx(sources, built)
        _replace(built, out / "book", Path(folder, "earlier"))
        pages = len([*sources.glob("*.md"), *sources.glob("*.ipynb")])
    report(f"Book: {pages} pages in {time.perf_counter() - start:.1f} s")


def _write_sources(sources: Path, out: Path, root: Path, report: Callable[[str], object]) -> None:
    (sources / "_static").mkdir(parents=True)
    shutil.copy(FOLDER / "book.css", sources / "_static")
    shutil.copy(FOLDER / "conf.py", sources)
    runs, notebooks = read_record(out), []
    for run in runs:
        path = out / "notebooks" / f"{run.name}.ipynb"
        notebook = read_notebook(path) if path.exists() else None
        notebooks.append((run, notebook))
        if notebook is not None:
            nbformat.write(notebook_page(notebook, run.error), sources / path.name)
    pages = write_pages(sources, root, runs, report)
    (sources / "index.md").write_text(index_page(notebooks, pages), encoding="utf-8")
    write_results_page(sources, out / "results", root)


def _run_sphinx(sources: Path, built: Path) -> None:
    """Run Sphinx in a process of its own, because it changes global state."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "--no-color"]
    command += ["-d", str(sources.with_name("cache")), str(sources), str(built)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    if done.returncode:
        faults = done.stderr.replace(f"{sources}{os.sep}", "")
        raise ValueError(f"the book was not built: {one_line(faults, 600)}")
    (built / ".buildinfo").unlink(missing_ok=True)


def _replace(new: Path, place: Path, aside: Path) -> None:
    """Move `new` to `place`; an earlier book is moved aside first, and comes back if the move fails."""
    if place.exists():
        place.rename(aside)
    try:
        new.rename(place)
    except BaseException:
        if aside.exists():
            aside.rename(place)
        raise
