"""How well a fine-tuned network, and what needs no network, predicts people it was not trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from toposlearn.arrays import Float64s
from toposlearn.data import Cache
from toposlearn.data.manifest import Record
from toposlearn.data.prepared import Prepared
from toposlearn.downstream.baselines import vote_prior
from toposlearn.downstream.network_file import load_network
from toposlearn.downstream.own_grid import values_on_grid
from toposlearn.downstream.prediction import own_labels, own_truth, predictions
from toposlearn.downstream.segmentation_metrics import score_person
from toposlearn.downstream.settings import CLASSIFICATION, SEGMENTATION
from toposlearn.downstream.targets import Target, cell

MOST_PRIOR = 24  # people whose label maps vote: more change little, and all are in memory at once
Maps = tuple[Record, NDArray[np.int32], NDArray[np.int32], Float64s]  # predicted and true labels (X, Y, Z), affine


def judge(network: Path, people: Cache, present: Sequence[str] | None = None) -> pd.DataFrame:
    """The scores of every person: a row per person and class (`score_person`), or per person, prediction and truth.

    Label maps are compared in their own grid, whatever the grid of the network. `present` names the modalities that may
    be used; people who have none of these are left out. The index is ``person``, and ``class`` for segmentation.
    """
    made, config, target = load_network(network)
    found = predictions(made, people, config, target, present=present)
    if target.kind == SEGMENTATION:
        truths = ((one, *own_truth(one.record)) for one in found)
        maps = ((one.record, own_labels(one, target, (truth.shape, own)), truth, own) for one, truth, own in truths)
        return _score_all(maps, target)
    if target.kind == CLASSIFICATION:
        rows = {
            one.record.name: {**dict(zip(target.names, one.values, strict=True)), "truth": target.truth(one.record)}
            for one in found
        }
    else:
        rows = {
            one.record.name: {
                "predicted": float(one.values),
                "truth": float(cell(one.record, target.source)),
                "median": target.center,  # of the people trained on
            }
            for one in found
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("person")


def judge_prior(train: Cache, people: Cache, target: Target) -> pd.DataFrame:
    """The scores of the label that training people most often have at a place in the head: no image is looked at."""
    classes, foregrounds = [], []
    for index in range(min(len(train), MOST_PRIOR)):
        head = train.take(index, (0,), ("labels",))
        assert head.labels is not None
        classes.append(target.class_index(head.labels).short())
        foregrounds.append(head.foreground)
    prior = vote_prior(torch.stack(classes), torch.stack(foregrounds))
    heads = (people.take(index, (0,), ()) for index in range(len(people)))
    return _score_all(_brought_back(people, target, ((head, prior(head.foreground)) for head in heads)), target)


def judge_ceiling(people: Cache, target: Target) -> pd.DataFrame:
    """The scores of the truth itself, on the network's grid: what voxels of this size can reach."""
    heads = (people.take(index, (0,), ("labels",)) for index in range(len(people)))
    known = ((head, target.class_index(head.labels)) for head in heads if head.labels is not None)
    return _score_all(_brought_back(people, target, known), target)


def _brought_back(people: Cache, target: Target, heads: Iterable[tuple[Prepared, Tensor]]) -> Iterator[Maps]:
    """Class indices (D, H, W) of each person as labels in the grid of the truth, of the nearest voxel."""
    labels = np.array(target.values, np.int32)
    for record, (head, classes) in zip(people.manifest.records, heads, strict=True):
        assert head.affine is not None
        truth, affine = own_truth(record)
        near = values_on_grid(classes, head.affine.numpy(), truth.shape, affine, nearest=True)
        yield record, labels[near.astype(int)], truth, affine


def _score_all(people: Iterable[Maps], target: Target) -> pd.DataFrame:
    """A row per person and class; empty without people."""
    regions = target.regions or {}
    tables = {each.name: score_person(predicted, truth, regions, own) for each, predicted, truth, own in people}
    return pd.concat(tables, names=["person"]) if tables else pd.DataFrame()
