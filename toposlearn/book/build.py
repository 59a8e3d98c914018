"""Run notebooks, build the book of a run, and state the measured times in README.md and in the notebooks.

The book is HTML that opens without a network. A warning of Sphinx is an error, and the earlier book is kept.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_markdown_cell, new_output

from toposlearn.book.pages import FOLDER, TEMPLATES, Report, memory, read_result, write_pages, write_results_page
from toposlearn.course.notebooks import BUSY, one_line, read_notebook, tags
from toposlearn.course.run import NotebookRun, read_record, run_notebooks
from toposlearn.reproducibility import write_text

BEGIN, END = "<!-- notebooks:begin -->", "<!-- notebooks:end -->"
MEASURED = "<!-- measured:begin -->", "<!-- measured:end -->"
BOOK = {"book/index.html": "Read the book", "book/results.html": "Results: claims and measurements"}
INTERACTIVE = '<p class="interactive">Interactive: run the notebook to move this one.</p>'


def run_book(paths: Sequence[Path], out: Path, parameters: Mapping[str, Any], jobs: int, report: Report) -> list[str]:
    """Run notebooks in order, `jobs` at a time; write the index, even if interrupted; return the names that failed."""
    failed = []
    try:
        for number, done in enumerate(run_notebooks(paths, out, parameters, jobs=jobs), 1):
            took = f"{done.seconds:.1f} s, {memory(done.peak_memory_bytes)}"
            report(f"[{number}/{len(paths)}] {done.name}: {took}: {'ok' if done.ok else f'FAILED {done.error}'}")
            if not done.ok:
                failed.append(done.name)
    finally:
        if (out / "notebooks.json").exists():
            report(f"Index: {write_index(out)}")
    return failed


def write_book(out: Path, root: Path, report: Report = print) -> None:
    """Build ``out/book/`` from the notebooks and results in `out` and the checkpoints in `root`; write the index."""
    report("Book …")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".book-", dir=out) as folder:
        sources, built = Path(folder, "sources"), Path(folder, "book")
        _write_sources(sources, out, root, report)
        _run_sphinx(sources, built)
        _replace(built, out / "book", Path(folder, "earlier"))
        pages = len([*sources.glob("*.md"), *sources.glob("*.ipynb")])
    report(f"Book: {pages} pages in {time.perf_counter() - start:.1f} s")
    report(f"Index: {write_index(out)}")


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


def _write_sources(sources: Path, out: Path, root: Path, report: Report) -> None:
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
    pages = write_pages(sources, root, report)
    write_text(sources / "index.md", index_page(notebooks, pages))
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


def index_page(notebooks: Sequence[tuple[NotebookRun, nbformat.NotebookNode | None]], pages: Sequence[str] = ()) -> str:
    """The index in MyST Markdown, from each run with its executed notebook (None where no copy exists)."""
    steps = [(run, notebook is not None, *goals(notebook)) for run, notebook in notebooks]
    return TEMPLATES.get_template("index.md.j2").render(steps=steps, pages=pages)


def goals(notebook: nbformat.NotebookNode | None) -> tuple[list[str], str]:
    """What a notebook's opening promises to teach, and its sentence on what one needs; empty where it has none."""
    cells = notebook.cells if notebook else []
    text = next((cell.source for cell in cells if re.search(r"^# ", cell.source, re.MULTILINE)), "")
    learned = re.findall(r"^\* (.+(?:\n {2,}.+)*)", text.partition("You will learn to")[2], re.MULTILINE)
    need = re.search(r"^You need (?:.|\n)+?\.(?=\s|$)", text, re.MULTILINE)
    return [" ".join(goal.split()) for goal in learned], " ".join(need.group().split()) if need else ""


def notebook_page(executed: nbformat.NotebookNode, error: str | None = None) -> nbformat.NotebookNode:
    """A copy of an executed notebook for the book.

    Widgets become one sentence, figures get an alternative text, solutions are folded, and progress bars are reduced to
    their last line. The `error` with which the notebook stopped is stated below its title.
    """
    notebook: nbformat.NotebookNode = nbformat.from_dict(executed)
    notebook.metadata.pop("widgets", None)
    notebook.cells = [cell for cell in notebook.cells if "papermill-error-cell-tag" not in tags(cell)]
    heading, figures = "", 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+\s+(.+)$", cell.source, re.MULTILINE)
            if headings:
                heading, figures = re.sub(r"[*`$\\]", "", headings[-1]).strip(" #"), 0
        elif cell.cell_type == "code":
            cell.outputs = [_static(output) for output in cell.outputs]
            if any("image/png" in output.get("data", {}) for output in cell.outputs):
                figures += 1
                description = f"Figure{f' {figures}' if figures > 1 else ''}: {heading}"
                cell.metadata["mystnb"] = {"image": {"alt": description}}
            if "solution" in tags(cell):
                cell.metadata["tags"] = [*tags(cell), "hide-input"]
    if error is not None:
        stopped = f"This notebook stopped: `{error.replace('`', chr(39))}`. The cells after it were not run."
        notebook.cells.insert(1, new_markdown_cell(f"```{{error}}\n{stopped}\n```"))
    return notebook


def _static(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The output without what needs a kernel, and without the lines that a progress bar wrote over."""
    if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
        output = new_output("display_data", {"text/html": INTERACTIVE, "text/plain": "Interactive: run the notebook."})
    if output.output_type == "stream":
        output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
    return output


def update_readme(readme: Path, runs: Sequence[NotebookRun]) -> None:
    """Write the table of complete runs, made one at a time on an idle machine, between the two markers of `readme`."""
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
