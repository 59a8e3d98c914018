"""Where two images of one head lie: the motion of one at which their mutual information on a coarse grid is largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from typing import NamedTuple

import nibabel as nib
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch.nn import functional as F

from toposlearn.arrays import Float32s, Float64s
from toposlearn.data.air import air_limit, brighter_than_air

SPACING = 5.0  # mm of the coarse grid
SIDE = 48  # voxels: 240 mm hold a whole head
BLOCK = 1.5  # voxels are averaged to blocks this many times smaller than SPACING before they are interpolated
BRIGHT = 99.5  # percentile of the foreground that becomes 255
BINS = 32  # of intensity
POINTS = 12_000  # places that are compared
FEW_POINTS = 500  # with fewer of them in both fields of view nothing can be measured
STEP = 6.0  # mm and degrees of the first look; 6 degrees move the scalp by about as much
SEARCH = (10.0, 8.0, 6.0, 4.0, 4.0, 2.0)  # steps of the search for the offset of a suspicious pair
SUSPICIOUS_MM = 1.0  # where the first look finds a pair this far apart, the offset is searched for

Image = tuple[Float32s, Float64s]  # voxels (X, Y, Z), affine (4, 4)
Bools = NDArray[np.bool_]
Levels = NDArray[np.int64]  # bins of intensity


class _Places(NamedTuple):
    points: Float64s  # (P, 3) mm from the head's center
    inside: Bools  # (M, P): so deep in the field of view that the first look stays there
    foreground: Bools  # (M, P)


@dataclass(frozen=True, eq=False)
class CoarseHead:
    """M images of one person on a grid of 48³ voxels of 5 mm in world axes, the first image's head in its middle."""

    modalities: tuple[str, ...]
    volumes: NDArray[np.uint8]  # (M, 48, 48, 48), 0 to 255 from air to bright
    inside: Bools  # (M, 48, 48, 48), the field of view
    foreground: Bools  # (M, 48, 48, 48), brighter than air

    @cached_property
    def places(self) -> _Places:
        """Places on and around the head, off the grid: every motion interpolates alike there, and none is favored."""
        head = ndimage.binary_dilation(np.any(self.foreground, axis=0), iterations=2)
        voxels = np.argwhere(head if head.any() else np.ones_like(head))
        random = np.random.default_rng(0)
        voxels = voxels[np.sort(random.choice(len(voxels), POINTS, replace=len(voxels) < POINTS))]
        points = (voxels + random.uniform(-0.5, 0.5, voxels.shape) - (SIDE - 1) / 2) * SPACING
        margin = int(np.ceil(STEP / SPACING))
        deep = [ndimage.binary_erosion(one, iterations=margin, border_value=1) for one in self.inside]
        index = (slice(None), *voxels.T)
        return _Places(points, np.stack(deep)[index], self.foreground[index])


@dataclass(frozen=True)
class PairEvidence:
    """Measurements of where two images of one person lie; shift, turn and displacement are estimates."""

    coverage: float  # share of the head that both fields of view show
    overlap: float  # Dice of the two foregrounds there
    nmi: float  # normalized mutual information where the headers put the images
    shift: float  # mm between the two heads' centers
    turn: float  # degrees between the two heads
    displacement: float  # mm from a place in one image to the same anatomy in the other, mean over the head
    null: float | None = None  # largest NMI of the two modalities of different people; None: too few people


def shrink(data: NDArray[np.generic], affine: Float64s) -> Image:
    """Means over blocks of voxels, about 3 mm wide, and their affine: cheap smoothing before the coarse grid."""
    sizes = nib.affines.voxel_sizes(affine)
    block = [min(max(1, round(SPACING / (BLOCK * size))), side) for size, side in zip(sizes, data.shape, strict=True)]
    whole = data[tuple(slice(side // width * width) for side, width in zip(data.shape, block, strict=True))]
    split = [part for side, width in zip(whole.shape, block, strict=True) for part in (side // width, width)]
    small = whole.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)
    inner = nib.affines.from_matvec(np.diag(block).astype(float), [(width - 1) / 2 for width in block])
    return small, affine @ inner


def coarse_head(images: Mapping[str, Image]) -> CoarseHead:
    """A person's images, each after `shrink`, on one coarse grid."""
    center = head_center(*next(iter(images.values())))
    placed = [_place(data, affine, center) for data, affine in images.values()]
    volumes, inside, foreground = (np.stack(parts) for parts in zip(*placed, strict=True))
    return CoarseHead(tuple(images), volumes, inside, foreground)


def head_center(data: Float32s, affine: Float64s) -> Float64s:
    """World mm of the mean of all voxels brighter than air; of all voxels where none is."""
    volume = data - data.min()
    head = brighter_than_air(volume, air_limit(volume))
    voxels = np.argwhere(head if head.any() else np.ones_like(head))
    return np.asarray(nib.affines.apply_affine(affine, voxels.mean(0)))


def _place(data: Float32s, affine: Float64s, center: Float64s) -> tuple[NDArray[np.uint8], Bools, Bools]:
    """Bytes, field of view and foreground of one image on the coarse grid."""
    volume = data - data.min()
    corner = center - (SIDE - 1) / 2 * SPACING
    to_voxel = np.linalg.inv(affine) @ nib.affines.from_matvec(SPACING * np.eye(3), corner)
    linear, shift, shape = to_voxel[:3, :3], to_voxel[:3, 3], (SIDE,) * 3
    moved = ndimage.affine_transform(volume, linear, shift, shape, order=1, mode="nearest")
    index = np.tensordot(linear, np.indices(shape), 1) + shift[:, None, None, None]
    limits = np.array(volume.shape)[:, None, None, None] - 0.5
    inside = ((index > -0.5) & (index < limits)).all(0)
    foreground = brighter_than_air(moved, air_limit(volume)) & inside
    bright = np.percentile(moved[foreground], BRIGHT) if foreground.any() else 1.0
    return (255 * np.clip(moved / bright, 0, 1)).astype(np.uint8), inside, foreground


def joint_histogram(a: ArrayLike, b: ArrayLike, mask: ArrayLike | None = None, bins: int = BINS) -> Float64s:
    """Share of the mask's places with intensity i in one image, j in the other: (bins, bins), each of equal width."""
    one, other = (np.asarray(image)[... if mask is None else np.asarray(mask, dtype=bool)].ravel() for image in (a, b))
    if one.shape != other.shape or not len(one):
        raise ValueError(f"a and b must have one shape, and a place in the mask; got {one.shape} and {other.shape}")
    counts, _, _ = np.histogram2d(one, other, bins=bins)
    return np.asarray(counts / counts.sum())


def normalized_mutual_information(joint: Float64s) -> float:
    """(H(a) + H(b)) / H(a, b) of a joint histogram: 1 for independent images, 2 where each determines the other.

    Studholme, Hill and Hawkes 1999, doi:10.1016/S0031-3203(98)00091-0. Any relation of the intensities will do.
    """
    h_a, h_b, h_ab = (-(p[p > 0] * np.log(p[p > 0])).sum() for p in (joint.sum(0), joint.sum(1), joint))
    return float((h_a + h_b) / h_ab) if h_ab > 0 else 1.0


def _nmi(a: Levels, b: Levels) -> float:
    counts = np.bincount(a * BINS + b, minlength=BINS * BINS).reshape(BINS, BINS)
    return normalized_mutual_information(counts / max(counts.sum(), 1))


def pair_evidence(head: CoarseHead, others: Sequence[CoarseHead] = ()) -> dict[tuple[str, str], PairEvidence]:
    """Evidence on each pair of a person's modalities; images of the second modality of others make the null."""
    levels = _levels(head.volumes, _moved(head.places.points, _around(np.zeros(6), STEP)))
    null = [_nmi_between(head, levels[:, 0], other) for other in others]
    evidence = {}
    for pair in combinations(head.modalities, 2):
        values = [each[pair] for each in null if pair in each]
        evidence[pair] = replace(_evidence(head, levels, *pair), null=max(values, default=None))
    return evidence


def _nmi_between(head: CoarseHead, levels: Levels, other: CoarseHead) -> dict[tuple[str, str], float]:
    """NMI of each modality of one person and each of another, head on head, where they share enough space."""
    points, inside, _ = head.places
    theirs, seen = _levels(other.volumes, points[None])[:, 0], _seen(other.inside, points[None])[:, 0]
    values = {}
    for (i, first), (j, second) in product(enumerate(head.modalities), enumerate(other.modalities)):
        both = inside[i] & seen[j]
        if both.sum() >= FEW_POINTS:
            values[first, second] = _nmi(levels[i, both], theirs[j, both])
    return values


def _evidence(head: CoarseHead, levels: Levels, first: str, second: str) -> PairEvidence:
    (points, inside, foreground), i, j = head.places, head.modalities.index(first), head.modalities.index(second)
    both, either = inside[i] & inside[j], foreground[i] | foreground[j]
    common = both & foreground[i] & foreground[j]
    sizes = [(both & foreground[one]).sum() for one in (i, j)]
    coverage = float((both & either).sum() / max(either.sum(), 1))
    overlap = float(2 * common.sum() / max(sum(sizes), 1))
    if both.sum() < FEW_POINTS:
        return PairEvidence(coverage, overlap, 1.0, np.inf, np.inf, np.inf)
    values = np.array([_nmi(levels[i, 0, both], moved[both]) for moved in levels[j]])
    motion = peak(values, STEP)
    if _displacement(points[both], motion) > SUSPICIOUS_MM:
        motion = _search(head, first, second)
    shift, turn = (float(np.linalg.norm(part)) for part in np.split(motion, 2))
    return PairEvidence(coverage, overlap, float(values[0]), shift, turn, _displacement(points[both], motion))


def _around(motion: Float64s, step: float) -> Float64s:
    """A motion (6,), mm along and degrees about three axes, and one step more and less in each: (13, 6)."""
    steps = step * np.eye(6)
    return np.concatenate([motion[None], motion + steps, motion - steps])


def peak(values: Float64s, step: float) -> Float64s:
    """From values (13,) around a motion to the maximum (6,) of a parabola along each axis, at most one step away."""
    middle, up, down = values[0], values[1:7], values[7:]
    curvature = 2 * middle - up - down
    with np.errstate(divide="ignore", invalid="ignore"):
        way = np.where(curvature > 1e-9, (up - down) / (2 * curvature), np.sign(up - down))
    return step * np.clip(way, -1, 1)


def _search(head: CoarseHead, first: str, second: str) -> Float64s:
    """The motion (6,) of the second image with most mutual information, from the headers or from equal centers."""
    first_center, second_center = (_center(head.places, head.modalities.index(name)) for name in (first, second))
    ends = []
    for motion in (np.zeros(6), np.concatenate([second_center - first_center, np.zeros(3)])):
        for step in SEARCH:
            motion = motion + peak(nmi_at(head, first, second, _around(motion, step)), step)
        ends.append(motion)
    return ends[int(np.argmax(nmi_at(head, first, second, ends)))]


def _center(places: _Places, modality: int) -> Float64s:
    """Mean (3,) of the places that one image shows as the head; zero where there is none."""
    points = places.points[places.foreground[modality]]
    return np.asarray(points.mean(0)) if len(points) else np.zeros(3)


def nmi_at(head: CoarseHead, first: str, second: str, motions: ArrayLike) -> Float64s:
    """NMI (T,) of two modalities, the second moved by `motions` (T, 6): mm right, front, up; degrees about each."""
    i, j = head.modalities.index(first), head.modalities.index(second)
    points = head.places.points[head.places.inside[i]]
    moved = _moved(points, np.asarray(motions, dtype=float))
    still = _levels(head.volumes[i : i + 1], points[None])[0, 0]
    levels = _levels(head.volumes[j : j + 1], moved)[0]
    seen = _seen(head.inside[j : j + 1], moved)[0]
    return np.array([_nmi(still[one], there[one]) for there, one in zip(levels, seen, strict=True)])


def _moved(points: Float64s, motions: Float64s) -> Float64s:
    """Points (P, 3) after each of some motions (T, 6): (T, P, 3)."""
    turns = Rotation.from_rotvec(motions[:, 3:], degrees=True).as_matrix()
    return np.stack([points @ turn.T + motion[:3] for turn, motion in zip(turns, motions, strict=True)])


def _displacement(points: Float64s, motion: Float64s) -> float:
    return float(np.linalg.norm(_moved(points, motion[None])[0] - points, axis=1).mean())


def _levels(volumes: NDArray[np.uint8], points: Float64s) -> Levels:
    """Bins (M, T, P) of intensity of bytes (M, n, n, n) at points (T, P, 3), mm from the center; linear."""
    grid = torch.as_tensor(points / (SIDE * SPACING / 2), dtype=torch.float32).flip(-1)[None, :, :, None]
    bytes_ = torch.as_tensor(volumes).float()[None]
    values = F.grid_sample(bytes_, grid, padding_mode="border", align_corners=False)  # (1, M, T, P, 1)
    return np.asarray(values[0, ..., 0].numpy().astype(np.int64) * BINS // 256)


def _seen(inside: Bools, points: Float64s) -> Bools:
    """Which points (T, P, 3) lie in fields of view (M, n, n, n): (M, T, P)."""
    return np.asarray(_levels(255 * inside.astype(np.uint8), points) == BINS - 1)
