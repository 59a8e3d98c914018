"""The command that measures how real people look."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toposlearn.commands.app import DATA, app


@app.command()
def realism(
    data: Annotated[Path, typer.Argument(help="Folder of people with structure labels.")] = DATA,
    out: Annotated[Path, typer.Option(help="Folder of the page, its table and its result file.")] = Path(
        "runs/realism"
    ),
    limit: Annotated[int, typer.Option(help="The most people to measure.", min=1)] = 64,
) -> None:
    """How real people look: contrast, noise, volumes and shapes beside published values, templates and donors."""
    from toposlearn.studies.realism import write_realism

    typer.echo(write_realism(data, out, limit=limit))
