"""Commands on labels: fine-tune a network for a task, and predict with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from toposlearn.commands.app import (
    CHECKPOINTS,
    FOLDER,
    AllowSeenOption,
    CacheOption,
    EntityOption,
    PatternOption,
    SessionOption,
    app,
    listed,
)

WEIGHTS = "Pre-trained weights (default: random ones, of the size of --preset)."
TASK = "segmentation (of label maps), classification or regression (of a column of the table of participants)."
LABELS = "Kind of label maps, as 'toposlearn inspect' names it, e.g. seg, lesion (default: the only one)."
NAMES = "Names of the labels: freesurfer, synthseg, ..., or a CSV of label, name, side (default: their numbers)."
REGIONS = "Regions to judge: brats (to 2023), brats-2024, or e.g. 'whole=1,2,3;core=1,3' (default: every label)."
MISSING = "For a missing image: mean of the others, zero (an image of zeros) or drop (attention over the others)."
WHERE = "People who take part, by a column of participants, e.g. lesion_type=stroke,metastases; repeatable."
STARTS = "Comma-separated starts: scratch, reconstruction, intra, full, frozen (default: all)."
SUBSETS = "Judge with every subset of the modalities, too."
WORKERS = "Processes that read and change images while the network trains (default: the preset's)."
PEOPLE = "Data folders of people to predict, or a file that describes one."
SIZE = "Preset of the network without --weights: smoke, lab, gpu or paper (default: lab)."


@app.command()
def finetune(
    data: Annotated[list[Path], Argument(help=FOLDER, metavar="DATA...")],
    weights: Annotated[Path | None, Option(help=WEIGHTS)] = None,
    task: Annotated[str, Option(help=TASK)] = "segmentation",
    out: Annotated[Path, Option(help="Folder of the network, its split, history and scores.")] = Path("runs/finetune"),
    labels: Annotated[str, Option(help=LABELS, metavar="KIND")] = "",
    names: Annotated[str | None, Option(help=NAMES, metavar="TABLE")] = None,
    regions: Annotated[str, Option(help=REGIONS)] = "",
    target: Annotated[str, Option(help="Column of the table of participants, e.g. sex, age.")] = "",
    preset: Annotated[str, Option(help=SIZE)] = "",
    from_scratch: Annotated[bool, Option("--from-scratch", help="Random weights, as without --weights.")] = False,
    freeze: Annotated[bool, Option("--freeze", help="Leave the pre-trained weights as they are.")] = False,
    modalities: Annotated[
        str | None, Option(help="Comma-separated modalities (default: those most people have).")
    ] = None,
    missing: Annotated[str, Option(help=MISSING)] = "mean",
    modality_dropout: Annotated[float, Option(help="Probability that an image is withheld in a step.")] = 0.3,
    pooling: Annotated[str, Option(help="Of tokens, for classification and regression: mean or attention.")] = "mean",
    spacing: Annotated[
        float | None, Option(help="Voxels in mm (default: as pre-trained); smaller: in patches.")
    ] = None,
    folds: Annotated[int, Option(help="Judge everyone once, in this many runs (0: people held out).")] = 0,
    shots: Annotated[str, Option(help="Comma-separated numbers of labeled people, a run each, e.g. 2,4,8.")] = "",
    judged: Annotated[float, Option(help="Share of the people who are judged, without --folds.")] = 0.25,
    where: Annotated[list[str] | None, Option(metavar="COLUMN=VALUES", help=WHERE)] = None,
    each_subset: Annotated[bool, Option("--each-subset", help=SUBSETS)] = False,
    steps: Annotated[int | None, Option(min=1, help="Number of steps (default: the preset's).")] = None,
    learning_rate: Annotated[
        float | None, Option(help="Learning rate of what is added (default: the preset's).")
    ] = None,
    workers: Annotated[int | None, Option(min=0, help=WORKERS)] = None,
    seed: Annotated[int, Option(help="Seed of weights, order of people and augmentation.")] = 0,
    session: SessionOption = "",
    entity: EntityOption = None,
    pattern: PatternOption = None,
    cache: CacheOption = None,
    resume: Annotated[bool, Option("--resume", help="Continue from the last checkpoint in --out.")] = False,
    allow_seen: AllowSeenOption = False,
) -> None:
    """Fine-tune a network on labeled people, and judge it on people it was not trained on."""
    from toposlearn.data import Source
    from toposlearn.downstream.labeled_runs import base_config
    from toposlearn.downstream.labeled_runs import finetune as run
    from toposlearn.downstream.settings import MISSING as MEANINGS
    from toposlearn.downstream.settings import TaskConfig, finetune_config, parse_regions, parse_where
    from toposlearn.downstream.tables import scores_table

    source = Source.of_options(data, session, entity or (), pattern or ())
    some = parse_where(where or ())
    wanted = TaskConfig(kind=task, labels=labels, regions=parse_regions(regions), target=target, where=some)  # type: ignore[arg-type]
    base = base_config(weights, preset, source, listed(modalities))
    given = {"steps": steps, "learning_rate": learning_rate, "workers": workers}
    changed = {name: value for name, value in given.items() if value is not None}
    settings = finetune_config(
        base,
        wanted,
        spacing=spacing,
        from_scratch=from_scratch or weights is None,
        freeze=freeze,
        missing=missing,
        modality_dropout=modality_dropout,
        pooling=pooling,
        seed=seed,
        **changed,
    )
    typer.echo(f"modalities: {', '.join(settings.volume.modalities)}")
    if len(settings.volume.modalities) > 1:
        typer.echo(f"for an image that is missing the network gets {MEANINGS[settings.missing]}")
    path = run(
        settings,
        source,
        out,
        weights=weights,
        table=names,
        folds=folds,
        shots=[_whole(each, "--shots") for each in listed(shots)],
        judged=judged,
        each_subset=each_subset,
        resume=resume,
        allow_seen=allow_seen,
    )
    typer.echo(scores_table(path))
    typer.echo(path)


def _whole(text: str, option: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{option} {text!r} is no whole number: write it as in '{option} 2,4,8'") from None


@app.command()
def predict(
    network: Annotated[Path, Argument(help="Folder of a fine-tuning, or its network.safetensors.")],
    data: Annotated[list[Path], Argument(help=PEOPLE, metavar="DATA...")],
    out: Annotated[Path, Option(help="Folder of label maps, or of the table.")] = Path("runs/predictions"),
    probabilities: Annotated[bool, Option("--probabilities", help="Also write the probability of each class.")] = False,
    page: Annotated[bool, Option("--page/--no-page", help="Write a page of image, truth and prediction.")] = True,
    session: SessionOption = "",
    entity: EntityOption = None,
    pattern: PatternOption = None,
    cache: CacheOption = None,
) -> None:
    """Predict people with a fine-tuned network: label maps in their own grids, or a table."""
    from toposlearn.data import Source
    from toposlearn.downstream.prediction import predict as run

    source = Source.of_options(data, session, entity or (), pattern or ())
    files = run(network, source, out, probabilities=probabilities)
    if page and files and files[0].name.endswith(".nii.gz"):
        from toposlearn.explore.prediction_page import write_prediction_page

        typer.echo(write_prediction_page(network, source, out))
    typer.echo(f"{out}: {len(files)} files" if len(files) != 1 else files[0])


@app.command()
def tasks(
    names: Annotated[list[str] | None, Argument(metavar="[TASK]...", help="Tasks (default: all).")] = None,
    data: Annotated[Path, Option(help="Folder that holds those of the tasks: cohort, full, malf, ixi.")] = Path("data"),
    checkpoints: Annotated[Path, Option(help="Folder of VARIANT.safetensors.")] = CHECKPOINTS,
    out: Annotated[Path, Option(help="Folder of the runs and scores; it is kept and continued.")] = Path("runs/tasks"),
    starts: Annotated[str | None, Option(help=STARTS)] = None,
    seeds: Annotated[int, Option(help="Number of fine-tuning seeds.")] = 3,
    steps: Annotated[int | None, Option(min=1, help="Number of steps (default: the preset's).")] = None,
    shipped: Annotated[Path | None, Option(help="Folder for a copy of the result and the scores.")] = None,
) -> None:
    """Fine-tune every start for seven tasks, and compare: what is pre-training worth?"""
    from toposlearn.studies.seven_tasks import run_tasks
    from toposlearn.studies.seven_tasks.study import STARTS as KNOWN
    from toposlearn.studies.seven_tasks.tables import tasks_section

    given = {"tasks": names or (), "starts": listed(starts) or tuple(KNOWN), "seeds": range(seeds), "steps": steps}
    path = run_tasks(data, checkpoints, out, **given, shipped=shipped)  # type: ignore[arg-type]
    typer.echo(tasks_section(json.loads(path.read_text(encoding="utf-8"))))
    typer.echo(path)
