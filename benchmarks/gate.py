"""What the quality gate finds: pairs misregistered on purpose, by a wrong header, and false alarms on clean pairs.

People are read from disk, each image of a person except the first is moved by a number of mm or degrees in a random
direction, and the whole gate assesses the pairs. The real templates are compared with each other in the same way.
`--figure FILE` draws the share of pairs found against the amount.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from rows import Row, options, report
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from toposlearn.anatomy import TEMPLATES, load_template
from toposlearn.cohort import PLAIN, Recipe, recipe_named, write_cohort
from toposlearn.data import Record, read_manifest
from toposlearn.data.gate.alignment import Image, coarse_head, shrink
from toposlearn.data.gate.assessment import OTHERS, SubjectImages, assess_subject, read_subject
from toposlearn.data.gate.quality import ImageFacts, read_image

AMOUNTS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0)  # mm, degrees
COHORTS: Mapping[str, tuple[Recipe, str]] = {
    "plain A": (PLAIN, "A"),
    "plain B": (PLAIN, "B"),
    "full A": (recipe_named("full", voxels=96), "A"),
}
SEED = 900  # of people that no network was trained on
TEMPLATE_DRAWS = 6
COLORS = ("#0072B2", "#56B4E9", "#D55E00", "#009E73")
Flags = dict[tuple[str, str, float], list[bool]]  # group, "mm" or "degrees", amount -> flagged or not


def motion(
    generator: np.random.Generator, unit: str, amount: float, center: NDArray[np.float64]
) -> NDArray[np.float64]:
    """World -> world (4, 4): a shift, or a turn about the center, in a random direction."""
    way = generator.standard_normal(3)
    way *= amount / np.linalg.norm(way)
    matrix = np.eye(4)
    if unit == "mm":
        matrix[:3, 3] = way
    else:
        matrix[:3, :3] = Rotation.from_rotvec(way, degrees=True).as_matrix()
        matrix[:3, 3] = center - matrix[:3, :3] @ center
    return matrix


def moved(images: Mapping[str, Image], change: NDArray[np.float64]) -> dict[str, Image]:
    """The same images with headers that misplace all except the first."""
    first = next(iter(images))
    return {name: (data, affine if name == first else change @ affine) for name, (data, affine) in images.items()}


def middle(image: Image) -> NDArray[np.float64]:
    """World mm of the middle of what is bright."""
    data, affine = image
    place = np.argwhere(data > 0.3 * np.percentile(data, 99)).mean(axis=0)
    return np.asarray(affine[:3, :3] @ place + affine[:3, 3])


def read(record: Record, modalities: Sequence[str]) -> dict[str, Image]:
    """A person's images, as the gate shrinks them."""
    images = {}
    for name in modalities:
        facts, data = read_image(record.images[name])
        images[name] = shrink(data, facts.affine)
    return images


def people_found(group: str, root: Path, moved_people: int, flags_of: Flags, clean: dict[str, list[bool]]) -> None:
    """Assess the clean pairs of all people, and the misregistered ones of the first few."""
    records = read_manifest(root).records
    modalities = list(records[0].images)
    looks = [read_subject(record, modalities) for record in records]
    generator = np.random.default_rng(0)
    for number, (record, look) in enumerate(tqdm(list(zip(records, looks, strict=True)), desc=group, unit="person")):
        others = [looks[(number + step) % len(records)] for step in range(1, OTHERS + 1)]
        clean[group] += [not pair.aligned for pair in assess_subject(record, modalities, look, others).pairs]
        if number < moved_people:
            images = read(record, modalities)
            for unit, amount, change in motions(generator, middle(images[modalities[0]])):
                there = replace(look, head=coarse_head(moved(images, change)))
                flags = first_pairs(record, modalities, there, others)
                flags_of[group, unit, amount] += flags


def motions(
    generator: np.random.Generator, center: NDArray[np.float64]
) -> Iterable[tuple[str, float, NDArray[np.float64]]]:
    """One motion for each unit and amount."""
    for unit in ("mm", "degrees"):
        for amount in AMOUNTS:
            yield unit, amount, motion(generator, unit, amount, center)


def first_pairs(
    record: Record, modalities: Sequence[str], look: SubjectImages, others: Sequence[SubjectImages]
) -> list[bool]:
    """Whether each pair with the first modality, which did not move, is excluded from the intra-instance loss."""
    pairs = assess_subject(record, modalities, look, others).pairs
    return [not pair.aligned for pair in pairs if modalities[0] in (pair.first, pair.second)]


def templates_found(flags_of: Flags, clean: dict[str, list[bool]], draws: int) -> None:
    """The real templates as images of one head: five averages, so without a null of other people."""
    volumes = {name: load_template(name) for name in TEMPLATES}
    images = {name: shrink(volume.data, volume.affine) for name, volume in volumes.items()}
    record = Record("template", {name: Path(name) for name in TEMPLATES})
    facts = {
        name: ImageFacts(Path(name), volume.data.shape, (1.0, 1.0, 1.0), "RAS", 0.0, 1.0, volume.affine)
        for name, volume in volumes.items()
    }
    look = SubjectImages(facts, {}, coarse_head(images))
    clean["templates"] += [not pair.aligned for pair in assess_subject(record, TEMPLATES, look).pairs]
    generator = np.random.default_rng(0)
    for _ in tqdm(range(draws), desc="templates", unit="draw"):
        for unit, amount, change in motions(generator, middle(images[TEMPLATES[0]])):
            there = replace(look, head=coarse_head(moved(images, change)))
            flags_of["templates", unit, amount] += first_pairs(record, TEMPLATES, there, ())


def draw(flags_of: Flags, file: Path) -> None:
    """The share of pairs found, against mm and against degrees."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
    groups = list(dict.fromkeys(group for group, _, _ in flags_of))
    for axis, unit in zip(axes, ("mm", "degrees"), strict=True):
        for group, color in zip(groups, COLORS, strict=True):
            shares = [100 * np.mean(flags_of[group, unit, amount]) for amount in AMOUNTS]
            axis.plot(AMOUNTS, shares, color=color, marker="o", markersize=4, label=group)
        axis.set(xlabel=f"misregistered by, {unit}", ylim=(-3, 103))
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("pairs excluded from the intra term, %")
    axes[1].legend(frameon=False, loc="lower right")
    figure.suptitle("What the gate finds; at 0 every pair is clean: a point above 0 there is a false alarm")
    figure.savefig(file, dpi=120)


def main() -> None:
    """Simulate, misregister, assess, print."""
    parser = options(__doc__ or "")
    parser.add_argument("--data", type=Path, default=Path("runs/gate"), help="folder of the simulated people")
    parser.add_argument("--figure", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    subjects, moved_people, draws = (6, 1, 1) if arguments.quick else (32, 8, TEMPLATE_DRAWS)
    flags_of: Flags = defaultdict(list)
    clean: dict[str, list[bool]] = defaultdict(list)
    for group, (recipe, anatomy) in list(COHORTS.items())[: 1 if arguments.quick else None]:
        root = write_cohort(
            arguments.data / f"{group.replace(' ', '_')}_{subjects}",
            subjects=subjects,
            seed=SEED,
            anatomy=anatomy,
            recipe=recipe,
        )
        people_found(group, root, moved_people, flags_of, clean)
    templates_found(flags_of, clean, draws)
    if arguments.figure is not None:
        draw(flags_of, arguments.figure)
    rows = [
        Row(f"{group}: false alarms in {len(flags)} clean pairs", sum(flags), "", "<= 0")
        for group, flags in clean.items()
    ]
    for (group, unit, amount), flags in flags_of.items():
        bound = ">= 95" if amount >= 10 else None
        rows.append(
            Row(
                f"{group}: found of {len(flags)} pairs off by {amount:g} {unit}",
                100 * float(np.mean(flags)),
                "%",
                bound,
            )
        )
    report(rows, arguments.json)


if __name__ == "__main__":
    main()
