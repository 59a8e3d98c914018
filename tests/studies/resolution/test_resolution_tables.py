"""How far a claim about structures reaches a grid: tables over people, poses and grids."""

import numpy as np
import pandas as pd
import pytest

from toposlearn.anatomy import LabelMap, load_donor_map, structure
from toposlearn.intervals import bootstrap_subjects
from toposlearn.relations.layout import layout
from toposlearn.relations.relations import structure_distances
from toposlearn.studies.resolution import measure
from toposlearn.studies.resolution.measure import distances_between
from toposlearn.studies.resolution.tokens import head_points

IDS = ("9861", "10021")
SHIFTS = np.stack([np.column_stack([np.eye(3), np.full(3, float(mm))]) for mm in (-12, 0, 9)])


@pytest.fixture(scope="module")
def subjects() -> dict[str, LabelMap]:
    return {name: load_donor_map(name) for name in IDS}


def centers(subject: LabelMap, name: str) -> list[np.ndarray]:
    """Of the left and the right one, mm."""
    head = head_points(subject)
    return [head.centers[head.structures.index(structure(name, side))] for side in ("left", "right")]


@pytest.fixture(scope="module")
def table(subjects: dict[str, LabelMap]) -> pd.DataFrame:
    structures = head_points(subjects["9861"]).structures
    return measure.resolution_table(subjects, dict.fromkeys(IDS, SHIFTS), structures, cells=(3, 12))


def test_true_distances_are_those_between_structures(subjects: dict[str, LabelMap]) -> None:
    known = layout(subjects["10021"])
    head = head_points(subjects["10021"], step=1.0)
    assert head.structures == known.structures
    np.testing.assert_allclose(distances_between(head.centers), structure_distances(known), atol=1e-6)


def test_one_row_per_person_pose_grid_and_reading(table: pd.DataFrame) -> None:
    assert len(table) == 2 * 3 * 2 * 2
    assert set(table["how"]) == {"home", "mean"}
    assert sorted(table["mm"].unique()) == [16.0, 64.0]
    assert (table["lost"] == 0).all()


def test_finer_tokens_keep_more_order_and_merge_fewer(table: pd.DataFrame) -> None:
    means = table.groupby(["how", "cells"])[["order", "neighbors", "merged", "dominant", "mixing"]].mean()
    for how in ("home", "mean"):
        assert (means.loc[how].loc[12, ["order", "neighbors"]] > means.loc[how].loc[3, ["order", "neighbors"]]).all()
    assert means.loc[("mean", 12), "order"] > 0.9
    assert means.loc[("home", 3), "merged"] > 0.1 > means.loc[("home", 12), "merged"]
    assert means.loc[("home", 3), "dominant"] < means.loc[("home", 12), "dominant"]
    assert means.loc[("home", 3), "mixing"] > means.loc[("home", 12), "mixing"] >= 1


def test_the_summary_has_intervals_and_a_null_below(table: pd.DataFrame) -> None:
    summary = measure.resolution_summary(table, IDS)
    assert len(summary) == 2 * 2 * 3
    for row in summary.to_dict("records"):
        part = table[(table["cells"] == row["cells"]) & (table["how"] == row["how"])]
        subjects = np.array([part[part["person"] == name][row["measure"]].mean() for name in IDS])
        null = part.groupby("pose")[f"{row['measure']}_null"].mean()
        expected = (subjects.mean(), *bootstrap_subjects(subjects[None]), null.mean(), null.quantile(0.95), 2)
        found = [row[name] for name in ("value", "low", "high", "null", "null_high", "people")]
        assert found == pytest.approx(expected, nan_ok=True), row
    order = summary[(summary["measure"] == "order") & (summary["cells"] == 12)]
    assert (order["value"] > order["null_high"]).all()


def test_poses_part_nuclei_more_often_on_finer_grids(subjects: dict[str, LabelMap]) -> None:
    parting = measure.parting_table(subjects, dict.fromkeys(IDS, SHIFTS), (2, 24))
    assert set(parting["pair"]) == {"thalamus – putamen", "thalamus – pallidum", "pallidum – putamen"}
    assert (parting[parting["cells"] == 24]["parted"] == 1).all()
    for row in parting.to_dict("records"):
        ends = [centers(subjects[row["person"]], name) for name in row["pair"].split(" – ")]
        expected = np.mean([measure.parted_points(a - b, row["mm"]) for a, b in zip(*ends, strict=True)])
        assert row["points"] == pytest.approx(expected, abs=1e-6), row  # poses that only shift keep what is apart
    upright = measure.parting_table(subjects, dict.fromkeys(IDS, measure.UPRIGHT), (3,))
    assert (upright["parted"] == 0).all()  # the middle token of 64 mm holds all three nuclei of both sides


def test_two_points_on_a_grid_that_lies_anywhere() -> None:
    side, apart = 20.0, np.array([6.0, -3.0, 11.0])
    corners = np.random.default_rng(0).uniform(0, side, size=(20_000, 3))
    parted = (np.floor(corners / side) != np.floor((corners + apart) / side)).any(axis=1)
    assert measure.parted_points(apart, side) == pytest.approx(parted.mean(), abs=0.01)
    assert measure.parted_points(np.array([25.0, 0, 0]), side) == 1


def test_the_finest_grid_needed_holds_from_there_on() -> None:
    shares = {"a": (0.96, 0.5, 0.97, 1.0), "b": (0.1, 0.2, 0.3, 0.4)}
    rows = [(p, c, s) for p, values in shares.items() for c, s in zip((2, 3, 4, 6), values, strict=True)]
    table = pd.DataFrame(rows, columns=["pair", "cells", "parted"])
    needed = measure.finest_needed(pd.concat([table, table.assign(parted=1.0)]))
    assert needed["a"] == 4
    assert np.isnan(needed["b"])
