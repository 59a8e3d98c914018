"""How well a fine-tuned network, and what needs no network, predicts people it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd
import torch
from numpy.typing import NDArray

from toposlearn.arrays import Float64s
from toposlearn.data import Cache
from toposlearn.data.manifest import Record
from toposlearn.downstream.baselines import vote_prior
from toposlearn.downstream.network_file import load_network
from toposlearn.downstream.prediction import Prediction, own_labels, own_truth, predictions
from toposlearn.downstream.segmentation_metrics import score_person
from toposlearn.downstream.settings import CLASSIFICATION, SEGMENTATION
from toposlearn.downstream.targets import Target

Subset = tuple[str, ...]
MOST_PRIOR = 24  # people whose label maps vote: more change little, and all are in memory at once


def subsets(modalities: Sequence[str]) -> tuple[Subset, ...]:
    """Every non-empty subset, the largest first, each in the given order."""
    sizes = range(len(modalities), 0, -1)
    return tuple(chosen for size in sizes for chosen in combinations(modalities, size))


def judge(network: Path, people: Cache, present: Subset | None = None) -> pd.DataFrame:
    """The scores of every person: a row per person and class (`score_person`), or per person, prediction and truth.

    Label maps are compared in their own grid, whatever the grid of the network. `present` names the modalities that may
    be used. The index is ``person``, and ``class`` for segmentation.
    """
    made, config, target = load_network(network)
    found = predictions(made, people, config, target, present)
    if target.kind == SEGMENTATION:
        return _score_all((one.record, *_own_maps(one, target)) for one in found) if target.regions else pd.DataFrame()
    rows = {one.record.name: {**_answers(one, target), "truth": target.truth(one.record)} for one in found}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("person")
    if target.kind != CLASSIFICATION:
        table["truth"] = table["truth"] * target.spread + target.center
        table["median"] = target.center  # of the people trained on
    return table


Maps = tuple[Record, NDArray, NDArray, Float64s, Target]


def _own_maps(prediction: Prediction, target: Target) -> tuple[NDArray, NDArray, Float64s, Target]:
    truth, affine = own_truth(prediction.record)
    return own_labels(prediction, target, truth.shape, affine), truth, affine, target


def _score_all(people: Iterator[Maps]) -> pd.DataFrame:
    tables = {
        record.name: score_person(predicted, truth, target.regions or {}, affine)
        for record, predicted, truth, affine, target in people
    }
    return pd.concat(tables, names=["person"])


def _answers(prediction: Prediction, target: Target) -> dict[str, float]:
    values = prediction.values.reshape(-1).tolist()
    return dict(zip(target.names if target.kind == CLASSIFICATION else ["predicted"], values, strict=True))


def judge_prior(train: Cache, people: Cache, target: Target) -> pd.DataFrame:
    """The scores of the label that training people most often have at a place in the head: no image is looked at."""
    heads = [train.take(index, (0,), ("labels",)) for index in range(min(len(train), MOST_PRIOR))]
    index = torch.stack([target.class_index(head.labels) for head in heads if head.labels is not None])
    prior = vote_prior(index, torch.stack([head.foreground for head in heads]))

    def voted() -> Iterator[Maps]:
        for place, record in enumerate(people.manifest.records):
            person = people.take(place, (0,), ())
            assert person.affine is not None
            classes = prior(person.foreground).long()
            shares = torch.nn.functional.one_hot(classes, target.outputs).movedim(-1, 0).float().numpy()
            yield record, *_own_maps(Prediction(record, shares, person.affine.numpy()), target)

    return _score_all(voted())
