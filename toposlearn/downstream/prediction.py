"""Predictions of a fine-tuned network: label maps in each person's own grid, or a row per person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from tqdm import tqdm

from toposlearn.arrays import Float32s, Float64s
from toposlearn.data import Cache, Manifest, prepare, read_manifest
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.images import load_image, read_labels
from toposlearn.data.manifest import Record
from toposlearn.data.source import Data
from toposlearn.downstream.examples import first_of, inputs_of
from toposlearn.downstream.network_file import load_network
from toposlearn.downstream.networks import PersonReader, Segmenter
from toposlearn.downstream.own_grid import classes_on_grid, values_on_grid
from toposlearn.downstream.settings import CLASSIFICATION, REGRESSION, SEGMENTATION, FinetuneConfig
from toposlearn.downstream.targets import Target
from toposlearn.downstream.whole_heads import predict_head
from toposlearn.reproducibility import atomic_path, check_writable, write_text

TABLE = "predictions.csv"
Grid = tuple[tuple[int, ...], Float64s]  # shape (X, Y, Z), and affine (4, 4), voxel to RAS mm


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network predicts of one person: (C, D, H, W) probabilities on its grid, (C,) of the person, or a number.

    Labels are written in the grid of `image`, the person's first image that can be used.
    """

    record: Record
    image: Path
    values: Float32s
    affine: Float64s  # of the network's grid, voxel to RAS mm


def predictions(
    network: Segmenter | PersonReader,
    people: Cache,
    config: FinetuneConfig,
    target: Target,
    *,
    prepared: Sequence[str] = (),
    present: Sequence[str] | None = None,
) -> Iterator[Prediction]:
    """One person after the other; `present` names the modalities that may be used (default: all that are there).

    `prepared` are the modalities of `people`, some of those of the network (default: all). People who have none that
    may be used are left out.
    """
    prepared = prepared or config.volume.modalities
    rows = torch.tensor([config.volume.modalities.index(name) for name in prepared])
    allowed = torch.tensor([present is None or name in present for name in prepared])
    for index, record in enumerate(people.manifest.records):
        person = people.take(index, truth=())
        assert person.affine is not None
        example = inputs_of(person)
        example["present"] = example["present"] & allowed
        if not example["present"].any():
            continue
        for name in ("volumes", "present"):  # as many as the network knows
            every = example[name].new_zeros(len(config.volume.modalities), *example[name].shape[1:])
            example[name] = every.index_copy(0, rows, example[name])
        output = predict_head(network, example, config).cpu()
        values = output[0] * target.spread + target.center if target.kind == REGRESSION else output.softmax(dim=0)
        image = record.images[prepared[first_of(person)]]
        yield Prediction(record, image, values.numpy(), person.affine.numpy())


def own_labels(prediction: Prediction, target: Target, grid: Grid) -> NDArray[np.int32]:
    """The predicted label at every voxel (X, Y, Z) of a grid."""
    classes = classes_on_grid(torch.from_numpy(prediction.values), prediction.affine, *grid)
    return np.array(target.values, np.int32)[classes]


def own_truth(record: Record) -> tuple[NDArray[np.int32], Float64s]:
    """The label map of a person in its own grid, and its affine."""
    assert record.labels is not None
    labels, image = read_labels(record.labels)
    return np.asarray(labels, np.int32), np.asarray(image.affine, np.float64)


def predict(
    network: str | Path,
    data: Data,
    out: str | Path,
    *,
    probabilities: bool = False,
    cache: str | Path | None = None,
    progress: bool = True,
) -> list[Path]:
    """Predict everyone in a folder and return the files written below `out`.

    Segmentation: ``NAME_dseg.nii.gz`` in the grid and with the header of the person's first image, and with
    `probabilities` also ``NAME_probabilities.nii.gz`` (X, Y, Z, C). Else ``predictions.csv``, a row per person. A
    person who cannot be predicted is named, and stops no one else.
    """
    made, config, target = load_network(network)
    if probabilities and target.kind != SEGMENTATION:
        raise ValueError(f"--probabilities writes images, but {network} predicts no labels: its table has all there is")
    out = Path(out)
    check_writable(out)
    known = _with_some(read_manifest(data, config.volume.modalities), config.volume.modalities)
    here = tuple(name for name in config.volume.modalities if any(name in record.images for record in known.records))
    grid = replace(config.volume, modalities=here)
    people = prepare(known, grid, folder=cache, unpaired=True, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    each = predictions(made, people, config, target, prepared=here)
    found = tqdm(each, total=len(people), desc="predicting", unit="person", disable=not progress)
    if target.kind != SEGMENTATION:
        rows = [_row(one, target) for one in found]
        return [write_text(out / TABLE, pd.DataFrame(rows).to_csv(index=False, float_format="%.4f"))]
    return [path for one in found for path in _write_person(one, target, out, probabilities)]


def _with_some(manifest: Manifest, modalities: Sequence[str]) -> Manifest:
    """The people with at least one of the modalities, without their truth; who has none is named."""
    with_some = [each for each in manifest.records if set(modalities) & set(each.images)]
    wanted = ", ".join(modalities)
    if not with_some:
        raise ValueError(f"no one in {manifest.root} has an image of {wanted}, with which the network was trained")
    if lacking := [each.name for each in manifest.records if not set(modalities) & set(each.images)]:
        report_problems([f"{name}: left out: no image of {wanted}" for name in lacking])
    bare = [replace(each, labels=None, lesion=None, to_template=None) for each in with_some]
    return replace(manifest, records=tuple(bare))


def _row(prediction: Prediction, target: Target) -> dict[str, object]:
    name = {"name": prediction.record.name}
    if target.kind == CLASSIFICATION:
        values = prediction.values.tolist()
        shares = {f"probability {label}": value for label, value in zip(target.names, values, strict=True)}
        return {**name, target.source: target.values[int(np.argmax(values))], **shares}
    return {**name, target.source: float(prediction.values)}


def _write_person(prediction: Prediction, target: Target, out: Path, probabilities: bool) -> list[Path]:
    """The label map, and on request the probabilities, in the grid of the person's image."""
    image, name = load_image(prediction.image), prediction.record.name
    shape, affine = image.shape[:3], np.asarray(image.affine, np.float64)
    labels = own_labels(prediction, target, (shape, affine))
    kind = np.int16 if max(map(int, target.values)) < 2**15 else np.int32
    files = [_save(labels.astype(kind), affine, prediction.image, out / f"{name}_dseg.nii.gz")]
    if probabilities:
        each = np.empty((*shape, target.outputs), np.float32)
        for number, one in enumerate(torch.from_numpy(prediction.values)):
            each[..., number] = values_on_grid(one, prediction.affine, shape, affine, beyond=float(number == 0))
        files.append(_save(each, affine, prediction.image, out / f"{name}_probabilities.nii.gz"))
    return files


def _save(values: NDArray[Any], affine: Float64s, like: Path, path: Path) -> Path:
    """Write NIfTI, with the header of the image where that is NIfTI: its units, codes and description stay."""
    kind: Any = nib.Nifti1Image
    header: Any = nib.Nifti1Header()
    header.set_xyzt_units("mm")
    with suppress(ImageFileError):  # an ending that does not fit the content
        source: Any = nib.load(like)
        if isinstance(source, nib.Nifti1Image):  # or its subclass of NIfTI-2
            kind, header = type(source), source.header.copy()
    header.set_data_dtype(values.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    with atomic_path(path) as partial:
        nib.save(kind(values, affine, header), partial)
    return path
