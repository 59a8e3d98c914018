"""Commands on people: simulate, check, look."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toposlearn.commands.app import DATA, FOLDER, CheckpointsOption, DataOption, app


@app.command()
def cohort(
    subjects: Annotated[int, typer.Option(help="How many people.")] = 64,
    seed: Annotated[int, typer.Option(help="Same seed, same voxels.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = DATA,
    anatomy: Annotated[str, typer.Option(help="Label map: A, or B (held out).")] = "A",
    recipe: Annotated[
        str, typer.Option(help="plain: one disease, one lesion, one grid; full: all of both, seven scans, four sites.")
    ] = "plain",
    modalities: Annotated[str | None, typer.Option(help="Scans of each person, with commas; all unless given.")] = None,
    voxels: Annotated[int | None, typer.Option(help="Along each side of a cube 224 mm wide, e.g. 64.")] = None,
    misregister_mm: Annotated[float, typer.Option(help="Move the head so far between scans, in secret.")] = 0.0,
    misregister_degrees: Annotated[float, typer.Option(help="Turn it so far.")] = 0.0,
    workers: Annotated[int | None, typer.Option(help="Processes; one per core unless given.")] = None,
) -> None:
    """Simulate people to a BIDS folder; an interrupted run is continued."""
    from toposlearn.cohort import recipe_named, write_cohort
    from toposlearn.cohort.traits import FEWEST

    made_of = recipe_named(
        recipe,
        modalities=tuple(modalities.split(",")) if modalities else None,
        voxels=voxels,
        misregister_mm=misregister_mm,
        misregister_degrees=misregister_degrees,
    )
    if recipe == "full" and subjects < FEWEST:
        typer.echo(f"note: fewer than {FEWEST} people: site, sex, lesion and diagnosis tell each other", err=True)
    typer.echo(write_cohort(out, subjects=subjects, seed=seed, anatomy=anatomy, recipe=made_of, workers=workers))


@app.command()
def inspect(
    data: Annotated[Path, typer.Argument(help=FOLDER)],
    html: Annotated[Path | None, typer.Option(help="Page to write: the same with every image to look at.")] = None,
) -> None:
    """Check a data set: what is there, which images lie together, and what is wrong, on one page."""
    from toposlearn.data import inspect_folder

    inspection = inspect_folder(data, progress=True)
    typer.echo(inspection.page())
    if html is not None:
        from toposlearn.explore.inspection_page import write_inspection

        typer.echo(write_inspection(inspection, html))
    inspection.raise_if_bad()


@app.command()
def explore(
    data: DataOption = DATA,
    checkpoints: CheckpointsOption = Path("checkpoints/lab"),
    port: Annotated[int | None, typer.Option(help="Port on this machine; a free one unless given.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """Look at learned tokens in a browser: neighbors, matches, true places. On this machine only; Ctrl-C ends it."""
    from toposlearn.explorer.serve import serve_explorer

    serve_explorer(data, checkpoints, port=port, browser=browser, tell=typer.echo)
