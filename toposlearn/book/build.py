"""The book: executed notebooks, the way through them and one page of results, as HTML that opens without a network.

Sources are assembled in a temporary folder, built strictly (a warning is an error), and put in the place of an earlier
book only when whole. Nothing is executed here.
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
from typing import Any

import nbformat

from toposlearn.book.claims_page import write_results_page
from toposlearn.book.index import index_page
from toposlearn.book.pages import page
from toposlearn.course.notebooks import one_line, read_notebook
from toposlearn.course.run import NotebookRun, read_record

SETTINGS: dict[str, Any] = {
    "project": "toposlearn",
    "author": "",
    "html_title": "toposlearn",
    "language": "en",
    "extensions": ["myst_nb", "toposlearn.book.math", "toposlearn.book.links"],
    "html_math_renderer": "outlines",
    "nb_execution_mode": "off",
    "myst_enable_extensions": ["dollarmath", "amsmath"],
    "suppress_warnings": [
        "myst.header",  # a notebook may skip a level of headings
        "myst.xref_missing",  # a link to a file that is not part of the book stays as text
        "misc.highlighting_failure",
    ],
    "html_theme": "sphinx_book_theme",
    "html_theme_options": {"home_page_in_toc": True, "use_fullscreen_button": False, "navbar_persistent": []},
    "html_context": {"default_mode": "auto"},  # the theme logs an error where none is set
    "html_static_path": ["_static"],
    "html_css_files": ["book.css"],
    "html_show_search_summary": False,  # it fetches pages, which a browser forbids without a server
    "html_use_index": False,
    "html_show_copyright": False,
    "html_show_sphinx": False,
}


def build_book(out: Path, root: Path, tell: Callable[[str], object] = print) -> Path:
    """Build ``out/book/`` from the notebooks and results under `out`; return its first page.

    Args:
        out: folder with ``notebooks.json``, ``notebooks/`` and ``results/``.
        root: folder that holds ``checkpoints/``, whose results the page of results also reads.
        tell: is given one line on what was built.

    Raises:
        ValueError: Sphinx found fault with a page; an earlier book is left as it was.
    """
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".book-", dir=out) as folder:
        sources, built = Path(folder, "sources"), Path(folder, "book")
        pages = _write_sources(sources, out, root)
        _run_sphinx(sources, built)
        _replace(built, out / "book", Path(folder, "earlier"))
    tell(f"Book: {pages} pages in {time.perf_counter() - start:.1f} s")
    return out / "book" / "index.html"


def _write_sources(sources: Path, out: Path, root: Path) -> int:
    """Write what Sphinx reads; return the number of pages."""
    static = sources / "_static"
    static.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("book.css"), static)
    settings = "".join(f"{name} = {value!r}\n" for name, value in SETTINGS.items())
    (sources / "conf.py").write_text(settings, encoding="utf-8")
    notebooks = [(run, _executed(out, run)) for run in read_record(out)]
    for run, notebook in notebooks:
        if notebook is not None:
            nbformat.write(page(notebook, run.error), sources / f"{run.name}.ipynb")
    (sources / "index.md").write_text(index_page(notebooks), encoding="utf-8")
    write_results_page(sources, out / "results", root)
    return 2 + sum(notebook is not None for _, notebook in notebooks)


def _executed(out: Path, run: NotebookRun) -> nbformat.NotebookNode | None:
    """The executed copy; None when the run left none."""
    path = out / "notebooks" / f"{run.name}.ipynb"
    return read_notebook(path) if path.exists() else None


def _run_sphinx(sources: Path, built: Path) -> None:
    """Sphinx in a process of its own: it changes global state, and an interruption ends it with us."""
    cache = sources.with_name("cache")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "--no-color"]
    command += ["-d", str(cache), str(sources), str(built)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    if done.returncode:
        told = done.stderr.replace(f"{sources}{os.sep}", "")
        raise ValueError(f"the book was not built: {one_line(told, 600)}")
    (built / ".buildinfo").unlink(missing_ok=True)


def _replace(new: Path, place: Path, aside: Path) -> None:
    """Put `new` in its place; what stood there goes aside first, and comes back if the move fails."""
    if place.exists():
        place.rename(aside)
    try:
        new.rename(place)
    except BaseException:
        if aside.exists():
            aside.rename(place)
        raise
