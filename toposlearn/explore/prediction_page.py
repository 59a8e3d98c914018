"""The label maps of `toposlearn predict` as one HTML page: image, truth where it is known, prediction, Dice."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from nibabel.processing import resample_from_to
from numpy.typing import NDArray
from PIL import Image

from toposlearn.arrays import Float64s
from toposlearn.data import read_manifest
from toposlearn.data.images import BadImageError, read_labels, read_scan
from toposlearn.data.manifest import Record
from toposlearn.data.source import Data
from toposlearn.data.split import SPLIT, named
from toposlearn.downstream.labeled_runs import RESULT
from toposlearn.downstream.network_file import load_network
from toposlearn.downstream.segmentation_metrics import Classes, score_person
from toposlearn.downstream.settings import MISSING, SEGMENTATION, FinetuneConfig
from toposlearn.downstream.sides import Sides
from toposlearn.downstream.targets import LESION, OWN, Target
from toposlearn.explore.html_page import data_uri, html_page, png_of
from toposlearn.explore.segmentation_views import COLORS, plot_segmentation
from toposlearn.reproducibility import write_text

PAGE = "index.html"
PICTURES = 50  # maximum number of people with a picture
LARGEST = 60_000  # bytes of a picture
WAYS = (  # dots per inch, and how 256 colors are chosen: the best first
    (100, Image.Quantize.MEDIANCUT),
    *((dpi, Image.Quantize.FASTOCTREE) for dpi in (100, 80, 64, 50, 40)),
)
SAME = 1e-3  # mm, of affines
HELP = """<p><b>What to look for.</b> Each row of pictures shows one person: the image, the truth where it is known, and
what the network predicts. The colored areas of truth and prediction should cover the same places. <b>Dice</b> measures
how much of the two areas is common: 1 means the same voxels, 0 none in common; the same error in mm costs a small area
more than a large one. The people with the lowest Dice come first. Check in all others, too: areas outside the head,
left and right exchanged (L is the person's left), and scattered pieces far from where they belong.</p>"""
Grid = tuple[NDArray[np.int32], Float64s]  # label map (X, Y, Z), affine (4, 4)


@dataclass(frozen=True, eq=False)
class _Person:
    record: Record
    file: Path  # the prediction
    truth: Path | None
    scores: pd.DataFrame | None = None  # of `score_person`, where the truth is known
    problem: str = ""  # why there are none, in one line

    @property
    def dice(self) -> float:
        """The mean over the classes; NaN where it is not known."""
        return math.nan if self.scores is None else float(self.scores["dice"].mean())


def write_prediction_page(network: str | Path, source: Data, out: str | Path) -> Path:
    """Write ``index.html`` beside the files ``NAME_dseg.nii.gz`` in `out`: one page that needs nothing else.

    `source` are the people predicted, `network` is what predicted them. People with the lowest Dice come first; at most
    `PICTURES` are shown, all are in the table. A person whose files cannot be read is named on the page.
    ValueError: a network that predicts no label maps, or `out` holds none of these people.
    """
    network, out = Path(network), Path(out)
    _, config, target = load_network(network)
    if target.kind != SEGMENTATION or not target.regions:
        raise ValueError(f"{network} predicts {target.source}, not label maps: read the table in {out}")
    manifest = read_manifest(source, config.volume.modalities)
    people = [
        _scored(_Person(record, file, _truth_of(record, target.source)), target.regions)
        for record in manifest.records
        if (file := out / f"{record.name}_dseg.nii.gz").is_file()
    ]
    if not people:
        raise ValueError(
            f"{out} has no NAME_dseg.nii.gz of the people in {manifest.root}: write them with 'toposlearn predict'"
        )
    people.sort(key=lambda person: (math.isnan(person.dice), person.dice))
    title = f"Predicted label maps: {manifest.root.resolve().name}"
    parts = [f"<h1>{escape(title)}</h1>", HELP, _trained(network, config, target), _table(people, target.regions)]
    parts += _notes(people, [record.name for record in manifest.records], _trained_on(network))
    parts += [_section(person, place, config, target) for place, person in enumerate(people[:PICTURES])]
    return write_text(out / PAGE, html_page(title, "\n".join(parts)))


def _notes(people: Sequence[_Person], everyone: Sequence[str], trained: Collection[str]) -> Iterator[str]:
    """What a reader must know of the table: who was trained on, who is missing, why scores are, who has no picture."""
    names = {person.record.name for person in people}
    why = "The network was trained on people of these names, so that their Dice is higher than that of other people"
    for words, found in ((why, names & set(trained)), ("Not predicted", set(everyone) - names)):
        if found:
            yield f"<p class=bad>{words}: {escape(named(sorted(found)))}.</p>"
    for person in people:
        if person.problem:
            yield f"<p class=bad>{escape(person.record.name)} has no Dice: {escape(person.problem)}</p>"
    if len(people) > PICTURES:
        yield f"<p>Pictures: the first {PICTURES} of {len(people)} people of the table.</p>"


def _truth_of(record: Record, kind: str) -> Path | None:
    """The person's label map of a kind."""
    return record.label_maps.get(kind) or {OWN: record.labels, LESION: record.lesion}.get(kind)


def _scored(person: _Person, regions: Classes) -> _Person:
    """The person with scores on the grid of the truth, or with the reason why there are none."""
    if person.truth is None:
        return person
    try:
        truth, affine = _read(person.truth)
        scores = score_person(_on_grid(_read(person.file), truth.shape, affine), truth, regions, affine)
    except (ValueError, OSError) as error:
        return replace(person, problem=str(error))
    return replace(person, scores=scores)


def _read(path: Path) -> Grid:
    labels, image = read_labels(path)
    return labels.astype(np.int32), np.asarray(image.affine, np.float64)


def _on_grid(labels: Grid, shape: tuple[int, ...], affine: Float64s) -> NDArray[np.int32]:
    """A label map at the voxels of another grid: the nearest label."""
    if labels[0].shape == shape and np.allclose(labels[1], affine, atol=SAME):
        return labels[0]
    resampled = resample_from_to(nib.Nifti1Image(*labels), (shape, affine), order=0)
    return np.asarray(resampled.dataobj, np.int32)


def _section(person: _Person, place: int, config: FinetuneConfig, target: Target) -> str:
    """Heading, picture and scores of a person, or the reason why there is no picture."""
    heading = f'<h2 id="person-{place}">{escape(person.record.name)}</h2>'
    try:
        picture = _picture(person, config, target)
    except (ValueError, OSError) as error:
        return f"{heading}<p class=bad>No picture: {escape(str(error))}</p>"
    return heading + picture + ("" if person.scores is None else _details(person.scores))


def _picture(person: _Person, config: FinetuneConfig, target: Target) -> str:
    record, (predicted, affine) = person.record, _read(person.file)
    modality, image = _image(person, config.volume.modalities, predicted.shape, affine)
    truth = None if person.truth is None or person.problem else _on_grid(_read(person.truth), predicted.shape, affine)
    dice = None if person.scores is None else dict(zip(person.scores.index, person.scores["dice"], strict=True))
    names = {int(label): name for label, name in zip(target.values[1:], target.names[1:], strict=True)}
    figure = plot_segmentation(image, truth, predicted, names, affine, dice=dice, size=2.6)
    text = escape(f"{modality} of {record.name}{'' if truth is None else ', truth'} and prediction")
    source = data_uri(_small(figure), "png")
    return f'<figure><img alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>'


def _image(
    person: _Person, modalities: Sequence[str], shape: tuple[int, ...], affine: Float64s
) -> tuple[str, NDArray[Any]]:
    """The first modality that can be read and has the grid of the prediction, and its voxels (X, Y, Z)."""
    images = person.record.images
    for name in (each for each in modalities if each in images):
        with suppress(BadImageError):
            voxels, image = read_scan(images[name], person.record.channels.get(name))
            if voxels.shape == shape and np.allclose(image.affine, affine, atol=SAME):
                return name, voxels
    raise ValueError(
        f"no image of {', '.join(modalities)} can be read that has the grid of {person.file}: predict again"
    )


def _small(figure: Figure) -> bytes:
    """The figure as PNG of 256 colors, the best one of at most `LARGEST` bytes; closes it."""
    for dpi, method in WAYS:
        with Image.open(BytesIO(png_of(figure, dpi))) as picture:
            few = picture.convert("RGB").quantize(256, method, dither=Image.Dither.NONE)
        buffer = BytesIO()
        few.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= LARGEST:
            break
    return buffer.getvalue()


def _trained(network: Path, config: FinetuneConfig, target: Target) -> str:
    """How the network came about, as a list."""
    withheld = f"while it was trained, an image was withheld with probability {config.modality_dropout:g}"
    names = target.names[1:]
    more = f" and {len(names) - len(COLORS)} more" if len(names) > len(COLORS) else ""
    facts = {
        "Network": str(network),
        "Weights at the start": _weights(network, config),
        "Classes": f"{', '.join(names[: len(COLORS)])}{more}; label maps of kind {target.source}",
        "Images": f"{', '.join(config.volume.modalities)}, on a grid of {config.volume.spacing:g} mm",
        "For a missing image it gets": f"{MISSING[config.missing]}; {withheld}",
        "Training": f"up to {config.steps} steps at a learning rate of {config.learning_rate:g}, seed {config.seed}",
    }
    rows = "".join(f"<li><b>{name}:</b> {escape(words)}</li>" for name, words in facts.items())
    settings = escape(json.dumps(config.to_dict(), indent=1))
    return f"<ul>{rows}</ul><details><summary>All settings</summary><pre>{settings}</pre></details>"


def _weights(network: Path, config: FinetuneConfig) -> str:
    """Which pre-trained weights the network began with, as the result of its run says."""
    if config.from_scratch:
        return "random ones (from scratch)"
    name = _beside(network, RESULT).get("config", {}).get("weights", "pre-trained ones, whose file is not recorded")
    return f"{name}, {'kept as they were' if config.freeze else 'trained further'}"


def _trained_on(network: Path) -> set[str]:
    """Names of the people that the network was trained or validated on, as far as they are recorded."""
    runs = [Sides(**each) for each in _beside(network, SPLIT).get("runs", [])]
    own = [sides for sides in runs if len(runs) == 1 or sides.label == _folder(network).name]
    return {name for sides in own for name in (*sides.train, *sides.validation)}


def _folder(network: Path) -> Path:
    return network if network.is_dir() else network.parent


def _beside(network: Path, name: str) -> dict[str, Any]:
    """A JSON file of the run, or of all runs around it; empty where there is none that can be read."""
    for folder in (_folder(network), _folder(network).parent):
        with suppress(OSError, ValueError):
            stored: dict[str, Any] = json.loads((folder / name).read_bytes())
            return stored
    return {}


def _table(people: Sequence[_Person], regions: Classes) -> str:
    """Dice of every person: of each class where these are few, else of the lowest one; below, the mean."""
    few = len(regions) <= len(COLORS)
    rows: dict[str, dict[str, float | str]] = {}
    for place, person in enumerate(people):
        name = escape(person.record.name)
        row = rows[f'<a href="#person-{place}">{name}</a>' if place < PICTURES else name] = {"mean Dice": person.dice}
        dice = None if person.scores is None else person.scores["dice"].dropna()
        if few:
            row |= {escape(each): math.nan if dice is None else dice.get(each, math.nan) for each in regions}
        elif dice is not None and len(dice):
            row |= {"lowest Dice": dice.min(), "of the class": escape(str(dice.idxmin()))}
    table = pd.DataFrame.from_dict(rows, orient="index")
    if table["mean Dice"].notna().sum() > 1:
        table.loc[f"mean of {table['mean Dice'].notna().sum()} people"] = table.mean(numeric_only=True)
    return f"<h2>Dice of each person</h2>{_html(table)}"


def _details(scores: pd.DataFrame) -> str:
    """All scores of one person, folded."""
    names = {
        "dice": "Dice",
        "hd95": "HD95 (mm)",
        "volume_truth": "truth (ml)",
        "volume_predicted": "prediction (ml)",
    }
    table = scores[list(names)].rename(columns=names, index=lambda name: escape(str(name))).rename_axis(None)
    return f"<details><summary>Dice, distance and volume of each class</summary>{_html(table)}</details>"


def _html(table: pd.DataFrame) -> str:
    """A table whose texts are HTML; a dash where nothing is known."""
    return str(table.to_html(border=0, justify="left", escape=False, na_rep="–", float_format="{:.2f}".format))
