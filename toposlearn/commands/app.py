"""The application of the command line, and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

DATA, OUT, CHECKPOINTS = Path("data/cohort"), Path("runs/latest"), Path("checkpoints/lab")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

FOLDER = "Data folder: BIDS, BraTS, one folder per person, or all files in one folder."
DataOption = Annotated[Path, Option("--data", help=FOLDER)]
PresetOption = Annotated[str, Option(help="Preset: smoke, lab, gpu or paper.")]
SeedsOption = Annotated[int, Option(help="Number of pre-training seeds per variant.")]
HeldOutOption = Annotated[Path | None, Option(help="BIDS folder of people from another label map, measured as well.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"toposlearn {version('toposlearn')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
    debug: Annotated[bool, Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Learn, explore and test anatomical topology as a self-supervised signal."""
