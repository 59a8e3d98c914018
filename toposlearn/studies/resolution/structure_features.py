"""Structures as a network's tokens show them: is the neighbor order of features that of the anatomy?

Each structure becomes one feature, read from the tokens that hold it (`token_structures`), and the
order of distances between features is held against that of true centroids: one number a person. It reads the true
shares, so it judges what tokens say of structures, not whether anybody could find them there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.arrays import Float64s
from toposlearn.data import PosedSubjects
from toposlearn.models import Taco
from toposlearn.pretrain import encode
from toposlearn.relations.null import permuted_within_sides
from toposlearn.studies.resolution.token_order import distances_between, neighbor_agreement, order_agreement
from toposlearn.studies.resolution.token_structures import Read, TokenStructures, head_points, tokens_of_blocks
from toposlearn.topology.distances import Metric, pairwise_distance

DRAWS = 20  # of permuted names a person
NOISE_FEATURES = 48  # as many as the tokens of the preset lab have
READINGS: tuple[Read, Read] = ("home", "mean")


def token_structures(
    subjects: PosedSubjects, stride: int, structures: Sequence[Structure] | None = None
) -> list[TokenStructures]:
    """What the tokens of each person hold.

    Raises:
        ValueError: the data set has no structure labels.
    """
    return [tokens_of_blocks(one[0], stride, subjects.spacing, structures) for one in _labels(subjects)]


def structure_agreement(
    tokens: Tensor,
    held: Sequence[TokenStructures],
    true: Sequence[Float64s],
    *,
    metric: Metric = "cosine",
    how: Read = "mean",
    k: int = 5,
    seed: int = 0,
) -> dict[str, Float64s]:
    """Agreement (S,) of the neighbor order of features with the true one, and with names permuted within a side.

    Args:
        tokens: (S, N, F), features or places of the tokens of S people.
        held: what these tokens hold, a person each.
        true: true distances between their structures in mm, a person each.
        metric: distance between features.
        how: how a structure is read from its tokens.
        k: neighbors K.
        seed: of the null.

    Returns:
        ``order`` (`order_agreement`), ``neighbors`` (`neighbor_agreement`), ``order_null``, ``neighbors_null``.
    """
    rng, rows = np.random.default_rng(seed), []
    for part, tokens_held, distances in zip(tokens, held, true, strict=True):
        features = torch.from_numpy(tokens_held.read(part.double().numpy(), how))
        seen = pairwise_distance(features[None], metric=metric)[0].numpy()
        orders = [permuted_within_sides(tokens_held.structures, rng) for _ in range(DRAWS)]
        renamed = [seen[np.ix_(order, order)] for order in orders]
        rows.append(
            {
                "order": order_agreement(distances, seen),
                "neighbors": neighbor_agreement(distances, seen, k),
                "order_null": np.mean([order_agreement(distances, one) for one in renamed]),
                "neighbors_null": np.mean([neighbor_agreement(distances, one, k) for one in renamed]),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def true_distances(subjects: PosedSubjects, structures: Sequence[Structure] | None = None) -> list[Float64s]:
    """Distances (S, S) in mm between the centroids of each person's structures, at the size they have in the volume."""
    affine = np.diag([subjects.spacing] * 3 + [1.0])
    found = []
    for name, labels in zip(subjects.subjects, _labels(subjects), strict=True):
        head = head_points(LabelMap(labels[0].numpy(), affine, name, "posed"), step=subjects.spacing)
        found.append(distances_between(head.of(structures or head.structures).centers))
    return found


def networks_agreement(
    networks: Mapping[str, Taco],
    subjects: PosedSubjects,
    modality: str,
    strides: Iterable[int],
    *,
    structures: Sequence[Structure] | None = None,
) -> dict[tuple[int, Read], dict[str, dict[str, Float64s]]]:
    """(stride, how structures are read) -> name -> `structure_agreement`: each network, and two controls.

    ``position`` is what the places of tokens alone give: the most that tokens of this size can say. ``noise`` gives
    each token a random feature: two structures that share tokens then look alike, and nothing else does.
    """
    true = true_distances(subjects, structures)
    encoded = {name: encode(network, subjects, modality) for name, network in networks.items()}
    found = {}
    for stride in strides:
        held = token_structures(subjects, stride, structures)
        places = subjects.token_positions(stride).expand(len(held), -1, -1)
        noise = torch.randn(*places.shape[:2], NOISE_FEATURES, generator=torch.Generator().manual_seed(0))
        features = {name: tokens[stride] for name, tokens in encoded.items()} | {"noise": noise}
        for how in READINGS:
            judged = {name: structure_agreement(part, held, true, how=how) for name, part in features.items()}
            judged["position"] = structure_agreement(places, held, true, metric="euclidean", how=how)
            found[stride, how] = judged
    return found


def _labels(subjects: PosedSubjects) -> Tensor:
    """Structure labels (S, 1, D, H, W)."""
    if subjects.labels is None:
        raise ValueError("people have no structure labels (_dseg.nii.gz): take simulated people, `toposlearn cohort`")
    return subjects.labels
