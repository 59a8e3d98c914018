"""One anchor of an alignment loss, triplet by triplet: who is pulled, who is pushed, and by how much.

The intra-instance loss is the case in which every token's match is itself: token i of both modalities is one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from torch import Tensor

from toposlearn.explore.neighborhoods import draw_block
from toposlearn.explore.slices import Panel, Volume, draw_panel, orthogonal
from toposlearn.explore.structures import PLANE_AXES
from toposlearn.topology import nearest_neighbors, pairwise_distance, semi_hard_negatives
from toposlearn.topology.neighbors import draw_outside
from toposlearn.topology.tokens import grid_positions

ANCHOR, POSITIVE, NEGATIVE, HINGE = "#F0E442", "#00C896", "#E0489A", "#E69F00"


@dataclass(frozen=True, eq=False)
class AnchorTriplets:
    """The K triplets of one anchor. Indices are -1 where there is none.

    Attributes:
        anchor: index of the token in a.
        match: index of its match in b, where it is read.
        neighbors: (K,) long, its nearest tokens in a.
        positives: (K,) long, the neighbors' matches in b.
        negatives: (K,) long, tokens of b.
        d_positive: (K,) cosine distance of anchor and positive; NaN where there is none.
        d_negative: (K,) cosine distance of anchor and negative; NaN where there is none.
        margin: in cosine distance.
    """

    anchor: int
    match: int
    neighbors: Tensor
    positives: Tensor
    negatives: Tensor
    d_positive: Tensor
    d_negative: Tensor
    margin: float

    @property
    def valid(self) -> Tensor:
        """(K,) bool, triplets that exist."""
        return ~self.hinge.isnan()

    @property
    def hinge(self) -> Tensor:
        """(K,) relu(d_positive - d_negative + margin), NaN where there is no triplet."""
        return torch.relu(self.d_positive - self.d_negative + self.margin)

    @property
    def value(self) -> float:
        """The anchor's loss, the mean over its triplets. NaN without any: the loss leaves such an anchor out."""
        return float(self.hinge.nanmean())


def anchor_triplets(
    tokens_a: Tensor,
    tokens_b: Tensor,
    anchor: int,
    *,
    matches: Tensor | None = None,
    k: int = 5,
    margin: float = 0.05,
    mask_a: Tensor | None = None,
    mask_b: Tensor | None = None,
    negatives: Tensor | Literal["uniform", "semi_hard"] = "uniform",
    form: Literal["within", "cross"] = "within",
    generator: torch.Generator | None = None,
) -> AnchorTriplets:
    """What the intra-instance loss (without matches) or the inter-instance loss (with them) makes of one anchor.

    Args:
        tokens_a: (N, F), gives the graph.
        tokens_b: (M, F), is ranked by it.
        anchor: index of a token of a.
        matches: (N,) long, index into b of each token of a, or -1. Absent: each token's match is itself.
        k: neighbors K.
        margin: in cosine distance.
        mask_a: (N,) bool, tokens of a that count.
        mask_b: (M,) bool, the same for b. Absent: all.
        negatives: how to choose them among b's tokens other than match and positives; or which they are, (K,) long.
        form: ``"within"`` reads the anchor in b, ``"cross"`` in a.
        generator: source of randomness of uniform negatives.

    Raises:
        ValueError: shapes that do not fit, or an unknown way to choose negatives.
    """
    counts_a, counts_b = _counts(mask_a, tokens_a), _counts(mask_b, tokens_b)
    matches = torch.arange(len(tokens_a)) if matches is None else matches
    matches = _where(counts_a & _at(counts_b, matches), matches)
    neighbors = nearest_neighbors(tokens_a[None], k, counts_a[None])[0, anchor]
    match, positives = int(matches[anchor]), _where(neighbors >= 0, matches[neighbors])
    vector = tokens_a[anchor] if form == "cross" else tokens_b[match]
    if not isinstance(negatives, Tensor):
        taken = torch.tensor([match])
        negatives = _negatives(negatives, vector, tokens_b, positives, taken, counts_b, generator)
    negatives = _where(_at(counts_b, negatives), negatives)
    distance = pairwise_distance(vector[None, None], tokens_b[None])[0, 0]  # (M,)
    near, far = (distance[index].masked_fill((index < 0) | (match < 0), torch.nan) for index in (positives, negatives))
    return AnchorTriplets(anchor, match, neighbors, positives, negatives, near, far, margin)


def _counts(mask: Tensor | None, tokens: Tensor) -> Tensor:
    return torch.ones(len(tokens), dtype=torch.bool) if mask is None else mask


def _at(flags: Tensor, index: Tensor) -> Tensor:
    """Flags (M,) at indices (N,), false where there is none."""
    return flags[index] & (index >= 0)


def _where(kept: Tensor, index: Tensor) -> Tensor:
    return index.masked_fill(~kept, -1)


def _negatives(
    how: str,
    vector: Tensor,
    tokens: Tensor,
    positives: Tensor,
    taken: Tensor,
    counts: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Negatives (K,) of an anchor (F,) among tokens (M, F) that count, other than positives (K,) and taken (1,)."""
    if how == "uniform":
        barred = torch.cat([taken, positives])[None, None]
        return draw_outside(barred, len(tokens), len(positives), counts[None], generator)[0, 0]
    if how == "semi_hard":
        index = positives[None, None], taken[None, None]
        return semi_hard_negatives(vector[None, None], tokens[None], *index, counts[None])[0, 0]
    raise ValueError(f"negatives must be 'uniform', 'semi_hard' or indices (K,), got {how!r}")


def plot_triplets(
    volume_a: Volume,
    volume_b: Volume,
    triplets: AnchorTriplets,
    *,
    stride: int,
    spacing: float = 3.0,
    names: tuple[str, str] = ("a", "b"),
    title: str = "",
) -> Figure:
    """The anchor and its neighbors in a; below, its positives and negatives in b; and each hinge term as a bar.

    Args:
        volume_a: image (D, H, W) that the tokens of a were made from.
        volume_b: the same for b.
        triplets: from `anchor_triplets`.
        stride: voxels a token.
        spacing: mm a voxel.
        names: of a and b.
        title: what to see; by default how many triplets push, and the anchor's loss.
    """
    figure = plt.figure(figsize=(8.6, 8.2), layout="constrained")
    grid = figure.add_gridspec(3, 3, height_ratios=(1, 1, 0.75))
    positives, negatives = triplets.positives, _where(triplets.valid, triplets.negatives)
    marks_a = [*_numbered(triplets.neighbors, POSITIVE), (triplets.anchor, ANCHOR, "")]
    marks_b = [*_numbered(negatives, NEGATIVE), *_numbered(positives, POSITIVE), (triplets.match, ANCHOR, "")]
    middle = triplets.anchor if triplets.match < 0 else triplets.match
    rows = ((volume_a, triplets.anchor, marks_a), (volume_b, middle, marks_b))
    centers = grid_positions(np.shape(volume_b), stride, spacing).numpy()
    for row, (volume, token, marks) in enumerate(rows):
        for column, panel in enumerate(orthogonal(volume, at=centers[token], spacing=spacing, name=names[row])):
            ax = figure.add_subplot(grid[row, column])
            draw_panel(ax, panel)
            ax.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
            for index, color, text in marks:
                if index >= 0:
                    _draw_numbered(ax, panel, centers[index], stride * spacing / 2, color, text)
    _draw_bars(figure.add_subplot(grid[2, :]), triplets)
    _add_legend(figure)
    figure.suptitle(title or _in_words(triplets), size=11)
    return figure


def _numbered(tokens: Tensor, color: str) -> list[tuple[int, str, str]]:
    """Tokens (K,) to mark, their color, and the numbers of the triplets they are in."""
    numbers: dict[int, list[str]] = {}
    for number, index in enumerate(tokens.tolist(), start=1):
        numbers.setdefault(index, []).append(str(number))
    return [(index, color, ",".join(each)) for index, each in numbers.items()]


def _draw_numbered(ax: Axes, panel: Panel, center: NDArray[Any], half: float, color: str, text: str) -> None:
    """A token's block and the numbers of its triplets."""
    across, up = PLANE_AXES[panel.plane]
    inside = draw_block(ax, panel, center, half, color)
    side = half if color == NEGATIVE else -half  # a negative's number lower right, a positive's upper left
    where: dict[str, Any] = {"ha": "right", "va": "bottom"} if side > 0 else {"ha": "left", "va": "top"}
    where["bbox"] = {"fc": "black", "ec": "none", "alpha": 0.65, "pad": 0.6}
    at = center[across] + 0.85 * side, center[up] - 0.85 * side
    ax.text(*at, text, color=color, size=8 if inside else 6.5, clip_on=True, **where)


def _draw_bars(ax: Axes, triplets: AnchorTriplets) -> None:
    """For each triplet d(positive) with the margin on top, d(negative), and what the first rises above the second."""
    places, valid = np.arange(1, len(triplets.valid) + 1), triplets.valid.numpy()
    lengths = (triplets.d_positive, triplets.d_negative, triplets.hinge, torch.tensor(triplets.margin))
    near, far, hinge, margin = (np.where(valid, values.detach().numpy(), 0) for values in lengths)
    ax.bar(places - 0.26, near, 0.24, color=POSITIVE)
    ax.bar(places - 0.26, margin, 0.24, bottom=near, fill=False, ec=POSITIVE, hatch="////", lw=0)
    ax.bar(places, far, 0.24, color=NEGATIVE)
    ax.bar(places + 0.26, hinge, 0.24, color=HINGE)
    if valid.any():
        ax.axhline(triplets.value, color=HINGE, ls="--", lw=1.2)
    states = np.where(valid, np.where(hinge > 0, "pushes", "rests"), "no triplet")
    ax.set_xticks(places, [f"{number}\n{state}" for number, state in zip(places, states, strict=True)])
    ax.set_ylabel("cosine distance")
    ax.set_ylim(0, max(0.01, 1.08 * float(np.max([near + margin, far]))))
    ax.spines[["top", "right"]].set_visible(False)


def _add_legend(figure: Figure) -> None:
    bars = {"d(positive)": POSITIVE, "d(negative)": NEGATIVE, "hinge": HINGE}
    handles: list[Any] = [Patch(color=color, label=label) for label, color in bars.items()]
    handles.insert(1, Patch(fill=False, ec=POSITIVE, hatch="////", lw=0, label="margin"))
    handles.append(Line2D([], [], color=HINGE, ls="--", lw=1.2, label="mean: the anchor's loss"))
    box: dict[str, Any] = {"marker": "s", "ls": "", "ms": 9, "mfc": "0.25", "mew": 1.8}
    dashed = Line2D([], [], color="0.4", ls=(0, (2, 1.5)), lw=1.2, label="off the slice")
    handles = [Line2D([], [], mec=ANCHOR, label="anchor", **box), dashed, *handles]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)


def _in_words(triplets: AnchorTriplets) -> str:
    if triplets.neighbors[0] < 0:
        return "this token is air: the loss leaves it out"
    if triplets.match < 0:
        return "this token has no match: the loss leaves it out"
    pushing, kept = int((triplets.hinge > 0).sum()), int(triplets.valid.sum())
    if not kept:
        return "no neighbor of this token has a match: the loss leaves it out"
    return f"{pushing} of {kept} triplets push; the anchor's loss is {triplets.value:.3f}"
