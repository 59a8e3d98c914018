"""Only `toposlearn.intervals` draws people again and cuts tails off: every other module asks it for its intervals."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import toposlearn
from toposlearn.downstream.classification import bootstrap_auc
from toposlearn.intervals import bootstrap_groups, bootstrap_number, bootstrap_ratio, bootstrap_subjects
from toposlearn.studies.shortcuts.auc import area_under_curve, cross_validate, permuted

PACKAGE = Path(toposlearn.__file__).parent
MODULES = [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "benchmarks").glob("*.py")]
CUTS = {"percentile", "quantile", "nanpercentile", "nanquantile"}
TAILS = {2.5, 97.5, 0.025, 0.975}


def intervals_of_its_own(source: str) -> list[str]:
    """The calls that draw people again, or cut off the tails of what was drawn."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if _cuts_tails(call) or _draws_again(call)]


def _name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _cuts_tails(call: ast.Call) -> bool:
    """At 2.5 and 97.5 %, or at two ends that are computed: named constants and numbers are something else's ends."""
    if _name(call) not in CUTS:
        return False
    given = [node for part in (*call.args, *(each.value for each in call.keywords)) for node in ast.walk(part)]
    ends = [end for node in given if isinstance(node, ast.List | ast.Tuple) for end in node.elts]
    names = {node.id for end in ends for node in ast.walk(end) if isinstance(node, ast.Name)}
    return any(not name.isupper() for name in names) or any(
        isinstance(node, ast.Constant) and node.value in TAILS for node in given
    )


def _draws_again(call: ast.Call) -> bool:
    """As many as there are, with replacement."""
    given = {each.arg: each.value for each in call.keywords}
    if _name(call) == "multinomial":
        return "size" in given
    if _name(call) not in ("integers", "choice") or "replace" in given:
        return _name(call) == "bootstrap"
    size = given.get("size", call.args[-1] if len(call.args) == 2 else None)
    sizes = [ast.unparse(each) for each in (size.elts if isinstance(size, ast.Tuple) else [size]) if each is not None]
    subjects = ast.unparse(call.args[0])
    return subjects in sizes or f"len({subjects})" in sizes


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_only_one_module_makes_intervals(module: Path) -> None:
    found = intervals_of_its_own(module.read_text(encoding="utf-8"))
    if module == PACKAGE / "intervals.py":
        assert len(found) >= 3, "the rules below no longer see the bootstrap itself"
    else:
        assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "low, high = np.quantile(means, [0.025, 0.975])",
        "low, high = np.nanpercentile(drawn, [2.5, 97.5]).tolist()",
        "low = np.percentile(drawn, 2.5)",
        "low, high = np.percentile(values, [tail, 100 - tail])",
        "high = table.quantile(q=0.975)",
        "times = rng.multinomial(people, np.full(people, 1 / people), size=draws)",
        "people.iloc[generator.integers(len(people), size=len(people))]",
        "who = generator.integers(people, size=(draws, people))",
        "who = generator.choice(people, size=len(people))",
        "who = generator.choice(6, 6)",
        "stats.bootstrap((values,), np.mean)",
    ],
)
def test_an_interval_made_elsewhere_is_seen(source: str) -> None:
    assert len(intervals_of_its_own(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "white = np.percentile(image, 99.5)",
        "low, high = np.percentile(rows, [_CLIPPED, 100 - _CLIPPED], axis=0)",
        "low, high = np.percentile(numbers, [5, 95])",
        "places[generator.integers(len(places), size=count)]",
        "generator.choice(voxels, 100, replace=False)",
        "generator.choice([-1, 1], shape)",
        "negatives = allowed.multinomial(k, replacement=True)",
        "torch.randint(people, (people,), generator=generator)",
    ],
)
def test_what_is_no_interval_is_left_alone(source: str) -> None:
    assert intervals_of_its_own(source) == []


def plain(drawn: np.ndarray) -> float:
    return float(np.diff(np.nanpercentile(drawn, [2.5, 97.5]))[0])


def test_every_form_is_expanded_for_few_people() -> None:
    """Six people: each interval is about 1.4 times as wide as the plain one, drawn here in a loop."""
    generator = np.random.default_rng(0)
    values, below = generator.normal(size=6), generator.normal(5, 1, size=6)
    pairs = generator.normal(size=(6, 6)) + values[:, None] + below
    who, others = generator.integers(6, size=(2, 20_000, 6))
    forms = {
        "mean": (bootstrap_subjects(values[None], draws=20_000), values[who].mean(axis=1)),
        "ratio": (
            bootstrap_ratio(values[None], below[None], draws=20_000),
            values[who].mean(axis=1) / below[who].mean(axis=1),
        ),
        "number": (bootstrap_number(lambda drawn: values[drawn].max(), 6), values[who].max(axis=1)),
        "groups": (
            bootstrap_groups(pairs[None], draws=20_000),
            pairs[who[:, :, None], others[:, None, :]].mean(axis=(1, 2)),
        ),
    }
    ratios = {name: np.diff(interval)[0] / plain(drawn) for name, (interval, drawn) in forms.items()}
    assert all(1.3 < ratio < 1.5 for name, ratio in ratios.items() if name != "number"), ratios


def test_the_smaller_group_decides_how_far() -> None:
    pairs = np.random.default_rng(0).normal(size=(1, 4, 60)) + np.arange(4)[:, None]
    few, many = np.diff(bootstrap_groups(pairs))[0], np.diff(bootstrap_groups(pairs.repeat(15, axis=1)))[0]
    assert few > 4 * many


def test_both_areas_under_the_curve_are_expanded() -> None:
    """Eight people a class, one feature: its values are the scores."""
    positive = np.repeat([False, True], 8)
    feature = np.random.default_rng(2).normal(size=16) + positive  # an area of 0.75, away from its ends
    won = (feature[positive][:, None] > feature[~positive]).astype(float)
    above, below = np.random.default_rng(1).integers(8, size=(2, 20_000, 8))
    width = plain(won[above[:, :, None], below[:, None, :]].mean(axis=(1, 2)))
    subjects = np.arange(16)
    labels = permuted(positive, np.zeros(16), 5)
    area = area_under_curve(cross_validate(feature[:, None], labels, [[(subjects, subjects)]]), labels)
    low, high = bootstrap_auc(feature[None], positive.astype(int))
    assert area["value"] == pytest.approx(won.mean())
    assert 1.15 < (area["high"] - area["low"]) / width < 1.4
    assert 1.15 < (high - low) / width < 1.4
