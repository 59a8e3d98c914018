"""The record of a run: notebooks run in order, a plain index of what they left, README's table of measured times."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from toposlearn.book.build import build_book
from toposlearn.book.index import memory
from toposlearn.course.course_map import BUSY
from toposlearn.course.notebooks import one_line, read_notebook
from toposlearn.course.run import NotebookRun, read_record, run_and_record
from toposlearn.reproducibility import write_text

BEGIN, END = "<!-- notebooks:begin -->", "<!-- notebooks:end -->"
RESULTS = "<!-- results:begin -->", "<!-- results:end -->"
PRESETS = "<!-- presets:begin -->", "<!-- presets:end -->"
MEASURED = "<!-- measured:begin -->", "<!-- measured:end -->"
CELL_TIMEOUT = 900  # seconds; a built-in notebook takes less than a fifth of it on an idle machine
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.4rem .6rem;text-align:left;vertical-align:top}"
    ".failed{color:#b00020;font-weight:bold}"
)


def run_book(
    paths: Sequence[Path], out: Path, parameters: Mapping[str, Any], tell: Callable[[str], object] = print
) -> list[str]:
    """Run notebooks in order, tell a line for each, write the index; return the names that failed.

    The index is written even when the run is interrupted.
    """
    failed = []
    try:
        for number, path in enumerate(paths, start=1):
            tell(f"[{number}/{len(paths)}] {path.stem} …")
            done = run_and_record(path, out, parameters, cell_timeout=CELL_TIMEOUT)
            status = "ok" if done.ok else f"FAILED {done.error}"
            tell(f"      {done.seconds:.1f} s, {memory(done.peak_memory_bytes)}: {status}")
            if not done.ok:
                failed.append(path.stem)
    finally:
        if (out / "notebooks.json").exists():
            tell(f"Index: {write_index(out)}")
    return failed


def write_book(out: Path, root: Path, tell: Callable[[str], object] = print) -> Path:
    """Build the book from what was run, and the index that leads to it; return the index.

    Args:
        out: folder that `run_book` wrote.
        root: folder that holds ``checkpoints/``.
        tell: is given a line on each.

    Raises:
        ValueError: the book could not be built; an earlier one is left as it was.
    """
    tell("Book …")
    build_book(out, root, tell)
    index = write_index(out)
    tell(f"Index: {index}")
    return index


def write_index(out: Path) -> Path:
    """``out/index.html``: the way into the book, a row for each recorded notebook, the environment they ran in."""
    runs, results = read_record(out), _results(out)
    head = f"Notebooks run: {len(runs)}. Failed: {sum(not run.ok for run in runs)}."
    columns = ("Notebook", "Question", "Status", "Seconds", "Peak memory", "Open")
    rows = "\n".join(_index_row(out, run, results) for run in runs)
    lines = sorted({run.environment for run in runs})
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>toposlearn</title><style>{STYLE}</style>'
        f"</head><body>\n<h1>toposlearn</h1>\n{_book_links(out)}<p>{head}</p>\n<table>\n<tr>"
        + "".join(f"<th>{name}</th>" for name in columns)
        + f"</tr>\n{rows}\n</table>\n"
        + "".join(f"<p>{html.escape(line)}</p>\n" for line in lines)
        + "</body></html>\n"
    )
    return write_text(out / "index.html", page)


def _book_links(out: Path) -> str:
    pages = {"Read the book": "book/index.html", "Results: claims and measurements": "book/results.html"}
    links = [f'<a href="{page}">{text}</a>' for text, page in pages.items() if (out / page).exists()]
    return f"<p><strong>{' · '.join(links)}</strong></p>\n" if links else ""


def _index_row(out: Path, run: NotebookRun, results: dict[Path, str]) -> str:
    status = "ok" if run.ok else f'<span class="failed">failed</span>: {html.escape(run.error or "")}'
    files = [out / "book" / f"{run.name}.html", out / "notebooks" / f"{run.name}.ipynb"]
    files += [path for path, source in results.items() if run.name in source]
    links = [f'<a href="{path.relative_to(out).as_posix()}">{path.name}</a>' for path in files if path.exists()]
    cells = (
        html.escape(run.title),
        html.escape(run.question),
        status,
        f"{run.seconds:.0f}",
        memory(run.peak_memory_bytes),
        "<br>".join(links),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _results(out: Path) -> dict[Path, str]:
    """Result files under ``out/results`` and the source that each names."""
    found = {}
    for path in sorted((out / "results").glob("**/*.json")):
        try:
            content: Any = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not a result file: {one_line(str(error))}") from error
        found[path] = str(content.get("source", "")) if isinstance(content, dict) else ""
    return found


def readme_table(runs: Sequence[NotebookRun]) -> str:
    """Markdown table of the notebooks: question, measured seconds and peak memory, where measured.

    The runs must have been made on an idle machine: the table says so.

    Raises:
        ValueError: nothing was run, or a run failed: such numbers would mislead.
    """
    failed = [run.name for run in runs if not run.ok]
    if failed or not runs:
        what = f"{', '.join(failed)} failed" if failed else "no notebook was run"
        raise ValueError(f"{what}: no table is written (run `make run` first)")
    lines = ["| notebook | the question it answers | time on an idle machine | peak memory |", "|---|---|---|---|"]
    for run in runs:
        link = f"[{run.title}](notebooks/{run.name}.ipynb)"
        lines.append(f"| {link} | {run.question} | {run.seconds:.0f} s | {memory(run.peak_memory_bytes)} |")
    total = sum(run.seconds for run in runs)
    peak = memory(max(run.peak_memory_bytes for run in runs))
    lines.append(f"| all | | {total:.0f} s | {peak} |")
    where = "; ".join(sorted({run.environment for run in runs}))
    return "\n".join(lines) + f"\n\nMeasured: {where}, idle but for the notebook. {BUSY}\n"


def update_readme(readme: Path, runs: Sequence[NotebookRun]) -> None:
    """Replace what stands between the two markers of `readme` by the table of `runs`.

    Raises:
        ValueError: a marker is missing, or the runs are not fit to be shown.
    """
    table = readme_table(runs)
    text = _between(readme.read_text(encoding="utf-8"), BEGIN, END, table)
    if text is None:
        raise ValueError(f"{readme} has no {BEGIN} … {END}: put the two markers where the table belongs")
    write_text(readme, text)


def update_results(readme: Path, results: Path) -> None:
    """Replace what stands between the results markers of `readme` by the tables of a comparison's result file.

    Raises:
        ValueError: a marker is missing, or the file is no result.
    """
    from toposlearn.studies.ablation.table import result_section

    try:
        section = result_section(json.loads(results.read_text(encoding="utf-8")))
    except (ValueError, KeyError) as error:
        raise ValueError(f"{results} is not the result of a comparison: {one_line(str(error))}") from None
    text = _between(readme.read_text(encoding="utf-8"), *RESULTS, section)
    if text is None:
        raise ValueError(f"{readme} has no {RESULTS[0]} … {RESULTS[1]}: put the two markers where the tables belong")
    write_text(readme, text)


def update_presets(readme: Path) -> None:
    """Replace what stands between the presets markers of `readme` by the table of `toposlearn config`.

    Raises:
        ValueError: a marker is missing.
    """
    from toposlearn.models import preset_table

    text = _between(readme.read_text(encoding="utf-8"), *PRESETS, preset_table())
    if text is None:
        raise ValueError(f"{readme} has no {PRESETS[0]} … {PRESETS[1]}: put the two markers where the table belongs")
    write_text(readme, text)


def update_notebook(path: Path, run: NotebookRun) -> None:
    """State the measured time and memory of `run` in the first cell of the notebook."""
    notebook = read_notebook(path)
    first = notebook.cells[0]
    line = measured_line(run)
    with_line = _between(first.source, *MEASURED, line)
    first.source = with_line or "\n".join([first.source.rstrip() + "\n", MEASURED[0], line + MEASURED[1]])
    write_text(path, nbformat.writes(notebook) + "\n")


def measured_line(run: NotebookRun) -> str:
    """Time and memory as the first cell of a notebook states them; `run` must have been made on an idle machine."""
    took = f"{run.seconds:.0f} s on an idle machine, {memory(run.peak_memory_bytes)} of memory"
    return f"*Measured: {took} ({run.environment}). {BUSY}*\n"


def _between(text: str, begin: str, end: str, new: str) -> str | None:
    """`text` with `new` between two markers; None where a marker is missing."""
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    return f"{before}{begin}\n{new}{end}{after}" if found and closed else None
