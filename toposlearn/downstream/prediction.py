"""Predictions of a fine-tuned network: label maps in each person's own grid, or a row per person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from toposlearn.arrays import Float64s
from toposlearn.data import Cache, Manifest, prepare, read_manifest
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.images import load_image, read_labels
from toposlearn.data.manifest import Record
from toposlearn.data.source import Data
from toposlearn.downstream.examples import Examples
from toposlearn.downstream.network_file import load_network
from toposlearn.downstream.networks import PersonReader, Segmenter
from toposlearn.downstream.own_grid import classes_on_grid, probability_on_grid
from toposlearn.downstream.settings import CLASSIFICATION, SEGMENTATION, FinetuneConfig
from toposlearn.downstream.targets import Target
from toposlearn.downstream.whole_heads import predict_head
from toposlearn.reproducibility import atomic_path, check_writable, write_text

TABLE = "predictions.csv"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network predicts of one person: (C, D, H, W) probabilities on its grid, or (outputs,) of the person."""

    record: Record
    values: Float64s | NDArray[np.float32]
    affine: Float64s  # of the grid, voxel to RAS mm


def predictions(
    network: Segmenter | PersonReader,
    people: Cache,
    config: FinetuneConfig,
    target: Target,
    present: Sequence[str] | None = None,
) -> Iterator[Prediction]:
    """One person after the other; `present` names the modalities that may be used (default: all that are there).

    People who have none of these are left out.
    """
    examples = Examples(people, target, config)
    for index, record in enumerate(people.manifest.records):
        example = examples.whole(index, truth=False)
        if present is not None:
            allowed = [name in present for name in config.volume.modalities]
            example["present"] = example["present"] & example["present"].new_tensor(allowed)
            if not example["present"].any():
                continue
        output = predict_head(network, example, config)
        affine = people.take(index, (0,), ()).affine
        assert affine is not None
        values = output[0] * target.spread + target.center if target.kind == "regression" else output.softmax(dim=0)
        yield Prediction(record, values.numpy(), affine.numpy())


def own_labels(prediction: Prediction, target: Target, shape: Sequence[int], affine: Float64s) -> NDArray[np.int32]:
    """The predicted label at every voxel (X, Y, Z) of a grid."""
    import torch

    classes = classes_on_grid(torch.from_numpy(prediction.values), prediction.affine, tuple(shape), affine)
    return np.array(target.values, np.int32)[classes]


def predict(
    network: str | Path,
    data: Data,
    out: str | Path,
    *,
    probabilities: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Predict everyone in a folder and return the files written below `out`.

    Segmentation: ``NAME_dseg.nii.gz`` in the grid and with the header of the person's first image, and with
    `probabilities` also ``NAME_probabilities.nii.gz`` (X, Y, Z, C). Else ``predictions.csv``, a row per person. A
    person who cannot be predicted is named, and stops no one else.
    """
    made, config, target = load_network(network)
    out = Path(out)
    check_writable(out)
    manifest = read_manifest(data, config.volume.modalities)
    known = _with_some(manifest, config)
    people = prepare(known, config.volume, unpaired=True, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    found = tqdm(
        predictions(made, people, config, target),
        total=len(people),
        desc="predicting",
        unit="person",
        disable=not progress,
    )
    if target.kind != SEGMENTATION:
        rows = [_row(one, target) for one in found]
        return [write_text(out / TABLE, pd.DataFrame(rows).to_csv(index=False, float_format="%.4f"))]
    files = []
    for one in found:
        try:
            files += _write_person(one, target, config, out, probabilities)
        except ValueError as error:
            report_problems([f"{one.record.name}: no prediction is written: {error}"])
    return files


def _with_some(manifest: Manifest, config: FinetuneConfig) -> Manifest:
    """The people with at least one of the modalities; who has none is named."""
    wanted = set(config.volume.modalities)
    records = tuple(
        replace(each, lesion=None, to_template=None) for each in manifest.records if wanted & set(each.images)
    )
    if not records:
        raise ValueError(f"no one in {manifest.root} has a {' or '.join(config.volume.modalities)} image")
    if lacking := [each.name for each in manifest.records if not wanted & set(each.images)]:
        report_problems([f"left out: {name} has none of {', '.join(config.volume.modalities)}" for name in lacking])
    return replace(manifest, records=records)


def first_image(record: Record, config: FinetuneConfig) -> Path:
    """The file whose grid a person's prediction has."""
    return next(record.images[name] for name in config.volume.modalities if name in record.images)


def _row(prediction: Prediction, target: Target) -> dict[str, object]:
    name = {"name": prediction.record.name}
    if target.kind == CLASSIFICATION:
        values = prediction.values.tolist()
        shares = {f"probability {label}": value for label, value in zip(target.names, values, strict=True)}
        return {**name, target.source: target.values[int(np.argmax(values))], **shares}
    return {**name, target.source: float(prediction.values)}


def _write_person(
    prediction: Prediction, target: Target, config: FinetuneConfig, out: Path, probabilities: bool
) -> list[Path]:
    """The label map, and on request the probabilities, in the grid of the first image."""
    import torch

    path = first_image(prediction.record, config)
    image = load_image(path)
    shape, affine = image.shape[:3], np.asarray(image.affine, np.float64)
    labels = own_labels(prediction, target, shape, affine)
    name = prediction.record.name
    files = [
        _save(labels.astype(np.int16 if labels.max() < 2**15 else np.int32), affine, path, out / f"{name}_dseg.nii.gz")
    ]
    if probabilities:
        values = torch.from_numpy(prediction.values)
        each = [
            probability_on_grid(one, prediction.affine, shape, affine, beyond=float(number == 0))
            for number, one in enumerate(values)
        ]
        files.append(_save(np.stack(each, axis=-1), affine, path, out / f"{name}_probabilities.nii.gz"))
    return files


def _save(values: NDArray[np.generic], affine: Float64s, like: Path, path: Path) -> Path:
    """Write NIfTI, with the header of the image where that is NIfTI: its units, codes and description stay."""
    header = None
    if like.name.endswith((".nii", ".nii.gz")):
        header = nib.load(like).header.copy()
        header.set_data_dtype(values.dtype)
        header.set_slope_inter(1, 0)
        header["cal_min"] = header["cal_max"] = 0
    image = nib.Nifti1Image(values, affine, header)
    with atomic_path(path) as partial:
        nib.save(image, partial)
    return path


def own_truth(record: Record) -> tuple[NDArray[np.int32], Float64s]:
    """The label map of a person in its own grid, and its affine."""
    assert record.labels is not None
    labels, image = read_labels(record.labels)
    return np.asarray(labels, np.int32), np.asarray(image.affine, np.float64)
