"""One anchor of an alignment loss, triplet by triplet, as the loss makes them: which tokens attract, which repel."""

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

from toposlearn.explore.neighborhoods import ANCHOR, SHARED, SINGLE, draw_block, name_blocks
from toposlearn.explore.slices import PLANE_AXES, Panel, Volume, draw_panel, orthogonal
from toposlearn.losses import inter_triplets, intra_triplets
from toposlearn.topology import nearest_neighbors
from toposlearn.topology.distances import Mask
from toposlearn.topology.tokens import grid_positions

POSITIVE, NEGATIVE, HINGE = SHARED, SINGLE, "#E69F00"


@dataclass(frozen=True, eq=False)
class AnchorTriplets:
    """The K triplets of one anchor. Indices are -1 where there is none."""

    anchor: int  # index of the token in a
    match: int  # index of its match in b, where it is read
    margin: float  # in cosine distance
    neighbors: Tensor  # (K,) long, its nearest tokens in a
    positives: Tensor  # (K,) long, the neighbors' matches in b
    negatives: Tensor  # (K,) long, tokens of b
    d_positive: Tensor  # (K,) cosine distance of anchor and positive
    d_negative: Tensor  # (K,) cosine distance of anchor and negative
    valid: Tensor  # (K,) bool, triplets that exist

    @property
    def hinge(self) -> Tensor:
        """(K,) relu(d_positive - d_negative + margin), NaN where there is no triplet."""
        return torch.relu(self.d_positive - self.d_negative + self.margin).masked_fill(~self.valid, torch.nan)

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
    mask_a: Mask = None,
    mask_b: Mask = None,
    negatives: Tensor | Literal["uniform", "semi_hard"] = "uniform",
    form: Literal["within", "cross"] = "within",
    generator: torch.Generator | None = None,
) -> AnchorTriplets:
    """One anchor's triplets in the intra-instance loss (without matches) or the inter-instance loss (with them).

    Tokens are (N, F), masks (N,), and ``anchor`` is the index of a token of a. ``matches`` (N,) long are the index into
    b of each token of a, or -1; without them each token's match is itself, and ``mask_b`` is not read. The rest is as
    in the losses; negatives are those of all anchors, (N, K) long.
    """
    a, b = tokens_a[None], tokens_b[None]
    in_a, in_b = (None if mask is None else mask[None] for mask in (mask_a, mask_b))
    graph = nearest_neighbors(a, k, in_a)
    given = negatives[None] if isinstance(negatives, Tensor) else negatives
    if matches is None:
        made = intra_triplets(a, b, k, in_a, given, form, generator=generator, neighbors=graph)
    else:
        one = torch.zeros(1, dtype=torch.long)
        made = inter_triplets(a, b, (one, one), k, in_a, in_b, matches[None], given, generator, graph)
    anchors, *parts = (part[0, anchor] for part in made[:6])  # all but `Triplets.broken`
    return AnchorTriplets(anchor, int(anchors), margin, graph[0, anchor], *parts)


def plot_triplets(
    volume_a: Volume, volume_b: Volume, triplets: AnchorTriplets, *, stride: int, spacing: float, names: tuple[str, str]
) -> Figure:
    """The anchor and its neighbors in a; below, its positives and negatives in b; and each hinge term as a bar.

    The volumes (D, H, W) are the images of the tokens; ``stride`` is voxels per token, ``spacing`` mm per voxel.
    """
    figure = plt.figure(figsize=(8.6, 8.2), layout="constrained")
    grid = figure.add_gridspec(3, 3, height_ratios=(1, 1, 0.75))
    negatives = triplets.negatives.masked_fill(~triplets.valid, -1)
    marks_a = [*_numbered(triplets.neighbors, POSITIVE), (triplets.anchor, ANCHOR, "")]
    marks_b = [*_numbered(negatives, NEGATIVE), *_numbered(triplets.positives, POSITIVE), (triplets.match, ANCHOR, "")]
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
    figure.suptitle(_in_words(triplets), size=11)
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
    """For each triplet d(positive) with the margin on top, d(negative), and the excess of the first over the second."""
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
    name_blocks(figure, {"anchor": ANCHOR}, "off the slice", handles)


def _in_words(triplets: AnchorTriplets) -> str:
    if triplets.neighbors[0] < 0:
        return "this token is air: the loss leaves it out"
    if triplets.match < 0:
        return "this token has no match: the loss leaves it out"
    pushing, kept = int((triplets.hinge > 0).sum()), int(triplets.valid.sum())
    if not kept:
        return "no neighbor of this token has a match: the loss leaves it out"
    return f"{pushing} of {kept} triplets push; the anchor's loss is {triplets.value:.3f}"
