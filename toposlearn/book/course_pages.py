"""Pages of the course: the index with the way through it, and each executed notebook as a page."""

from __future__ import annotations

import re
from collections.abc import Sequence

import nbformat
from nbformat.v4 import new_markdown_cell, new_output

from toposlearn.book.templates import TEMPLATES
from toposlearn.course.notebooks import tags
from toposlearn.course.run import NotebookRun

WIDGET = "application/vnd.jupyter.widget-view+json"
INTERACTIVE = '<p class="interactive">Interactive: run the notebook to move this one.</p>'
PAPERMILL_ERROR = "papermill-error-cell-tag"


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

    Widgets become one sentence, figures get an alternative text, solutions are folded, progress bars are reduced to
    their last line, and a notebook that stopped says so below its title.

    Args:
        executed: the notebook with its outputs; it is not changed.
        error: why it stopped, None for a good run.
    """
    notebook: nbformat.NotebookNode = nbformat.from_dict(executed)
    notebook.metadata.pop("widgets", None)
    notebook.cells = [cell for cell in notebook.cells if PAPERMILL_ERROR not in tags(cell)]
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
    if WIDGET in output.get("data", {}):
        output = new_output("display_data", {"text/html": INTERACTIVE, "text/plain": "Interactive: run the notebook."})
    if output.output_type == "stream":
        output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
    return output
