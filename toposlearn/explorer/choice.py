"""Tokens worth looking at in a scene: one that is matched well, the worst, one in a lesion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from toposlearn.explorer.answers import LESION_SHARE, View, true_places
from toposlearn.explorer.scene import Scene
from toposlearn.topology import nearest_matches, pairwise_distance


@dataclass(frozen=True)
class Choice:
    """A token of person a of a view, and why it was chosen."""

    view: View
    token: int
    why: str


def choose_token(scene: Scene, view: View, which: Literal["best", "worst", "lesion"]) -> Choice:
    """The token of person a with the smallest or largest error, or one in a lesion of any person in the scene.

    Where the true place is unknown, the most and the least similar match replace the errors. Where no lesion is known,
    the worst token is taken, and `Choice.why` states this.
    """
    if which == "lesion":
        return _in_a_lesion(scene, view)
    cost, unit = _cost(scene, view)
    sign, edge = (1, "smallest") if which == "best" else (-1, "largest")
    mask = scene.mask[view.subject_a]
    token = int((sign * cost).masked_fill(~mask, torch.inf).argmin())
    return Choice(view, token, f"the {edge} {unit} of {int(mask.sum())} tokens: {cost[token]:.3g}")


def _cost(scene: Scene, view: View) -> tuple[Tensor, str]:
    """The error, or dissimilarity, of the match of each token of a (N,), and its unit."""
    tokens, a, b = scene.tokens[view.network], view.subject_a, view.subject_b
    first, second = tokens[view.modality_a][[a]], tokens[view.modality_b][[b]]
    matches = nearest_matches(first, second, mask_b=scene.mask[[b]])[0]
    if (places := true_places(scene, a, b)) is not None:
        return (places[1][matches] - places[0]).norm(dim=1), "error (mm)"
    distances = pairwise_distance(first, second)[0]
    return distances.gather(1, matches[:, None])[:, 0], "cosine distance to the match"


def _in_a_lesion(scene: Scene, view: View) -> Choice:
    share = None if scene.lesion is None else scene.lesion.masked_fill(~scene.mask, 0)
    if share is None or float(share.max()) < LESION_SHARE:
        worst = choose_token(scene, view, "worst")
        return replace(worst, why=f"no lesion is known in these people, so {worst.why}")
    counts = (share >= LESION_SHARE).sum(dim=1)
    subject = int(counts.argmax())
    other = view.subject_b if view.subject_b != subject else view.subject_a
    full = (share[subject] >= share[subject].max() - 1e-6).nonzero()[:, 0]
    middle = scene.positions[full].mean(dim=0)  # the token in the middle of those that lie wholly inside
    token = int(full[(scene.positions[full] - middle).norm(dim=1).argmin()])
    why = f"{scene.subjects.names[subject]} has the largest lesion here: {int(counts[subject])} tokens"
    return Choice(replace(view, subject_a=subject, subject_b=other), token, why)
