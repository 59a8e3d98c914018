"""Cost of relations between structures, against the number of labels and of voxels.

The parcels of the Desikan-Killiany atlas at 1 mm: 113 labels, of which 106 are structures. `--figure FILE` draws
seconds against both.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from rows import Row, interleaved, options, report

from toposlearn.anatomy import LabelMap, load_parcels
from toposlearn.relations.frame import template_centers
from toposlearn.relations.layout import layout
from toposlearn.relations.relations import topology_table

LABELS = (10, 20, 40, 80, 106)
SPACINGS = (4, 3, 2, 1)  # mm
WITHIN = 30.0  # mm
PEAK = """
import resource
from toposlearn.anatomy import load_parcels
from toposlearn.relations.layout import layout
from toposlearn.relations.relations import topology_table
person = load_parcels("A")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
topology_table({"A": layout(person)}, sides="all")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, before / 2**20)
"""


def with_labels(subject: LabelMap, count: int) -> LabelMap:
    """The same head with the first `count` labels present: pairs of sides, as the table lists them."""
    present = sorted(set(np.unique(subject.labels).tolist()) - {0})
    by_name = sorted(present, key=lambda label: (subject.structures[label].name, subject.structures[label].side))
    kept = np.zeros(int(subject.labels.max()) + 1, dtype=subject.labels.dtype)
    kept[by_name[:count]] = by_name[:count]
    return replace(subject, labels=kept[subject.labels])


def with_spacing(subject: LabelMap, spacing: int) -> LabelMap:
    """The same head with every `spacing`-th voxel along each axis."""
    step = (slice(None, None, spacing),) * 3
    return replace(subject, labels=subject.labels[step], affine=subject.affine @ np.diag([spacing] * 3 + [1.0]))


def seconds(subjects: dict[str, LabelMap], repeats: int) -> dict[str, tuple[float, float]]:
    """Seconds of all relations, and of the gaps on top, for each head."""
    costs = {}
    for name, subject in subjects.items():
        spent = interleaved(
            {
                "relations": lambda subject=subject: topology_table({"": layout(subject)}, sides="all"),
                "with gaps": lambda subject=subject: topology_table({"": layout(subject, WITHIN)}, sides="all"),
            },
            repeats,
            "cpu",
        )
        costs[name] = spent["relations"], spent["with gaps"] - spent["relations"]
    return costs


def draw(
    by_labels: dict[str, tuple[float, float]],
    by_voxels: dict[str, tuple[float, float]],
    voxels: list[float],
    file: Path,
) -> None:
    """Seconds against labels at 1 mm, and against labeled voxels with all labels."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
    panels = ((LABELS[: len(by_labels)], by_labels, "labels, at 1 mm"), (voxels, by_voxels, "labeled voxels, millions"))
    for axis, (places, costs, label) in zip(axes, panels, strict=True):
        for row, (name, color) in enumerate({"all relations": "#0072B2", "gaps up to 30 mm": "#D55E00"}.items()):
            axis.plot(places, [each[row] for each in costs.values()], "o-", color=color, markersize=4, label=name)
        axis.set(xscale="log", yscale="log", xlabel=label)
        axis.set_xticks(places, [f"{place:g}" for place in places])
        axis.minorticks_off()
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds")
    axes[0].legend(frameon=False)
    figure.savefig(file, dpi=120)


def main() -> None:
    """Measure, print, draw."""
    parser = options(__doc__ or "")
    parser.add_argument("--figure", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    template_centers()  # read once for all people
    subject = load_parcels("A")
    repeats = 1 if arguments.quick else 3
    labels, spacings = (LABELS[-2:], SPACINGS[-2:]) if arguments.quick else (LABELS, SPACINGS)
    by_labels = seconds({f"{count} labels": with_labels(subject, count) for count in labels}, repeats)
    heads = {f"{spacing} mm": with_spacing(subject, spacing) for spacing in spacings}
    by_voxels = seconds(heads, repeats)
    voxels = [round(np.count_nonzero(head.labels) / 1e6, 3) for head in heads.values()]
    rows = []
    for name, (relations, gaps) in (by_labels | by_voxels).items():
        whole = name in ("106 labels", "1 mm")
        rows.append(Row(f"{name}: relations of all ordered pairs", relations, "s", "<= 3" if whole else None))
        rows.append(Row(f"{name}: gaps up to {WITHIN:g} mm", gaps, "s", "<= 20" if whole else None))
    printed = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True).stdout.split()
    rows.append(Row("106 labels: peak memory of the process, relations", float(printed[0]), "GiB", "<= 1"))
    rows.append(Row("  of it before the first relation: libraries, the atlas", float(printed[1]), "GiB"))
    if arguments.figure is not None:
        draw(by_labels, by_voxels, voxels, arguments.figure)
    report(rows, arguments.json)


if __name__ == "__main__":
    main()
