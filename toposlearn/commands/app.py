"""The application of the command line, and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DATA, OUT = Path("data/cohort"), Path("runs/latest")

app = typer.Typer(
    help="Learn, explore and test anatomical topology as a self-supervised signal.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

FOLDER = "Folder of people: BIDS, BraTS, a folder a person, or all files in one."
DataOption = Annotated[Path, typer.Option("--data", help=FOLDER)]
PresetOption = Annotated[str, typer.Option(help="smoke, lab, gpu or paper.")]
SeedsOption = Annotated[int, typer.Option(help="Pre-training seeds for each variant.")]
HeldOutOption = Annotated[
    Path | None, typer.Option(help="BIDS folder of people from another label map, to measure on as well.")
]
CheckpointsOption = Annotated[Path, typer.Option(help="Folder of weights, or one weights file.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"toposlearn {version('toposlearn')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Learn, explore and test anatomical topology as a self-supervised signal."""
