"""A small executed run for tests of the book: notebooks with outputs, made without running a kernel."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell, new_output
from notebook_maker import code, write_notebook

from toposlearn.course.run import NotebookRun, record

PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415478da63606060000000040001"
        "27340a0b0000000049454e44ae426082"
    )
).decode()
WIDGET = "application/vnd.jupyter.widget-view+json"
LINE = "python 3.11 · CPU"


def make_run(out: Path) -> Path:
    """Two notebooks, the second of which failed, and one result file, under `out`."""
    picture = code("plot()")
    picture.outputs = [new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})]
    widget = code("browse()")
    widget.outputs = [
        new_output("execute_result", {WIDGET: {"model_id": "m"}, "text/plain": "VBox()"}, execution_count=2)
    ]
    noise = code("train()")
    noise.outputs = [new_output("stream", name="stderr", text="1 of 2\r2 of 2\n"), new_output("stream", text="done\n")]
    first = write_notebook(
        out / "notebooks/00_a.ipynb",
        new_markdown_cell("You will learn to\n\n* add;\n* multiply.\n\nYou need nothing. Really."),
        new_markdown_cell("## The *idea* in $K$\n\nInline $N_K(i)$ and\n\n$$ L = \\frac{1}{n} \\sum_i d(i, m(i)) $$"),
        picture,
        widget,
        noise,
        code("answer = 42", "solution"),
        new_markdown_cell("[next](01_b.ipynb), [weights](../checkpoints/lab/full.safetensors), [data](../data/cohort)"),
        title="# First\n\n**Does it add?**\n\nYou will learn to\n\n* add;\n* multiply.\n\nYou need nothing. Really.",
    )
    notebook = nbformat.read(first, as_version=4)
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"m": "STATE" * 100}}}
    nbformat.write(notebook, first)
    broken = code("1 / 0")
    broken.outputs = [
        new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=["\x1b[31mZero"])
    ]
    mark = new_markdown_cell("<span>An Exception</span>", metadata={"tags": ["papermill-error-cell-tag"]})
    write_notebook(out / "notebooks/01_b.ipynb", mark, broken, title="# Second\n\n**Does it divide?**")
    record(out, NotebookRun("00_a", "First", "Does it add?", None, 12.4, 1_234_000_000, environment=LINE))
    error = "In [1]: ZeroDivisionError: division by zero"
    record(out, NotebookRun("01_b", "Second", "Does it divide?", error, 100.0, 250_000_000, environment=LINE))
    result = {"source": "notebooks/00_a.ipynb", "metrics": {"x": {"value": 1}}, "seeds": [0]}
    (out / "results").mkdir()
    (out / "results/00_a.json").write_text(json.dumps(result))
    return out
