"""Relations of real people under similarity transforms, compared with the effect of resampling alone.

Each donor is turned by any angle, made 0.7 to 1.4 times as large and moved: once by the affine alone, once drawn on a
fresh grid of voxels, of the same width in the head's own size. The null is the head drawn anew after a turn of three
degrees. The rows count decisions that change, and directions that turn over: decided before and after, oppositely.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rows import Row, options, report
from scipy import ndimage
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from toposlearn.anatomy import DONOR_IDS, LabelMap, load_donor_map
from toposlearn.intervals import bootstrap_subjects
from toposlearn.relations.agreement import AXES
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import decisions

Affine = NDArray[np.float64]
ALONE, SLIGHT, WHOLE = "affine alone, any turn", "drawn anew, 3 degrees", "drawn anew, any turn, size and place"
SLIGHT_DEGREES = 3.0


def similarity(generator: np.random.Generator) -> Affine:
    """World -> world: a random turn, 0.7 to 1.4 times the size, up to 50 mm to any side."""
    matrix = np.eye(4)
    matrix[:3, :3] = generator.uniform(0.7, 1.4) * Rotation.random(rng=generator).as_matrix()
    matrix[:3, 3] = generator.uniform(-50, 50, 3)
    return matrix


def slight(generator: np.random.Generator) -> Affine:
    """World -> world: a turn of a few degrees about a random axis."""
    axis = generator.standard_normal(3)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(SLIGHT_DEGREES * axis / np.linalg.norm(axis), degrees=True).as_matrix()
    return matrix


def moved(subject: LabelMap, change: Affine) -> LabelMap:
    """The changed head in its own voxels."""
    return replace(subject, affine=change @ subject.affine)


def drawn(subject: LabelMap, change: Affine) -> LabelMap:
    """The changed head on a fresh grid along the world's axes."""
    scale = np.cbrt(np.linalg.det(change[:3, :3]))
    spacing = scale * subject.spacing
    place = change @ subject.affine
    inside = np.argwhere(subject.labels) @ place[:3, :3].T + place[:3, 3]
    low, high = inside.min(axis=0) - 2 * spacing, inside.max(axis=0) + 2 * spacing
    grid = np.diag([*spacing, 1.0])
    grid[:3, 3] = low
    back = np.linalg.inv(place) @ grid
    shape = tuple(np.ceil((high - low) / spacing).astype(int).tolist())
    labels = ndimage.affine_transform(subject.labels, back[:3, :3], back[:3, 3], output_shape=shape, order=0)
    return replace(subject, labels=labels, affine=grid)


def differences(before: Layout, after: Layout) -> tuple[float, float, float]:
    """Share of directions that change their decision, of decided ones that turn over, of contacts that come or go."""
    if before.structures != after.structures:
        raise ValueError(f"{before.name} lost a structure")
    pairs = ~np.eye(len(before.structures), dtype=bool)
    first, second = (np.stack([decisions(each, name)[pairs] for name in AXES]) for each in (before, after))
    decided = (first != 0) & (second != 0)
    touching = [decisions(each, "adjacent")[pairs] for each in (before, after)]
    changed = (touching[0] != touching[1]).mean()
    return float((first != second).mean()), float((first != second)[decided].mean()), float(changed)


def main() -> None:
    """Draw, compare, print."""
    arguments = options(__doc__ or "").parse_args()
    donors, draws = (DONOR_IDS[:2], 1) if arguments.quick else (DONOR_IDS, 6)
    generator = np.random.default_rng(0)
    shares_of: dict[str, list[list[tuple[float, float, float]]]] = defaultdict(list)
    for name in tqdm(donors, unit="person"):
        subject = load_donor_map(name)
        before = layout(subject)
        changes = [similarity(generator) for _ in range(draws)]
        heads = {
            ALONE: [moved(subject, change) for change in changes],
            SLIGHT: [drawn(subject, slight(generator)) for _ in range(draws)],
            WHOLE: [drawn(subject, change) for change in changes],
        }
        for kind, after in heads.items():
            shares_of[kind].append([differences(before, layout(head)) for head in after])
    rows = []
    for kind, subjects in shares_of.items():
        shares = 100 * np.array(subjects)  # (people, draws, 3)
        means = shares.mean(axis=1)
        low, high = bootstrap_subjects(means[None, :, 0])
        exact = "<= 0" if kind == ALONE else None
        rows.append(Row(f"{kind}: directions changed [{low:.2f}, {high:.2f}]", means[:, 0].mean(), "%", exact))
        rows.append(Row(f"{kind}: decided directions turned over, largest share", shares[..., 1].max(), "%", "<= 0"))
        rows.append(Row(f"{kind}: contacts changed", means[:, 2].mean(), "%", exact))
    report(rows, arguments.json)


if __name__ == "__main__":
    main()
