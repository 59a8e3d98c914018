"""What wrong pairing does to training: the intra term on images of which all except the T1w are misplaced.

Preset lab, reconstruction and intra; only the misregistration differs. Measured on held-out people whose images are
registered. Existing runs are reused. `--figure FILE` draws error against misregistration.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from rows import Row, options, report

from toposlearn.arrays import Float64s
from toposlearn.config import TacoConfig, preset, with_variant
from toposlearn.data import PosedSubjects, load_posed
from toposlearn.intervals import across_subjects, bootstrap_subjects, same_person
from toposlearn.models import load_weights
from toposlearn.pretrain import encode, error_matrix, pretrain
from toposlearn.pretrain.run_folder import WEIGHTS
from toposlearn.pretrain.scorecard import controls

Level = tuple[float, float, bool]
LEVELS: tuple[Level, ...] = (  # mm, degrees, in the same direction in all people
    *((shift, 0.0, False) for shift in (0.0, 5.0, 10.0, 20.0, 30.0)),
    *((shift, 0.0, True) for shift in (10.0, 30.0)),
    *((0.0, rotation, False) for rotation in (10.0, 20.0, 30.0)),
)
STRIDE = 4  # 12 mm tokens
ORANGE, BLUE, GRAY = "#D55E00", "#0072B2", "#999999"


def train(config: TacoConfig, data: Path, out: Path, level: Level) -> Path:
    """The weights of one run."""
    shift, rotation, alike = level
    run = out / f"intra-{shift:g}mm-{rotation:g}deg{'-alike' * alike}"
    if (run / WEIGHTS).exists():
        return run / WEIGHTS
    moved = config.replace(
        augment={"misregister_shift": shift, "misregister_rotation": rotation, "misregister_alike": alike}
    )
    return pretrain(moved, data, run, resume=(run / "checkpoint.pt").exists())


Numbers = dict[str, tuple[float, float, float]]  # name -> value, low, high


def errors_of(weights: Path, subjects: PosedSubjects) -> Float64s:
    """Error of the best match (1, S, S), mm: rows in T1w, columns in T2w."""
    model, _ = load_weights(weights)
    first, second = (encode(model, subjects, modality)[STRIDE] for modality in ("T1w", "T2w"))
    return error_matrix(first, second, subjects.token_template(STRIDE), subjects.token_mask(STRIDE))[None]


def numbers(errors: Float64s) -> Numbers:
    """Mean error, or difference, and its 95 % interval over people: of a person's two modalities, of two people."""
    own = same_person(errors)
    return {
        "same person": (float(own.mean()), *bootstrap_subjects(own)),
        "two people": (across_subjects(errors), *bootstrap_subjects(errors)),
    }


def draw(results: Mapping[Level, Numbers], position: float, file: Path) -> None:
    """Error against shift in a direction of each person's own, against a shift that all share, and against rotation."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
    clean = LEVELS[0]
    panels = (
        ("mm\neach person in a different direction", 0, lambda level: level[1] == 0 and not level[2]),
        ("mm\nall people in the same direction", 0, lambda level: level == clean or level[2]),
        ("degrees\neach person about a different axis", 1, lambda level: level[0] == 0),
    )
    for axis, (title, which, chosen) in zip(axes, panels, strict=True):
        levels = [level for level in results if chosen(level)]
        for name, color in (("two people", BLUE), ("same person", ORANGE)):
            value, low, high = np.array([results[level][name] for level in levels]).T
            amount = [level[which] for level in levels]
            axis.errorbar(
                amount, value, yerr=(value - low, high - value), color=color, marker="o", capsize=3, label=name
            )
        axis.axhline(position, color=GRAY, linestyle="--", label="two people: grid position")
        axis.set(xlabel=f"off by, {title}", ylim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("error of the best match, mm")
    axes[0].legend(frameon=False)
    figure.suptitle("What wrong pairing does to the intra term (12 mm tokens, held-out people)")
    figure.savefig(file, dpi=120)


def rows_of(level: Level, measured: Numbers, more: str = "") -> list[Row]:
    """One row for each number of one level."""
    shift, rotation, alike = level
    where = f"{shift:g} mm, {rotation:g} degrees{', all alike' * alike}"
    return [
        Row(f"{where}, {name}{more} [{low:.1f}, {high:.1f}]", value, "mm")
        for name, (value, low, high) in measured.items()
    ]


def main() -> None:
    """Train, measure, print."""
    parser = options(__doc__ or "")
    parser.add_argument("--data", type=Path, default=Path("data/cohort"), help="people to train and to measure on")
    parser.add_argument("--out", type=Path, default=Path("runs/misregister"), help="folder of the runs")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--figure", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    steps, levels = (20, LEVELS[:5:4]) if arguments.quick else (arguments.steps, LEVELS)
    out = arguments.out / f"{steps}-steps"
    config = with_variant(preset("lab").replace(train={"steps": steps, "score_every": 0}), "intra")
    subjects = load_posed(arguments.data, config, 16)
    errors = {level: errors_of(train(config, arguments.data, out, level), subjects) for level in levels}
    results = {level: numbers(each) for level, each in errors.items()}
    position = across_subjects(controls(subjects, STRIDE).position)
    if arguments.figure is not None:
        draw(results, position, arguments.figure)
    rows = [Row("two people: grid position", position, "mm")]
    for level, measured in results.items():
        rows += rows_of(level, measured)
        if level != levels[0]:
            rows += rows_of(level, numbers(errors[level] - errors[levels[0]]), ", more than registered")
    report(rows, arguments.json)


if __name__ == "__main__":
    main()
