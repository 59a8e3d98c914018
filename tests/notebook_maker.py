"""Tiny notebooks for tests."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
TITLE = "# A tiny notebook\n\n**Does it run?**"


def code(source: str, tag: str | None = None) -> nbformat.NotebookNode:
    return new_code_cell(source, metadata={"tags": [tag]} if tag else {})


def write_notebook(
    path: Path, *cells: nbformat.NotebookNode, title: str = "# A tiny notebook\n\n**Does it run?**"
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell(title), *cells], metadata={"kernelspec": KERNEL}), path)
    return path
