"""The application of the command line, and the options that several commands share."""

from __future__ import annotations

import os
from functools import partial
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

FOLDER = (
    "Data folder: BIDS, BraTS, nnU-Net, one folder per person, all files in one folder; or a file that describes one."
)
SESSION = "Session (visit, time point) of each person, or 'all' (default: the first that has what is needed)."
ENTITY = "BIDS entity to prefer where a person has several images of a modality, e.g. rec=norm; repeatable."
PATTERN = "How files are named, e.g. 'T1w={subject}/t1_*.nii.gz'; repeatable; points=... are landmarks."
SEEN = "Also measure people on whom the weights were trained; the result names them."
DataOption = Annotated[Path, Option("--data", help=FOLDER)]
SourcesOption = Annotated[list[Path] | None, Option("--data", help=f"{FOLDER} Repeatable (default: {DATA}).")]
SessionOption = Annotated[str, Option(help=SESSION)]
EntityOption = Annotated[list[str] | None, Option(metavar="NAME=VALUE", help=ENTITY)]
PatternOption = Annotated[list[str] | None, Option(metavar="MODALITY=PATTERN", help=PATTERN)]
LABELS = (
    "Meaning of the numbers in label maps, whose structures correspond: freesurfer, desikan, neuromorphometrics, "
    "synthseg, toposlearn, or a CSV of label, name, side (default: the dseg.tsv beside them)."
)
LABEL_KIND = "Kind of label maps, where people have several: as 'toposlearn inspect' names it, e.g. aparc+aseg."
REGISTRATION = "Also register all people with each other (rigid, affine): up to a second a pair, once."
REAL = "Folder of real people, or a file that describes one, measured as well: as scanned and posed."
SOURCE = "Source and licence of the real people, for the result file."
RealOption = Annotated[Path | None, Option(help=REAL)]
SourceOption = Annotated[str, Option(metavar="TEXT", help=SOURCE)]
LabelsOption = Annotated[str | None, Option(metavar="TABLE", help=LABELS)]
LabelKindOption = Annotated[str, Option(metavar="KIND", help=LABEL_KIND)]
RegistrationOption = Annotated[bool, Option("--registration/--no-registration", help=REGISTRATION)]
AllowSeenOption = Annotated[bool, Option("--allow-seen", help=SEEN)]
PresetOption = Annotated[str, Option(help="Preset: smoke, lab, gpu or paper.")]
SeedsOption = Annotated[int, Option(help="Number of pre-training seeds per variant.")]
HeldOutOption = Annotated[Path | None, Option(help="BIDS folder of people from another label map, measured as well.")]


CACHE_VARIABLE = "TOPOSLEARN_CACHE"


def _use_cache(context: typer.Context, folder: Path | None) -> Path | None:
    """Prepared people are kept in `folder` until the command ends."""
    if folder is not None:
        before = os.environ.get(CACHE_VARIABLE)
        os.environ[CACHE_VARIABLE] = str(folder)
        context.call_on_close(partial(_restore_cache, before))
    return folder


def _restore_cache(before: str | None) -> None:
    if before is None:
        os.environ.pop(CACHE_VARIABLE, None)
    else:
        os.environ[CACHE_VARIABLE] = before


CACHE = "Folder of preprocessed images (default: $TOPOSLEARN_CACHE, else below the data folder)."
CacheOption = Annotated[Path | None, Option(help=CACHE, callback=_use_cache)]


def listed(text: str | None) -> tuple[str, ...]:
    """The names in a comma-separated list; blanks around them do not count."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


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
