"""Random poses of heads: affine maps (3, 4) from posed mm to original mm, both measured from the volume's center."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from toposlearn.config import AugmentConfig


def draw_poses(count: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Random poses (count, 3, 4): angles, scale and shift of the head are uniform within the limits of `config`."""
    angles, scale, shift = (2 * torch.rand(count, size, generator=generator) - 1 for size in (3, 1, 3))
    linear = _rotations(angles * math.radians(config.rotation)) / (1 + scale * config.scale)[..., None]
    return torch.cat([linear, -(linear @ (shift * config.shift)[..., None])], dim=-1)


def pose_points(points: Tensor, poses: Tensor, shape: Sequence[int], spacing: float) -> Tensor:
    """Where points (B, P, 3) of the original volumes (B, C, *shape), mm, lie in the posed ones; beyond the edge NaN."""
    moved: Tensor = (points - poses[:, None, :, 3]) @ torch.linalg.inv(poses[:, :, :3]).mT
    edge = torch.tensor(shape) * spacing / 2
    return moved.where((moved.abs() <= edge).all(-1, keepdim=True), torch.nan)


def draw_motion(shift: float, rotation: float, generator: torch.Generator) -> Tensor:
    """A rigid map (3, 4) that shifts by `shift` mm and rotates by `rotation` degrees, both in random directions."""
    way, axis = F.normalize(torch.randn(2, 3, generator=generator), dim=-1)
    cross = torch.zeros(3, 3)
    cross[[2, 0, 1], [1, 2, 0]], cross[[1, 2, 0], [2, 0, 1]] = axis, -axis
    return torch.cat([torch.linalg.matrix_exp(math.radians(rotation) * cross), shift * way[:, None]], dim=-1)


def compose(first: Tensor, second: Tensor) -> Tensor:
    """The map (B, 3, 4) that applies the first map, then the second."""
    linear = second[:, :, :3]
    return torch.cat([linear @ first[:, :, :3], linear @ first[:, :, 3:] + second[:, :, 3:]], dim=-1)


def _rotations(angles: Tensor) -> Tensor:
    """Rotation matrices (B, 3, 3) about the three axes in turn, angles (B, 3) in radians."""
    result = torch.eye(3).expand(len(angles), 3, 3)
    for axis, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        turn = torch.eye(3).repeat(len(angles), 1, 1)
        cosine, sine = angles[:, axis].cos(), angles[:, axis].sin()
        turn[:, i, i], turn[:, i, j], turn[:, j, i], turn[:, j, j] = cosine, -sine, sine, cosine
        result = turn @ result
    return result


def apply_pose(
    volumes: Tensor, poses: Tensor, spacing: float, *, nearest: bool = False, border: bool = False
) -> Tensor:
    """Resample volumes (B, C, D, H, W) by poses (B, 3, 4); beyond the edge is zero, or with `border` the edge value."""
    return sample(volumes, pose_grid(poses.to(volumes.device), volumes.shape, spacing), nearest=nearest, border=border)


def pose_grid(poses: Tensor, shape: Sequence[int], spacing: float) -> Tensor:
    """Where volumes of shape (B, C, D, H, W) are read by poses (B, 3, 4): (B, D, H, W, 3), as `grid_sample` wants it."""
    size = torch.tensor(shape[2:], dtype=torch.float32, device=poses.device)
    half = size * spacing / 2  # mm from center to face: normalized coordinates are mm / half
    linear = poses[:, :, :3] * half / half[:, None]
    normalized = torch.cat([linear, (poses[:, :, 3] / half)[..., None]], dim=-1)
    theta = torch.cat([normalized[:, :, :3].flip(1, 2), normalized[:, :, 3:].flip(1)], dim=-1)  # W H D order
    return F.affine_grid(theta, list(shape), align_corners=False)


def sample(volumes: Tensor, grid: Tensor, *, nearest: bool = False, border: bool = False) -> Tensor:
    """Volumes (B, C, D, H, W) read at the places of a `pose_grid`; beyond the edge as in `apply_pose`."""
    mode, padding = "nearest" if nearest else "bilinear", "border" if border else "zeros"
    return F.grid_sample(volumes, grid, mode=mode, padding_mode=padding, align_corners=False)


def relative_pose(first: Tensor, second: Tensor) -> Tensor:
    """The map (B, 3, 4) from places in the first posed volume to the same anatomy in the second."""
    inverse = torch.linalg.inv(second[:, :, :3])
    shift = inverse @ (first[:, :, 3:] - second[:, :, 3:])
    return torch.cat([inverse @ first[:, :, :3], shift], dim=-1)


def voxel_coordinates(shape: Sequence[int], spacing: float) -> Tensor:
    """Coordinates in mm (3, D, H, W) of voxel centers, measured from the volume's center."""
    axes = [(torch.arange(size) - (size - 1) / 2) * spacing for size in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))
