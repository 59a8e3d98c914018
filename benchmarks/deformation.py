"""How far spatial relations hold: one kind of change at a time, in growing amounts, on a label map.

This is no evidence that relations are the same in all people: a simulated head is a bent template. It measures how
much change a relation endures. Pose and size may break no more than the voxels do, nothing may fold, and a
larger margin must break later. `--figure FILE` draws the share kept by amount, and in FILE_first which relations break
first.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from rows import Row, options, report

from toposlearn.cohort.head import load_head
from toposlearn.studies.bending import CHANGES, Scene, first_to_break, kept_curves, study, what_predicts
from toposlearn.studies.bending.figures import plot_first_to_break, plot_kept
from toposlearn.studies.bending.kept import DIRECTIONS, Kept

BENDS = ("shape", "coarse", "fine", "mass", "atrophy")
STILL = ("size", "turn", "shift")  # which break next to no relation
QUICK = ("shape", "mass", "turn", "voxels")
FREE = 0.5  # %, maximum that pose and size may break beyond the voxels


def kept_rows(result: Kept, family: str) -> list[Row]:
    """Share kept where the cohort ends and at the largest amount, with intervals, beside chance."""
    ends = kept_curves(result).groupby(["change", "relation"], sort=False).last().reset_index()
    rows = []
    for words, table in {"where the cohort ends": kept_curves(result, at_cohort=True), "at most": ends}.items():
        for row in table.to_dict("records"):
            name = f"{family} {row['change']} {words} ({row['at']:.1f}): {row['relation']} kept"
            interval = f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}], chance {100 * row['chance']:.0f}"
            rows.append(Row(f"{name} {interval}", 100 * row["share"], "%"))
    return rows


def worst_direction(result: Kept, change: str, amount: float | None = None) -> float:
    """Smallest share of a direction kept, %, over amounts."""
    curves = kept_curves(result)
    mine = curves[(curves["change"] == change) & curves["relation"].isin(DIRECTIONS)]
    if amount is not None:
        mine = mine[mine["amount"] == amount]
    return 100 * float(mine["share"].min())


def bounds(result: Kept, family: str) -> list[Row]:
    """Facts that must hold."""
    voxels = worst_direction(result, "voxels", 2)
    rows = [Row(f"{family} voxels of 2 mm alone: smallest share of directions kept", voxels, "%", f">= {100 - FREE}")]
    for change in [name for name in STILL if name in set(result.draws["change"])]:
        lost = voxels - worst_direction(result, change)
        rows.append(Row(f"{family} {change}: directions lost beyond the voxels", lost, "%", f"<= {FREE}"))
    smallest = float(result.draws["smallest_jacobian"].min())
    rows.append(Row(f"{family}: smallest Jacobian determinant", smallest, "", ">= 1e-9"))
    return rows


def order_rows(result: Kept, family: str) -> list[Row]:
    """How well the margin predicts which direction breaks first, and which directions those are."""
    rows = []
    for change in [name for name in BENDS if name in set(result.draws["change"])]:
        for row in what_predicts(result, change).itertuples():
            bound = ">= 0.6" if (row.predictor, row.measure, change) == ("margin", "concordance", "shape") else None
            name = f"{family} {change}: {row.measure} of {row.predictor} [{row.low:.2f}, {row.high:.2f}]"
            rows.append(Row(f"{name}, {row.draws} draws", row.value, "", bound))
        broken = first_to_break(result, change).query("half < inf")
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
        results = {"B": study(Scene(load_head("B")), QUICK, draws=2, voxel=3.0)}
        rows = kept_rows(results["B"], "B") + order_rows(results["B"], "B")
    else:
        results = {
            "A": study(Scene(load_head("A")), draws=8),
            "B": study(Scene(load_head("B")), ("shape", "turn", "voxels"), draws=8),
        }
        rows = []
        for family, part in results.items():
            rows += bounds(part, family) + kept_rows(part, family) + order_rows(part, family)
    if arguments.figure is not None:
        part = next(iter(results.values()))
        plot_kept(part).savefig(arguments.figure, dpi=120)
        first = arguments.figure.with_stem(f"{arguments.figure.stem}_first")
        title = "random shape, as in the cohort: a small margin breaks first"
        plot_first_to_break(part, "shape", title=title).savefig(first, dpi=120)
        plt.close("all")
    report(rows, arguments.json)


if __name__ == "__main__":
    main()
