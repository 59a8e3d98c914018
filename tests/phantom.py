"""A made-up head of cubes whose relations can be read off a table."""

import numpy as np
from scipy.spatial.transform import Rotation

from toposlearn.anatomy import STRUCTURES, LabelMap, structure

# Centers in mm, right side; the left mirrors them. Each structure is a cube of 4 mm.
PHANTOM = {
    "thalamus": (8, 0, 0),
    "pallidum": (16, 6, 0),
    "putamen": (24, 8, 2),
    "hippocampus": (24, -10, -12),
    "frontal-cortex": (20, 40, 6),
    "occipital-cortex": (20, -40, 6),
}


def phantom(name: str = "phantom") -> LabelMap:
    labels = np.zeros((64, 96, 48), dtype=np.int16)
    origin = np.array([-32.0, -48.0, -24.0])
    for structure_name, center in PHANTOM.items():
        for side, sign in (("left", -1), ("right", 1)):
            low = (np.array(center) * (sign, 1, 1) - 2 - origin).astype(int)
            labels[tuple(slice(a, a + 4) for a in low)] = structure(structure_name, side).label  # type: ignore[arg-type]
    affine = np.eye(4)
    affine[:3, 3] = origin + 0.5  # voxel centers, so that cubes are centered where the table says
    return LabelMap(labels, affine, name, "made up")


def posed(label_map: LabelMap, degrees: tuple[float, float, float], shift: tuple[float, float, float]) -> LabelMap:
    """The same head held differently: only the affine moves."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    pose[:3, 3] = shift
    return LabelMap(label_map.labels, pose @ label_map.affine, label_map.name, label_map.source)


def labels_of_tissue(tissue: str) -> list[int]:
    return [each.label for each in STRUCTURES if each.tissue == tissue]
