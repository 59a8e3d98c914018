"""Structures read from the tokens of a network: is their neighbor order that of the anatomy?

Each structure becomes one feature, read from the tokens that hold it by the true shares: this evaluates what tokens
contain, not whether a probe could find the structures there.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects
from toposlearn.models import Taco
from toposlearn.pretrain import encode
from toposlearn.relations.agreement import permuted_within_sides
from toposlearn.studies.resolution.measure import distances_between, neighbor_agreement, order_agreement
from toposlearn.studies.resolution.tokens import READINGS, Reading, TokenStructures, head_points, tokens_of_blocks
from toposlearn.topology.distances import Metric, pairwise_distance

DRAWS = 20  # of permuted names per person
NOISE_FEATURES = 48  # as many as the tokens of the preset lab have


def token_structures(subjects: PosedSubjects, stride: int, structures: Sequence[Structure]) -> list[TokenStructures]:
    """The structures in the tokens of each person."""
    return [tokens_of_blocks(one[0], stride, subjects.spacing, structures) for one in _labels(subjects)]


def structure_agreement(
    tokens: Tensor,
    held: Sequence[TokenStructures],
    true: Sequence[Float64s],
    *,
    metric: Metric = "cosine",
    how: Reading = "mean",
) -> dict[str, Float64s]:
    """Agreement (P,) of the neighbor order of features with the true one, and with names permuted within a side.

    `tokens` (P, N, F) are features or places of the tokens of P people, `held` the structures in them, `true` the
    distances (S, S) in mm between these. Keys: ``order``, ``neighbors`` (`order_agreement`, `neighbor_agreement`),
    ``order_null``, ``neighbors_null``.
    """
    rng, rows = np.random.default_rng(0), []
    for part, tokens_held, distances in zip(tokens, held, true, strict=True):
        features = torch.from_numpy(tokens_held.read(part.double().numpy(), how))
        seen = pairwise_distance(features[None], metric=metric)[0].numpy()
        orders = [permuted_within_sides(tokens_held.structures, rng) for _ in range(DRAWS)]
        renamed = [seen[np.ix_(order, order)] for order in orders]
        row: dict[str, float] = {}
        for name, measure in (("order", order_agreement), ("neighbors", neighbor_agreement)):
            row[name] = measure(distances, seen)
            row[f"{name}_null"] = float(np.mean([measure(distances, one) for one in renamed]))
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def true_distances(subjects: PosedSubjects, structures: Sequence[Structure]) -> list[Float64s]:
    """Distances (S, S) in mm between the centroids of each person's structures, at the size they have in the volume."""
    affine, distances = np.diag([subjects.spacing] * 3 + [1.0]), []
    for name, labels in zip(subjects.names, _labels(subjects), strict=True):
        head = head_points(LabelMap(labels[0].numpy(), affine, name, "posed"), step=subjects.spacing)
        distances.append(distances_between(head.of(structures).centers))
    return distances


def networks_agreement(
    networks: Mapping[str, Taco],
    subjects: PosedSubjects,
    modality: str,
    strides: Iterable[int],
    structures: Sequence[Structure],
) -> dict[tuple[int, Reading], dict[str, dict[str, Float64s]]]:
    """(stride, how structures are read) -> name -> `structure_agreement`: each network, and two controls.

    ``position`` is what the places of tokens alone give: the maximum for tokens of this size. ``noise`` gives each
    token a random feature: two structures that share tokens then look alike, and nothing else does.
    """
    true = true_distances(subjects, structures)
    encoded = {name: encode(network, subjects, modality) for name, network in networks.items()}
    agreements = {}
    for stride in strides:
        held = token_structures(subjects, stride, structures)
        places = subjects.token_positions(stride).expand(len(held), -1, -1)
        noise = torch.randn(*places.shape[:2], NOISE_FEATURES, generator=torch.Generator().manual_seed(0))
        features = {name: tokens[stride] for name, tokens in encoded.items()} | {"noise": noise}
        for how in READINGS:
            methods = {name: structure_agreement(part, held, true, how=how) for name, part in features.items()}
            methods["position"] = structure_agreement(places, held, true, metric="euclidean", how=how)
            agreements[stride, how] = methods
    return agreements


def _labels(subjects: PosedSubjects) -> Tensor:
    if subjects.labels is None:
        raise ValueError("people have no structure labels (_dseg.nii.gz): take simulated people, `toposlearn cohort`")
    return subjects.labels
