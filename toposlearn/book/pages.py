"""An executed notebook as a page of the book: a copy without what needs a kernel, with a description of each figure."""

from __future__ import annotations

import re

import nbformat
from nbformat.v4 import new_markdown_cell, new_output

from toposlearn.course.notebooks import tags

WIDGET = "application/vnd.jupyter.widget-view+json"
INTERACTIVE = '<p class="interactive">Interactive: run the notebook to move this one.</p>'
PAPERMILL_ERROR = "papermill-error-cell-tag"


def page(executed: nbformat.NotebookNode, error: str | None = None) -> nbformat.NotebookNode:
    """A copy of an executed notebook, fit for the book.

    Widgets become one sentence, figures get an alternative text, solutions are folded, progress bars are their last
    line, and a notebook that stopped says so under its title.

    Args:
        executed: the notebook with its outputs; left as it is.
        error: why it stopped, None for a good run.
    """
    notebook: nbformat.NotebookNode = nbformat.from_dict(executed)
    notebook.metadata.pop("widgets", None)
    notebook.cells = [cell for cell in notebook.cells if PAPERMILL_ERROR not in tags(cell)]
    heading, figures = "", 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^#+\s+(.+)$", cell.source, re.MULTILINE)
            heading, figures = (_plain(found[-1]), 0) if found else (heading, figures)
        elif cell.cell_type == "code":
            cell.outputs = [_output(output) for output in cell.outputs]
            if any("image/png" in output.get("data", {}) for output in cell.outputs):
                figures += 1
                description = f"Figure{f' {figures}' if figures > 1 else ''}: {heading}"
                cell.metadata["mystnb"] = {"image": {"alt": description}}
            if "solution" in tags(cell):
                cell.metadata["tags"] = [*tags(cell), "hide-input"]
    if error is not None:
        notebook.cells.insert(1, new_markdown_cell(_stopped(error)))
    return notebook


def _plain(markdown: str) -> str:
    """A heading without markup."""
    return re.sub(r"[*`$\\]", "", markdown).strip(" #")


def _output(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if WIDGET in output.get("data", {}):
        output = new_output("display_data", {"text/html": INTERACTIVE, "text/plain": "Interactive: run the notebook."})
    if output.output_type == "stream":  # a progress bar writes over its own line
        output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
    return output


def _stopped(error: str) -> str:
    quoted = error.replace("`", "'")
    return f"```{{error}}\nThis notebook stopped: `{quoted}`. The cells after it were not run.\n```"
