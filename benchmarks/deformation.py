"""How far spatial relations hold: one kind of change at a time, in growing amounts, on a label map.

No evidence that relations are the same in all people: a simulated head is a bent template. It says how much change it
takes. Pose and size must cost no more than the voxels do, nothing may fold, and a larger margin must break later.
`--figure FILE` draws the share kept against the amount, and, beside it in FILE_first, which relations break first.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from rows import Row, options, report

from toposlearn.cohort.head import load_head
from toposlearn.studies.bending.breaking import DIRECTIONS, as_in_cohort, first_to_break, kept_curves, what_predicts
from toposlearn.studies.bending.changes import CHANGES, Scene
from toposlearn.studies.bending.how_far import plot_first_to_break, plot_kept
from toposlearn.studies.bending.relations_kept import Kept, study

BENDS = ("shape", "coarse", "fine", "mass", "atrophy")
STILL = ("size", "turn", "shift")  # what relations do not mind
QUICK = ("shape", "mass", "turn", "voxels")
FREE = 0.5  # %, what pose and size may cost beyond the voxels


def kept_rows(found: Kept, family: str) -> list[Row]:
    """What is kept as in the cohort and at most, with intervals, beside chance."""
    ends = kept_curves(found).groupby(["change", "relation"], sort=False).last().reset_index()
    rows = []
    for words, table in {"where the cohort ends": as_in_cohort(found), "at most": ends}.items():
        for row in table.to_dict("records"):
            name = f"{family} {row['change']} {words} ({row['at']:.1f}): {row['relation']} kept"
            interval = f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}], chance {100 * row['chance']:.0f}"
            rows.append(Row(f"{name} {interval}", 100 * row["share"], "%"))
    return rows


def worst_direction(found: Kept, change: str, amount: float | None = None) -> float:
    """Smallest share of a direction kept, %, over amounts."""
    curves = kept_curves(found)
    mine = curves[(curves["change"] == change) & curves["relation"].isin(DIRECTIONS)]
    if amount is not None:
        mine = mine[mine["amount"] == amount]
    return 100 * float(mine["share"].min())


def bounds(found: Kept, family: str) -> list[Row]:
    """Facts that must hold."""
    voxels = worst_direction(found, "voxels", 2)
    rows = [Row(f"{family} voxels of 2 mm alone: directions kept, least", voxels, "%", f">= {100 - FREE}")]
    for change in [name for name in STILL if name in set(found.draws["change"])]:
        lost = voxels - worst_direction(found, change)
        rows.append(Row(f"{family} {change}: directions lost beyond the voxels", lost, "%", f"<= {FREE}"))
    smallest = float(found.draws["smallest_jacobian"].min())
    rows.append(Row(f"{family}: smallest Jacobian determinant", smallest, "", ">= 1e-9"))
    return rows


def order_rows(found: Kept, family: str) -> list[Row]:
    """Does the margin tell which direction breaks first? And which are they?"""
    rows = []
    for change in [name for name in BENDS if name in set(found.draws["change"])]:
        for told in what_predicts(found, change).itertuples():
            bound = ">= 0.6" if (told.predictor, told.measure, change) == ("margin", "concordance", "shape") else None
            name = f"{family} {change}: {told.measure} of {told.predictor} [{told.low:.2f}, {told.high:.2f}]"
            rows.append(Row(f"{name}, {told.draws} draws", told.value, "", bound))
        broken = first_to_break(found, change).query("half < inf")
        for first in broken.head(5).to_dict("records"):
            a, b = (f"{first[f'side_{end}'][0].upper()} {first[f'structure_{end}']}" for end in "ab")
            name = f"{family} {change}: {a} {first['relation']} to {b}, margin {first['margin_mm']:.1f} mm, breaks at"
            rows.append(Row(name, first["half"], CHANGES[change].unit.split(", ")[-1]))
    return rows


def main() -> None:
    """Change, count, print."""
    parser = options(__doc__ or "")
    parser.add_argument("--figure", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.quick:
        found = {"B": study(Scene(load_head("B")), QUICK, draws=2, voxel=3.0)}
        rows = kept_rows(found["B"], "B") + order_rows(found["B"], "B")
    else:
        found = {
            "A": study(Scene(load_head("A")), draws=8),
            "B": study(Scene(load_head("B")), ("shape", "turn", "voxels"), draws=8),
        }
        rows = []
        for family, part in found.items():
            rows += bounds(part, family) + kept_rows(part, family) + order_rows(part, family)
    if arguments.figure is not None:
        part = next(iter(found.values()))
        plot_kept(part).savefig(arguments.figure, dpi=120)
        first = arguments.figure.with_stem(f"{arguments.figure.stem}_first")
        title = "random shape, as in the cohort: a small margin breaks first"
        plot_first_to_break(part, "shape", title=title).savefig(first, dpi=120)
        plt.close("all")
    report(rows, arguments.json)


if __name__ == "__main__":
    main()
