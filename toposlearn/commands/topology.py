"""The command that measures who lies where, in the donors, in a data folder, or in segmentations of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toposlearn.commands.app import FOLDER, app

if TYPE_CHECKING:
    from toposlearn.anatomy import Structure
    from toposlearn.anatomy.segmentations import Segmentation
    from toposlearn.studies.agreement.study import Reader

TABLE_HELP = "What labels mean: freesurfer, desikan, neuromorphometrics, toposlearn, or a CSV of label, name, side."


@app.command()
def topology(
    segmentations: Annotated[
        list[Path] | None, typer.Argument(metavar="[SEG]...", help="A label map a person; the six donors unless given.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help=TABLE_HELP)] = None,
    data: Annotated[Path | None, typer.Option(help=f"{FOLDER} Instead of segmentations: those in it.")] = None,
    within: Annotated[
        float, typer.Option(min=0, help="Measure gaps between boundaries up to so many mm; 0: none.")
    ] = 30.0,
    out: Annotated[Path, typer.Option(help="Folder for tables (CSV), graphs (GraphML), a page (HTML).")] = Path(
        "runs/topology"
    ),
) -> None:
    """Who lies where: relations between structures, with margins, and whether people agree on them."""
    from toposlearn.reproducibility import check_writable
    from toposlearn.studies.agreement.study import measure_subjects, write_study
    from toposlearn.studies.agreement.topology_page import write_topology_page

    check_writable(out)
    study = measure_subjects(_readers(segmentations or [], labels, data), within or None, progress=True)
    for name, why in study.failed.items():
        typer.echo(f"left out: {name}: {why}", err=True)
    for name, why in study.doubtful.items():
        typer.echo(f"doubtful: {name}: {why}", err=True)
    files = write_study(study, out)
    page = write_topology_page(study, out / "index.html")
    told = f"{len(study.subjects)} people, {len(study.shared)} structures that all have, {len(files)} files beside it"
    typer.echo(f"{page}: {told}")


def _readers(segmentations: list[Path], labels: str | None, data: Path | None) -> Mapping[str, Reader]:
    """Name -> what reads that person's segmentation."""
    from toposlearn.anatomy import DONOR_IDS
    from toposlearn.anatomy.label_names import TABLES, structure_names
    from toposlearn.anatomy.segmentations import distinct_names, load_segmentation
    from toposlearn.data import read_manifest

    if segmentations and data is not None:
        raise ValueError("give segmentations or --data, not both")
    if segmentations:
        if labels is None:
            raise ValueError(f"--labels says what the labels mean: {', '.join(TABLES)}, or a CSV file")
        table = structure_names(labels)
        named = zip(distinct_names(segmentations), segmentations, strict=True)
        return {name: partial(load_segmentation, path, table, name) for name, path in named}
    if data is not None:
        table = structure_names(labels or "toposlearn")
        files = {record.subject: record.labels for record in read_manifest(data).records}
        if not any(files.values()):
            raise ValueError(f"nobody in {data} has structure labels (_dseg.nii.gz)")
        return {name: partial(_labels_of, name, path, table) for name, path in files.items()}
    if labels is not None:
        raise ValueError("--labels is about segmentations or --data: the donors have a table of their own")
    return {name: partial(_donor, name) for name in DONOR_IDS}


def _labels_of(name: str, path: Path | None, table: Mapping[int, Structure]) -> Segmentation:
    from toposlearn.anatomy.segmentations import load_segmentation

    if path is None:
        raise ValueError("has no structure labels (_dseg.nii.gz)")
    return load_segmentation(path, table, name)


def _donor(name: str) -> Segmentation:
    from toposlearn.anatomy import load_donor_map
    from toposlearn.anatomy.segmentations import Segmentation

    return Segmentation(load_donor_map(name), {})
