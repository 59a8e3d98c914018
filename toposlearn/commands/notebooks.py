"""Commands on the notebooks of the course: run them, build the book, write copies for students."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from toposlearn.commands.app import DATA, OUT, DataOption, app

JobsOption = Annotated[int, Option(min=1, help="Number of notebooks run at a time, each on its share of the cores.")]


@app.command("run")
def run_command(
    notebooks: Annotated[list[Path], Argument(help="Notebooks, in the order of their run.", metavar="NOTEBOOK…")],
    parameter: Annotated[
        list[str] | None, Option("-p", "--parameter", metavar="NAME VALUE", help="Value of a parameter; repeatable.")
    ] = None,
    out: Annotated[Path, Option(help="Folder of executed notebooks.")] = Path("runs/single"),
    jobs: JobsOption = 1,
) -> None:
    """Run notebooks without a browser."""
    from toposlearn.course.notebooks import check_parameters, read_notebook

    pairs = [text.partition("=") for text in parameter or ()]
    parameters = {name: value for name, equals, value in pairs if equals}
    if len(parameters) < len(pairs):
        raise ValueError("a parameter is given once, as -p NAME VALUE")
    for path in notebooks:  # refuse before the first has run for hours
        check_parameters(read_notebook(path), parameters, path.name)
    _run_book(notebooks, out, parameters, jobs)


@app.command()
def report(
    run: Annotated[Path, Argument(help="Folder that `all` or `run` wrote.")] = OUT,
    readme: Annotated[bool, Option("--readme", help="Write the measured times into README.md and notebooks.")] = False,
) -> None:
    """Build the book and the index of executed notebooks again, without running any notebook."""
    from toposlearn.book.build import update_notebook, update_readme, write_book
    from toposlearn.course import course_folder
    from toposlearn.course.run import read_record

    runs = read_record(run)
    if not runs:
        raise FileNotFoundError(f"no notebooks.json in {run}: run `toposlearn all` first")
    root = course_folder().parent
    write_book(run, root, typer.echo)
    if readme:
        update_readme(root / "README.md", runs)
        for one in runs:
            update_notebook(course_folder() / f"{one.name}.ipynb", one)


@app.command()
def course(out: Annotated[Path, Option(help="Folder to write.")] = Path("student")) -> None:
    """Write the notebooks for students: with exercises and checks, without solutions."""
    from toposlearn.course import course_folder, numbered_notebooks, write_student_copies

    for path in write_student_copies(numbered_notebooks(course_folder()), out):
        typer.echo(path)


@app.command("all")
def everything(
    out: Annotated[Path, Option(help="Folder of the book.")] = OUT,
    data: DataOption = DATA,
    subjects: Annotated[int | None, Option(help="People to simulate if --data does not exist (default: 64).")] = None,
    jobs: JobsOption = 1,
) -> None:
    """Simulate the cohort, fetch the real heads (each unless it exists), run every notebook, build the book."""
    from toposlearn.course.heads import fetch_heads
    from toposlearn.course.notebooks import (
        course_folder,
        default_paths,
        numbered_notebooks,
        read_notebook,
        read_parameters,
    )

    paths = numbered_notebooks(course_folder())
    out.mkdir(parents=True, exist_ok=True)  # fails now rather than after the simulation
    if not (data / "participants.tsv").exists():  # written last
        from toposlearn.cohort import write_cohort

        subjects = 64 if subjects is None else subjects
        typer.echo(f"Simulating {subjects} people in {data}")
        write_cohort(data, subjects=subjects)
    elif subjects is not None:
        typer.echo(f"note: --subjects {subjects} is not used, because {data} exists", err=True)
    if any("HEADS" in read_parameters(read_notebook(path)) for path in paths):
        failure = fetch_heads(course_folder().parent, typer.echo)
        if failure:  # the notebooks that read them fail, the others run
            typer.echo(f"error: {failure}", err=True)
    (out / "notebooks.json").unlink(missing_ok=True)
    _run_book(paths, out, default_paths(data, out), jobs, book=True)


def _run_book(paths: Sequence[Path], out: Path, parameters: dict[str, Any], jobs: int, *, book: bool = False) -> None:
    from toposlearn.book.build import run_book, write_book
    from toposlearn.course.notebooks import course_folder

    failed = run_book(paths, out, parameters, jobs, typer.echo)
    if book:  # also of failed notebooks: it shows where they stopped
        write_book(out, course_folder().parent, typer.echo)
    if failed:
        typer.echo(f"error: {len(failed)} of {len(paths)} notebooks failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)
