"""The command line: each command is a thin shell, and imports what it needs only when it runs.

An error is one line on stderr: exit code 1 for what went wrong, 2 for a command that cannot be read, 130 for an
interruption. ``--debug`` shows the traceback instead.
"""

from __future__ import annotations

import signal
import sys
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

DataOption = Annotated[Path, typer.Option("--data", help="BIDS folder.")]


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(execute(sys.argv[1:] if argv is None else argv))


def execute(argv: Sequence[str]) -> int:
    """Run a command; return its exit code, with any error told in one line on stderr."""
    try:
        code = app(_join_parameters(argv), prog_name="toposlearn", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:
        if "--debug" in argv:
            raise
        print(_message(error), file=sys.stderr)
        return int(getattr(error, "exit_code", 1))
    if code == 130:
        print("error: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _terminate(number: int, frame: object) -> None:
    raise SystemExit(128 + number)  # unwinds, so that kernels end and temporary files go


def _message(error: Exception) -> str:
    told = getattr(error, "format_message", None)  # the command line could not be read
    if told is not None:
        text = str(told())
        return text if text.startswith("Usage") else f"error: {' '.join(text.split())} (try --help)"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"error: {error.strerror}: {error.filename}"
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, (ValueError, OSError)):
        text = f"{type(error).__name__}: {text} (--debug before the command shows where)"
    return f"error: {text}"


def _join_parameters(argv: Sequence[str]) -> list[str]:
    """``-p name value`` as ``-p name=value``: the parser takes one value an option."""
    joined: list[str] = []
    rest = list(argv)
    while rest:
        joined.append(rest.pop(0))
        if joined[-1] in ("-p", "--parameter") and len(rest) >= 2 and "=" not in rest[0]:
            joined.append(f"{rest.pop(0)}={rest.pop(0)}")
    return joined


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
def inspect(data: Annotated[Path, typer.Argument(help="BIDS folder.")]) -> None:
    """Check a data set: what is there, and what is wrong with it, on one page."""
    from toposlearn.data import inspect_folder

    typer.echo(inspect_folder(data))


@app.command()
def pretrain(
    preset: Annotated[str, typer.Option(help="smoke, lab, gpu or paper.")] = "lab",
    variant: Annotated[str, typer.Option(help="reconstruction, intra, inter or full.")] = "full",
    data: DataOption = DATA,
    out: Annotated[Path, typer.Option(help="Folder of history, checkpoints and weights.")] = Path("runs/pretrain"),
    steps: Annotated[int | None, typer.Option(help="Steps, instead of the preset's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, pairs and augmentation.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint in --out.")] = False,
) -> None:
    """Pre-train an encoder."""
    from toposlearn import config
    from toposlearn.pretrain import pretrain as train

    train_settings: dict[str, Any] = {"seed": seed} | ({} if steps is None else {"steps": steps})
    settings = config.with_variant(config.preset(preset), variant).replace(train=train_settings)
    train(settings, data, out, resume=resume)


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
    readme: Annotated[bool, typer.Option("--readme", help="Write the measured times into README.md.")] = False,
) -> None:
    """Write the index of executed notebooks again, and README's table of them."""
    from toposlearn import report as book
    from toposlearn.course import course_folder
    from toposlearn.run import read_record

    runs = read_record(run)
    if not runs:
        raise FileNotFoundError(f"no notebooks.json in {run}: run `toposlearn all` first")
    typer.echo(book.write_index(run))
    if readme:
        target = course_folder().parent / "README.md"
        book.update_readme(target, runs)
        typer.echo(target)


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
    if not (data / "participants.tsv").exists():  # written last
        from toposlearn.cohort import write_cohort

        typer.echo(f"Simulating {subjects} people in {data}")
        write_cohort(data, subjects=subjects)
    (out / "notebooks.json").unlink(missing_ok=True)
    _run_book(paths, out, default_paths(data, out))


def _run_book(paths: Sequence[Path], out: Path, parameters: dict[str, Any]) -> None:
    """Run notebooks with a line each, convert them, write the index; exit code 1 if one failed."""
    from toposlearn import report as book
    from toposlearn.run import run_and_record

    failed = []
    try:
        for number, path in enumerate(paths, start=1):
            typer.echo(f"[{number}/{len(paths)}] {path.stem:<32} ", nl=False)
            done = run_and_record(path, out, parameters)
            status = "ok" if done.ok else f"FAILED {done.error}"
            typer.echo(f"{done.seconds:6.1f} s {book.memory(done.peak_memory_bytes):>8}  {status}")
            if not done.ok:
                failed.append(path.stem)
            if (executed := out / "notebooks" / path.name).exists():
                book.write_html(executed)
    finally:
        if (out / "notebooks.json").exists():
            typer.echo(f"Index: {book.write_index(out)}")
    if failed:
        typer.echo(f"error: {len(failed)} of {len(paths)} notebooks failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)
