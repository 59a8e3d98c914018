"""What "topology" does *not* mean in this project: Betti numbers of one shape, for contrast with neighborhood order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]


def betti_numbers(mask: Mask) -> tuple[int, int, int]:
    """Pieces, tunnels and cavities of a 3-D mask (X, Y, Z), its voxels taken as closed cubes.

    Pieces connect through corners (26 neighbors), so the background connects through faces (6 neighbors). The number of
    tunnels follows from the Euler characteristic: pieces - tunnels + cavities.

    Raises:
        ValueError: the mask is not three-dimensional.
    """
    if mask.ndim != 3:
        raise ValueError(f"mask must have three axes (X, Y, Z), got shape {mask.shape}")
    padded = np.pad(mask.astype(bool), 1)
    pieces = int(ndimage.label(padded, np.ones((3, 3, 3)))[1])
    cavities = int(ndimage.label(~padded)[1]) - 1
    return pieces, pieces + cavities - _euler_characteristic(padded), cavities


def _euler_characteristic(padded: Mask) -> int:
    """Vertices - edges + faces - cubes of a mask that has an empty border."""
    total = 0
    for axes in range(8):  # along each axis, a cell of the complex is either thick (in a voxel) or thin (between two)
        cells = padded
        thin = [axis for axis in range(3) if axes >> axis & 1]
        for axis in thin:
            lower, upper = np.delete(cells, -1, axis), np.delete(cells, 0, axis)
            cells = lower | upper
        total += (-1) ** (3 - len(thin)) * int(cells.sum())
    return total
