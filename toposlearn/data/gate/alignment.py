"""Whether two images of one head lie at the same place: their mutual information, and how it falls when one is moved.

Registered images share most information where their headers put them. The same images a few millimeters apart share
most when one is moved back: how far, is the estimated offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch.nn import functional as F

from toposlearn.arrays import Float64s
from toposlearn.data.gate.coarse import SIDE, SPACING, CoarseHead

BINS = 32
POINTS = 12_000  # places that are compared
FEW_POINTS = 500  # fewer of them in both fields of view say nothing
STEP = 6.0  # mm and degrees of the first look; 6 degrees move the scalp by about as much
SEARCH = (10.0, 8.0, 6.0, 4.0, 4.0, 2.0)  # steps of the search for the offset of a suspicious pair
SUSPICIOUS_MM = 1.0  # where the first look finds a pair this far apart, the offset is searched for

Levels = NDArray[np.int64]  # bins of intensity


@dataclass(frozen=True)
class PairEvidence:
    """What two images of one person say about where they lie.

    Attributes:
        coverage: share of the head that both fields of view show.
        overlap: Dice of the two foregrounds there.
        nmi: normalized mutual information where the headers put the images.
        shift: mm between the two heads' centers, estimated.
        turn: degrees between the two heads, estimated.
        displacement: mm from a place in one image to the same anatomy in the other, mean over the head, estimated.
        null: largest NMI of the same two modalities of different people; None where there were too few people.
    """

    coverage: float
    overlap: float
    nmi: float
    shift: float
    turn: float
    displacement: float
    null: float | None = None


def joint_histogram(a: ArrayLike, b: ArrayLike, mask: ArrayLike | None = None, bins: int = BINS) -> Float64s:
    """How often intensity i of one image meets intensity j of the other: (bins, bins), sums to 1.

    Bins are of equal width between an image's least and largest intensity in the mask.

    Raises:
        ValueError: images of different shapes, or nothing in the mask.
    """
    one, other = (np.asarray(image)[... if mask is None else np.asarray(mask, dtype=bool)].ravel() for image in (a, b))
    if one.shape != other.shape or not len(one):
        raise ValueError(f"a and b must have one shape, and a place in the mask; got {one.shape} and {other.shape}")
    counts, _, _ = np.histogram2d(one, other, bins=bins)
    return np.asarray(counts / counts.sum())


def normalized_mutual_information(a: ArrayLike, b: ArrayLike, mask: ArrayLike | None = None, bins: int = BINS) -> float:
    """(H(a) + H(b)) / H(a, b): 1 for images that say nothing of each other, 2 where one tells the other.

    Studholme, Hill and Hawkes 1999, doi:10.1016/S0031-3203(98)00091-0. Any relation of intensities will do, so it
    serves between modalities, and it depends little on the size of the overlap.
    """
    return _nmi(joint_histogram(a, b, mask, bins))


def _nmi(joint: Float64s) -> float:
    total = _entropy(joint)
    return (_entropy(joint.sum(0)) + _entropy(joint.sum(1))) / total if total > 0 else 1.0


def _entropy(shares: Float64s) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


@dataclass(frozen=True, eq=False)
class _Places:
    """Places on and around the head, off the grid: there every motion interpolates alike, and none is favored."""

    points: Float64s  # (P, 3) mm from the head's center
    inside: NDArray[np.bool_]  # (M, P): so deep in the field of view that the first look stays there
    foreground: NDArray[np.bool_]  # (M, P)


def _places(head: CoarseHead) -> _Places:
    voxels = np.argwhere(ndimage.binary_dilation(np.any(head.foreground, axis=0), iterations=2))
    random = np.random.default_rng(0)
    voxels = voxels[np.sort(random.choice(len(voxels), POINTS, replace=len(voxels) < POINTS))]
    points = (voxels + random.uniform(-0.5, 0.5, voxels.shape) - (SIDE - 1) / 2) * SPACING
    margin = int(np.ceil(STEP / SPACING))
    deep = [ndimage.binary_erosion(one, iterations=margin, border_value=1) for one in head.inside]
    index = (slice(None), *voxels.T)
    return _Places(points, np.stack(deep)[index], head.foreground[index])


def pair_evidence(head: CoarseHead, others: Sequence[CoarseHead] = ()) -> dict[tuple[str, str], PairEvidence]:
    """Each pair of a person's modalities -> what is seen of it, beside other people's images of the second modality."""
    places = _places(head)
    motions = around(np.zeros(6), STEP)
    levels = _levels(head.volumes, np.stack([_moved(places.points, motion) for motion in motions]))
    null = [_null(head, places, levels[:, 0], other) for other in others]
    found = {}
    for i, j in combinations(range(len(head.modalities)), 2):
        pair = head.modalities[i], head.modalities[j]
        values = [each[pair] for each in null if pair in each]
        found[pair] = replace(_evidence(head, places, levels, i, j), null=max(values) if values else None)
    return found


def _null(head: CoarseHead, places: _Places, levels: Levels, other: CoarseHead) -> dict[tuple[str, str], float]:
    """NMI of each modality of one person and each of another, head on head, where they share enough space."""
    theirs = _levels(other.volumes, places.points[None])[:, 0]
    seen = _seen(other.inside, places.points[None])[:, 0]
    values = {}
    for i, first in enumerate(head.modalities):
        for j, second in enumerate(other.modalities):
            both = places.inside[i] & seen[j]
            if both.sum() >= FEW_POINTS:
                values[first, second] = _nmi_of(levels[i, both], theirs[j, both])
    return values


def _evidence(head: CoarseHead, places: _Places, levels: Levels, i: int, j: int) -> PairEvidence:
    both = places.inside[i] & places.inside[j]
    either = places.foreground[i] | places.foreground[j]
    common = both & places.foreground[i] & places.foreground[j]
    sizes = [(both & places.foreground[one]).sum() for one in (i, j)]
    coverage = float((both & either).sum() / max(either.sum(), 1))
    overlap = float(2 * common.sum() / max(sum(sizes), 1))
    if both.sum() < FEW_POINTS:
        return PairEvidence(coverage, overlap, 1.0, np.inf, np.inf, np.inf)
    values = np.array([_nmi_of(levels[i, 0, both], moved[both]) for moved in levels[j]])
    motion = peak(values, STEP)
    if _displacement(places.points[both], motion) > SUSPICIOUS_MM:
        motion = _search(head, places, i, j)
    shift, turn = (float(np.linalg.norm(part)) for part in np.split(motion, 2))
    return PairEvidence(coverage, overlap, float(values[0]), shift, turn, _displacement(places.points[both], motion))


def around(motion: Float64s, step: float) -> Float64s:
    """A motion (6,), mm along and degrees about three axes, and one step more and less in each: (13, 6)."""
    steps = step * np.eye(6)
    return np.concatenate([motion[None], motion + steps, motion - steps])


def peak(values: Float64s, step: float) -> Float64s:
    """From values (13,) at `around` to the way (6,) to the maximum: of a parabola along each axis, a step at most."""
    middle, up, down = values[0], values[1:7], values[7:]
    curvature = 2 * middle - up - down
    with np.errstate(divide="ignore", invalid="ignore"):
        way = np.where(curvature > 1e-9, (up - down) / (2 * curvature), np.sign(up - down))
    return step * np.clip(way, -1, 1)


def _search(head: CoarseHead, places: _Places, i: int, j: int) -> Float64s:
    """The motion (6,) at which image j shares most with image i, climbed to from here and from the other's center."""
    centers = [places.points[places.foreground[one]].mean(0) for one in (i, j)]
    starts = [np.zeros(6), np.concatenate([centers[1] - centers[0], np.zeros(3)])]
    ends = [_climb(head, places, i, j, start) for start in starts]
    best = int(np.argmax([value for value, _ in ends]))
    return ends[best][1]


def _climb(head: CoarseHead, places: _Places, i: int, j: int, motion: Float64s) -> tuple[float, Float64s]:
    for step in SEARCH:
        values = _nmi_at(head, places, i, j, around(motion, step))
        motion = motion + peak(values, step)
    return float(_nmi_at(head, places, i, j, motion[None])[0]), motion


def nmi_at(head: CoarseHead, first: str, second: str, motions: ArrayLike) -> Float64s:
    """NMI (T,) of two modalities with the second moved by each of `motions` (T, 6).

    A motion is mm to the right, front and top, then degrees about these axes, at the head's center.
    """
    i, j = head.modalities.index(first), head.modalities.index(second)
    return _nmi_at(head, _places(head), i, j, np.atleast_2d(np.asarray(motions, dtype=float)))


def _nmi_at(head: CoarseHead, places: _Places, i: int, j: int, motions: Float64s) -> Float64s:
    """What leaves the second field of view is not counted."""
    points = places.points[places.inside[i]]
    moved = np.stack([_moved(points, motion) for motion in motions])
    still = _levels(head.volumes[i : i + 1], points[None])[0, 0]
    levels = _levels(head.volumes[j : j + 1], moved)[0]
    seen = _seen(head.inside[j : j + 1], moved)[0]
    return np.array([_nmi_of(still[one], there[one]) for there, one in zip(levels, seen, strict=True)])


def _moved(points: Float64s, motion: Float64s) -> Float64s:
    turn: Float64s = Rotation.from_rotvec(motion[3:], degrees=True).as_matrix()
    return points @ turn.T + motion[:3]


def _displacement(points: Float64s, motion: Float64s) -> float:
    return float(np.linalg.norm(_moved(points, motion) - points, axis=1).mean())


def _levels(volumes: NDArray[np.uint8], points: Float64s) -> Levels:
    """Bins (M, T, P) of intensity of bytes (M, n, n, n) at points (T, P, 3), mm from the center; linear."""
    grid = torch.as_tensor(points / (SIDE * SPACING / 2), dtype=torch.float32).flip(-1)[None, :, :, None]
    bytes_ = torch.as_tensor(volumes).float()[None]
    values = F.grid_sample(bytes_, grid, padding_mode="border", align_corners=False)  # (1, M, T, P, 1)
    levels: Levels = values[0, ..., 0].numpy().astype(np.int64) * BINS // 256
    return levels


def _seen(inside: NDArray[np.bool_], points: Float64s) -> NDArray[np.bool_]:
    """Which points (T, P, 3) lie in fields of view (M, n, n, n): (M, T, P)."""
    return np.asarray(_levels(255 * inside.astype(np.uint8), points) == BINS - 1)


def _nmi_of(a: Levels, b: Levels) -> float:
    counts = np.bincount(a * BINS + b, minlength=BINS * BINS).reshape(BINS, BINS)
    return _nmi(counts / max(counts.sum(), 1))
