"""Structures read from tokens: agreement of feature order with the anatomy, between its controls."""

import dataclasses

import numpy as np
import pytest
import torch

from toposlearn.anatomy import STRUCTURES
from toposlearn.data import pose_subjects
from toposlearn.models import Taco
from toposlearn.reproducibility import set_seed
from toposlearn.studies.resolution import networks

STRIDE = 4


@pytest.fixture(scope="module")
def posed(subjects, smoke):
    return pose_subjects(subjects, smoke).take([0, 1, 2])


def present(heads):
    """The structures that all of these heads have."""
    return [part for part in STRUCTURES if all((labels == part.label).any() for labels in heads.labels)]


def test_places_read_by_true_shares_keep_most_of_the_order_and_noise_little(posed):
    parts = present(posed)
    held, true = networks.token_structures(posed, STRIDE, parts), networks.true_distances(posed, parts)
    places = posed.token_positions(STRIDE).expand(3, -1, -1)
    known = networks.structure_agreement(places, held, true, metric="euclidean")
    noise = torch.randn(*places.shape[:2], 24, generator=torch.Generator().manual_seed(0))
    drawn = networks.structure_agreement(noise, held, true, how="home")
    assert known["order"].min() > 0.8
    assert abs(drawn["order"].mean()) < 0.1
    assert (known["order"] > known["order_null"] + 0.3).all()
    assert (known["neighbors"] > known["neighbors_null"]).all()


def test_true_distances_turn_with_the_head(posed, subjects, smoke):
    upright = pose_subjects(subjects, smoke, posed=False).take([0])
    shared = [each for each in present(posed.take([0])) if each in present(upright)]
    turned, straight = (networks.true_distances(head.take([0]), shared)[0] for head in (posed, upright))
    apart = np.triu_indices(len(shared), k=1)
    assert np.corrcoef(turned[apart], straight[apart])[0, 1] > 0.97


def test_networks_stand_between_the_controls(posed, smoke):
    set_seed(0)
    agreements = networks.networks_agreement(
        {"untrained": Taco(smoke.model).eval()}, posed, "T1w", (4, 8), present(posed)
    )
    assert set(agreements) == {(4, "home"), (4, "mean"), (8, "home"), (8, "mean")}
    means = {name: values["order"].mean() for name, values in agreements[4, "mean"].items()}
    assert set(means) == {"untrained", "noise", "position"}
    assert means["noise"] < means["untrained"] < means["position"]
    assert agreements[4, "mean"]["untrained"]["order"].shape == (3,)


def test_without_labels_the_remedy_is_named(posed):
    with pytest.raises(ValueError, match="no structure labels"):
        networks.token_structures(dataclasses.replace(posed, labels=None), STRIDE, STRUCTURES)
