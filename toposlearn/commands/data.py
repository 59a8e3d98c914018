"""Commands on data: simulate, check and explore it, and measure its topology, realism and shortcuts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from toposlearn import config
from toposlearn.commands.app import (
    CHECKPOINTS,
    DATA,
    FOLDER,
    CacheOption,
    DataOption,
    EntityOption,
    LabelKindOption,
    LabelsOption,
    PatternOption,
    PresetOption,
    SessionOption,
    SourceOption,
    SourcesOption,
    app,
    listed,
)

RECIPES = "plain: one disease, one lesion, one grid; full: all diseases and lesions, seven scans, four sites."
MOTION = "Simulated head motion between scans (mm) that the headers do not record."
ROTATION = "Simulated head rotation between scans (degrees) that the headers do not record."
SEGMENTATIONS = "Label maps, one per person (default: six donors)."
TABLES = (
    "Meaning of labels: freesurfer, desikan, neuromorphometrics, synthseg, toposlearn, or a CSV of label, name, side."
)
ANATOMY = "Label map: A, B (held out), a file, a folder of files, or several, comma-separated: people take turns."
HEADS = "brain, whole (of label maps with skull and scalp), or both: half of the people each."
CONTRAST = "Share of the scans with a random brightness of each tissue instead of that of the sequence."
POINTS = "The files hold landmarks (.fcsv, .mrk.json, CSV); several files of one BIDS subject are of several raters."


@app.command()
def cohort(
    subjects: Annotated[int, Option(help="Number of people.")] = 64,
    seed: Annotated[int, Option(help="Seed: the same seed gives the same voxels.")] = 0,
    out: Annotated[Path, Option(help="Folder to write.")] = DATA,
    anatomy: Annotated[str, Option(help=ANATOMY)] = "A",
    labels: Annotated[str, Option(help=TABLES)] = "synthseg",
    heads: Annotated[str, Option(help=HEADS)] = "brain",
    random_contrast: Annotated[float, Option(help=CONTRAST)] = 0.0,
    recipe: Annotated[str, Option(help=RECIPES)] = "plain",
    modalities: Annotated[str | None, Option(help="Comma-separated scans of each person (default: all).")] = None,
    voxels: Annotated[int | None, Option(help="Voxels along each side of a cube 224 mm wide, e.g. 64.")] = None,
    misregister_mm: Annotated[float, Option(help=MOTION)] = 0.0,
    misregister_degrees: Annotated[float, Option(help=ROTATION)] = 0.0,
    workers: Annotated[int | None, Option(help="Number of processes (default: one per core).")] = None,
) -> None:
    """Simulate people and write them as a BIDS folder; an interrupted run is continued."""
    from toposlearn.cohort import recipe_named, write_cohort
    from toposlearn.cohort.traits import FEWEST

    chosen = recipe_named(
        recipe,
        modalities=listed(modalities) or None,
        voxels=voxels,
        misregister_mm=misregister_mm,
        misregister_degrees=misregister_degrees,
        heads=heads,
        random_contrast=random_contrast,
    )
    if recipe == "full" and subjects < FEWEST:
        typer.echo(f"note: with fewer than {FEWEST} people, site, sex, lesion and diagnosis are correlated", err=True)
    made = write_cohort(
        out, subjects=subjects, seed=seed, anatomy=anatomy, labels=labels, recipe=chosen, workers=workers
    )
    typer.echo(made)


@app.command()
def inspect(
    data: Annotated[list[Path], Argument(help=FOLDER, metavar="DATA...")],
    html: Annotated[Path | None, Option(help="Page to write, which also shows every image.")] = None,
    session: SessionOption = "",
    entity: EntityOption = None,
    pattern: PatternOption = None,
) -> None:
    """Check a data set on one page: its files, the registration of its images, and its faults."""
    from toposlearn.data import Source, inspect_folder

    source = Source.of_options(data, session, entity or (), pattern or ())
    inspection = inspect_folder(source, progress=True)
    typer.echo(inspection.page())
    if html is not None:
        from toposlearn.explore.inspection_page import write_inspection

        typer.echo(write_inspection(inspection, html))
    inspection.raise_if_bad()


@app.command()
def explore(
    data: SourcesOption = None,
    checkpoints: Annotated[Path, Option(help="Folder of weights, or one weights file.")] = CHECKPOINTS,
    labels: LabelsOption = None,
    label_kind: LabelKindOption = "",
    session: SessionOption = "",
    entity: EntityOption = None,
    pattern: PatternOption = None,
    port: Annotated[int | None, Option(help="Port on this machine (default: a free one).")] = None,
    browser: Annotated[bool, Option("--browser/--no-browser", help="Open a browser window.")] = True,
    cache: CacheOption = None,
) -> None:
    """Show learned tokens in a browser on this machine: neighbors, matches, true places. Ctrl-C ends it."""
    from toposlearn.data import PointSource, Source
    from toposlearn.explorer.serve import serve_explorer

    source = Source.of_options(data or [DATA], session, entity or (), pattern or ())
    points = PointSource(labels, label_kind)
    serve_explorer(source, checkpoints, points, port=port, browser=browser, report=typer.echo)


@app.command()
def topology(
    segmentations: Annotated[list[Path] | None, Argument(metavar="[SEG]...", help=SEGMENTATIONS)] = None,
    labels: Annotated[str | None, Option(help=TABLES)] = None,
    data: Annotated[Path | None, Option(help=f"{FOLDER} Its segmentations are measured instead.")] = None,
    points: Annotated[bool, Option("--points", help=POINTS)] = False,
    within: Annotated[float, Option(min=0, help="Maximum gap between boundaries to measure, in mm (0: none).")] = 30.0,
    out: Annotated[Path, Option(help="Folder of CSV tables, GraphML graphs, a result file and a page.")] = Path(
        "runs/topology"
    ),
    source: SourceOption = "",
) -> None:
    """Measure spatial relations between structures, with margins, and whether people agree on them."""
    from toposlearn.reproducibility import check_writable
    from toposlearn.studies.agreement.page import write_topology_page
    from toposlearn.studies.agreement.result import write_topology_result
    from toposlearn.studies.agreement.study import find_readers, measure_subjects, write_study

    start = time.perf_counter()
    check_writable(out)
    study = measure_subjects(find_readers(segmentations or [], labels, data, points), within or None)
    for status, reasons in (("left out", study.failed), ("doubtful", study.doubtful)):
        for name, why in reasons.items():
            typer.echo(f"{status}: {name}: {why}", err=True)
    files = write_study(study, out)
    table = "points" if points else Path(labels or ("toposlearn" if data else "donors")).name
    options = {
        "SEG...": segmentations,  # without their names, which may be those of people
        "--points": points,
        f"--labels {table}": labels,
        f"--data {data}": data,
        f"--within {within:g}": not points,
    }
    command = " ".join(["toposlearn topology", *(words for words, given in options.items() if given)])
    seconds, result = time.perf_counter() - start, out / "result.json"
    files.append(write_topology_result(study, result, command=command, table=table, source=source, seconds=seconds))
    page = write_topology_page(study, out / "index.html")
    count = f"{len(study.subjects)} people, {len(study.shared)} structures that all have"
    typer.echo(f"{page}: {count}, {len(files)} files beside it")


@app.command()
def realism(
    data: Annotated[Path, Argument(help="Data folder with structure labels.")] = DATA,
    out: Annotated[Path, Option(help="Folder of the page, its table and its result file.")] = Path("runs/realism"),
    limit: Annotated[int, Option(help="Maximum number of people to measure.", min=1)] = 64,
) -> None:
    """Compare contrast, noise, volumes and shapes of people with published values, templates and donors."""
    from toposlearn.studies.realism import write_realism

    typer.echo(write_realism(data, out, limit=limit))


@app.command()
def shortcuts(
    data: DataOption = DATA,
    out: Annotated[Path, Option(help="Folder of the result and the features of the files.")] = Path("runs/shortcuts"),
    preset: PresetOption = "lab",
    cache: CacheOption = None,
) -> None:
    """Predict each label without a representation: from age, sex, site, size, brightness, headers, volumes."""
    from toposlearn.studies.shortcuts import find_shortcuts, shortcuts_report

    path = find_shortcuts(data, out, config.preset(preset).volume)
    typer.echo(shortcuts_report(path.parent))
    typer.echo(path)
