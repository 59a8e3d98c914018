"""The command that measures where structures lie, in the donors, in a data folder, or in the user's segmentations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toposlearn.commands.app import FOLDER, app

TABLE_HELP = "Meaning of labels: freesurfer, desikan, neuromorphometrics, toposlearn, or a CSV of label, name, side."


@app.command()
def topology(
    segmentations: Annotated[
        list[Path] | None, typer.Argument(metavar="[SEG]...", help="Label maps, one per person (default: six donors).")
    ] = None,
    labels: Annotated[str | None, typer.Option(help=TABLE_HELP)] = None,
    data: Annotated[Path | None, typer.Option(help=f"{FOLDER} Its segmentations are measured instead.")] = None,
    within: Annotated[
        float, typer.Option(min=0, help="Measure gaps between boundaries up to this many mm (0: no gaps).")
    ] = 30.0,
    out: Annotated[Path, typer.Option(help="Folder for tables (CSV), graphs (GraphML), a page (HTML).")] = Path(
        "runs/topology"
    ),
) -> None:
    """Measure spatial relations between structures, with margins, and whether people agree on them."""
    from toposlearn.reproducibility import check_writable
    from toposlearn.studies.agreement.page import write_topology_page
    from toposlearn.studies.agreement.study import find_readers, measure_subjects, write_study

    check_writable(out)
    study = measure_subjects(find_readers(segmentations or [], labels, data), within or None)
    for name, why in study.failed.items():
        typer.echo(f"left out: {name}: {why}", err=True)
    for name, why in study.doubtful.items():
        typer.echo(f"doubtful: {name}: {why}", err=True)
    files = write_study(study, out)
    page = write_topology_page(study, out / "index.html")
    count = f"{len(study.subjects)} people, {len(study.shared)} structures that all have"
    typer.echo(f"{page}: {count}, {len(files)} files beside it")
