"""The commands of ``toposlearn``: each a thin shell that imports what it needs only when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

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


@app.command()
def cohort(
    subjects: Annotated[int, typer.Option(help="How many people.")] = 64,
    seed: Annotated[int, typer.Option(help="Same seed, same voxels.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = DATA,
    anatomy: Annotated[str, typer.Option(help="Label map: A, or B (held out).")] = "A",
    workers: Annotated[int | None, typer.Option(help="Processes; one per core unless given.")] = None,
) -> None:
    """Simulate people to a BIDS folder; an interrupted run is continued."""
    from toposlearn.cohort import write_cohort

    typer.echo(write_cohort(out, subjects=subjects, seed=seed, anatomy=anatomy, workers=workers))


@app.command()
def inspect(data: Annotated[Path, typer.Argument(help=FOLDER)]) -> None:
    """Check a data set: what is there, and what is wrong with it, on one page."""
    from toposlearn.data import inspect_folder

    typer.echo(inspect_folder(data))


@app.command()
def pretrain(
    preset: Annotated[str, typer.Option(help="smoke, lab, gpu or paper.")] = "lab",
    variant: Annotated[
        str, typer.Option(help="reconstruction, intra, inter, full, … (a wrong name lists all).")
    ] = "full",
    data: DataOption = DATA,
    out: Annotated[Path, typer.Option(help="Folder of history, checkpoints and weights.")] = Path("runs/pretrain"),
    modalities: Annotated[
        str | None,
        typer.Option(help="Modalities, e.g. T1w,FLAIR; unless given, the preset's or all that everyone has."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, instead of the preset's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, pairs and augmentation.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint in --out.")] = False,
) -> None:
    """Pre-train an encoder."""
    from toposlearn import config

    given = {"seed": seed} | ({} if steps is None else {"steps": steps})
    settings = config.with_variant(config.preset(preset), variant).replace(train=given)
    from toposlearn.data import config_for, read_manifest

    if modalities is not None:
        settings = settings.replace(volume={"modalities": tuple(modalities.split(","))})
    else:
        settings = config_for(settings, read_manifest(data))
    typer.echo(f"modalities: {', '.join(settings.volume.modalities)}")

    from toposlearn.pretrain import pretrain as train

    typer.echo(train(settings, data, out, resume=resume))


@app.command()
def scorecard(
    weights: Annotated[Path, typer.Argument(help="Weights file (.safetensors).")],
    data: DataOption = DATA,
    out: Annotated[Path | None, typer.Option(help="Result file (JSON) to write.")] = None,
) -> None:
    """Judge weights on the people that were held out: correspondence in mm, neighborhoods, with their baselines."""
    import time

    from toposlearn.data import config_for, pose_people, prepare, read_manifest, split_people
    from toposlearn.models.weights import load_weights
    from toposlearn.pretrain import scorecard as score
    from toposlearn.reproducibility import write_result

    start = time.perf_counter()
    model, config = load_weights(weights)
    manifest = read_manifest(data)
    config = config_for(config, manifest)
    _, held_out = split_people(manifest, test_fraction=config.train.test_fraction)
    metrics = score(model, pose_people(prepare(held_out, config.volume), config))
    for name, metric in metrics.items():
        typer.echo(f"{name:<36} " + "  ".join(f"{part} {_number(value)}" for part, value in metric.items()))
    if out is not None:
        seconds = time.perf_counter() - start
        command = f"toposlearn scorecard {weights}"
        typer.echo(write_result(out, source=command, metrics=metrics, config=config.to_dict(), seconds=seconds))


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@app.command()
def ablation(
    data: DataOption = DATA,
    held_out: Annotated[
        Path | None, typer.Option(help="BIDS folder of people from another label map, to measure on as well.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/ablation"),
    preset: Annotated[str, typer.Option(help="smoke, lab, gpu or paper.")] = "lab",
    seeds: Annotated[int, typer.Option(help="Pre-training seeds for each variant.")] = 3,
    shipped: Annotated[Path | None, typer.Option(help="Folder for the first seed's weights and the results.")] = None,
) -> None:
    """Pre-train with and without each term of the loss, several seeds each, and compare."""
    from toposlearn import config

    settings = config.preset(preset)

    from toposlearn.downstream import run_ablation

    metrics = run_ablation(settings, data, out, held_out=held_out, seeds=range(seeds), shipped=shipped)
    if shipped is not None:
        from toposlearn.explore.overview import save_overview

        save_overview(shipped, data, metrics)
    typer.echo(out / "results.json")


@app.command()
def matchers(
    data: DataOption = DATA,
    held_out: Annotated[
        Path | None, typer.Option(help="BIDS folder of people from another label map, to measure on as well.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs; those of an ablation are used as they are.")] = Path(
        "runs/ablation"
    ),
    preset: Annotated[str, typer.Option(help="smoke, lab, gpu or paper.")] = "lab",
    seeds: Annotated[int, typer.Option(help="Pre-training seeds for each matcher.")] = 3,
    shipped: Annotated[Path | None, typer.Option(help="Folder for a copy of the result.")] = None,
) -> None:
    """Pre-train with every way of matching two people, the truth and chance among them, and measure the topology."""
    import json

    from toposlearn import config

    settings = config.preset(preset)

    from toposlearn.downstream.matchers import run_matchers
    from toposlearn.downstream.matchers_table import matchers_section

    path = run_matchers(settings, data, out, held_out=held_out, seeds=range(seeds), shipped=shipped)
    typer.echo(matchers_section(json.loads(path.read_text())))
    typer.echo(path)


@app.command()
def evaluate(
    checkpoints: Annotated[
        Path, typer.Option(help="Folder of VARIANT-seedN runs, or of VARIANT.safetensors files.")
    ] = Path("checkpoints/lab"),
    data: DataOption = DATA,
    out: Annotated[Path, typer.Option(help="Folder of the result file; what is there is kept and continued.")] = Path(
        "runs/evaluation"
    ),
    test: Annotated[
        list[Path] | None,
        typer.Option(help="BIDS folder of people never trained on; may be repeated. Else the held-out part of --data."),
    ] = None,
) -> None:
    """Downstream tasks, frozen and fine-tuned, with every subset of the modalities, beside their baselines."""
    from toposlearn.downstream.evaluation import evaluate as judge
    from toposlearn.downstream.evaluation_table import evaluation_tables

    path = judge(checkpoints, data, out, tests=test or ())
    typer.echo(evaluation_tables(path))
    typer.echo(path)


@app.command()
def topology(
    data: Annotated[Path | None, typer.Option(help="BIDS folder with labels; the six donors unless given.")] = None,
    out: Annotated[Path, typer.Option(help="Table (CSV) to write.")] = Path("runs/topology.csv"),
) -> None:
    """Who lies where: every relation between structures, for each person, with its margin in mm."""
    from toposlearn.anatomy import DONOR_IDS, load_donor_map
    from toposlearn.data import load_label_maps
    from toposlearn.reproducibility import atomic_path
    from toposlearn.topology.relations import topology_table

    people = {name: load_donor_map(name) for name in DONOR_IDS} if data is None else load_label_maps(data)
    table = topology_table(people)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as partial:
        table.to_csv(partial, index=False)
    typer.echo(f"{out}: {len(table)} relations of {len(people)} people")


@app.command()
def explore(
    data: DataOption = DATA,
    checkpoints: Annotated[Path, typer.Option(help="Folder of weights, or one weights file.")] = Path(
        "checkpoints/lab"
    ),
    port: Annotated[int | None, typer.Option(help="Port on this machine; a free one unless given.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """Look at learned tokens in a browser: neighbors, matches, true places. On this machine only; Ctrl-C ends it."""
    from toposlearn.explore.serve import serve_explorer

    serve_explorer(data, checkpoints, port=port, browser=browser, tell=typer.echo)


@app.command("run")
def run_command(
    notebooks: Annotated[list[Path], typer.Argument(help="Notebooks, in order.", metavar="NOTEBOOK…")],
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", metavar="NAME VALUE", help="A value; may be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of executed notebooks.")] = Path("runs/single"),
) -> None:
    """Run notebooks without a browser."""
    from toposlearn.course.notebooks import check_parameters, read_notebook

    pairs = [text.partition("=") for text in parameter or ()]
    parameters = {name: value for name, equals, value in pairs if equals}
    if len(parameters) < len(pairs):
        raise ValueError("a parameter is given once, as -p NAME VALUE")
    for path in notebooks:  # refuse before the first has run for hours
        check_parameters(read_notebook(path), parameters, path.name)
    _run_book(notebooks, out, parameters)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder that `all` or `run` wrote.")] = OUT,
    readme: Annotated[
        bool, typer.Option("--readme", help="Write the measured times into README.md and notebooks.")
    ] = False,
) -> None:
    """Build the book and the index of executed notebooks again, running none; write measured times into README."""
    from toposlearn import report as book
    from toposlearn.course import course_folder
    from toposlearn.run import read_record

    runs = read_record(run)
    if not runs:
        raise FileNotFoundError(f"no notebooks.json in {run}: run `toposlearn all` first")
    root = course_folder().parent
    book.write_book(run, root, typer.echo)
    if readme:
        book.update_readme(root / "README.md", runs)
        if (results := root / "checkpoints/lab/results.json").exists():
            book.update_results(root / "README.md", results)
        for one in runs:
            book.update_notebook(course_folder() / f"{one.name}.ipynb", one)


@app.command()
def course(out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("student")) -> None:
    """Write the notebooks for students: exercises and checks, no solutions."""
    from toposlearn.course import course_folder, numbered_notebooks, write_student_copies

    for path in write_student_copies(numbered_notebooks(course_folder()), out):
        typer.echo(path)


@app.command("all")
def everything(
    out: Annotated[Path, typer.Option(help="Folder of the book.")] = OUT,
    data: DataOption = DATA,
    subjects: Annotated[int, typer.Option(help="People to simulate where there is no data.")] = 64,
) -> None:
    """Simulate the cohort if there is none, run every numbered notebook, write the book."""
    from toposlearn.course.notebooks import course_folder, default_paths, numbered_notebooks

    paths = numbered_notebooks(course_folder())
    out.mkdir(parents=True, exist_ok=True)  # fails now rather than after the simulation
    if not (data / "participants.tsv").exists():  # written last
        from toposlearn.cohort import write_cohort

        typer.echo(f"Simulating {subjects} people in {data}")
        write_cohort(data, subjects=subjects)
    (out / "notebooks.json").unlink(missing_ok=True)
    _run_book(paths, out, default_paths(data, out), book=True)


def _run_book(paths: Sequence[Path], out: Path, parameters: dict[str, Any], *, book: bool = False) -> None:
    from toposlearn.course.notebooks import course_folder
    from toposlearn.report import run_book, write_book

    failed = run_book(paths, out, parameters, typer.echo)
    if book:  # also of failed notebooks: it shows where they stopped
        write_book(out, course_folder().parent, typer.echo)
    if failed:
        typer.echo(f"error: {len(failed)} of {len(paths)} notebooks failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)
