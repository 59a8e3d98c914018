"""How far relations hold: nothing changed keeps all, pose and size change nothing, a known bend breaks a known one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_head import small_scene

from toposlearn.anatomy import LabelMap, structure
from toposlearn.anatomy.vocabulary import RIGHT_OFFSET
from toposlearn.cohort.deformation import bulge_velocity
from toposlearn.intervals import bootstrap_subjects
from toposlearn.relations.layout import layout
from toposlearn.studies.bending import (
    CHANGES,
    Scene,
    first_to_break,
    grow,
    kept_curves,
    study,
    what_predicts,
    without_fluid,
)
from toposlearn.studies.bending.breaking import breaking_points, cohort_range, concordance
from toposlearn.studies.bending.kept import Kept, relative_margins


@pytest.fixture(scope="module")
def scene() -> Scene:
    return small_scene()


@pytest.fixture(scope="module")
def result(scene) -> Kept:
    return study(scene, ("shape", "size", "turn"), draws=2, voxel=4.0, progress=False)


def drawn(scene, name, seed=0, voxel=3.0, **with_):
    return list(grow(replace(CHANGES[name], **with_), scene, np.random.default_rng(seed), voxel))


def medial(head, side, inner="thalamus", outer="lateral-ventricle"):
    """By how much of the brain's size `inner` is medial to `outer`."""
    here = layout(head)
    return relative_margins(here)[0, here.index(structure(inner, side)), here.index(structure(outer, side))]


def test_nothing_changed_keeps_every_direction(result):
    still = (result.margins > 0)[(result.draws["change"] == "shape") & (result.draws["amount"] == 0)]
    directed = result.relations["relation"].isin(["medial", "anterior", "superior"])
    assert still[:, directed].mean() > 0.998  # margins of 2 % of the size are less than a millimeter
    assert still[:, ~directed].mean() > 0.9  # a shared boundary is read from few faces of 4 mm voxels
    assert (result.draws.loc[result.draws["amount"] == 0, ["bend", "rms", "largest", "midline"]] < 1e-4).all(axis=None)


def test_every_relation_is_counted_once_and_decided(result):
    ends = [f"{part}_{end}" for end in "ab" for part in ("structure", "side")]
    pairs = result.relations[ends].apply(lambda row: frozenset([tuple(row[:2]), tuple(row[2:])]), axis=1)
    group = result.relations["relation"].replace("apart", "adjacent")
    assert not pd.DataFrame({"pair": pairs, "group": group}).duplicated().any()
    assert result.relations.loc[group != "adjacent", "margin"].min() > 0.02
    sides = result.relations[["side_a", "side_b"]]
    assert not ((sides == "left").any(axis=1) & (sides == "right").any(axis=1)).any()


def test_pose_and_size_keep_the_directions_and_a_bend_does_not(result):
    curves = kept_curves(result)
    directed = curves[curves["relation"].isin(["medial", "anterior", "superior"])]
    worst = directed.groupby("change")["share"].min()
    assert worst["turn"] > 0.99
    assert worst["size"] > 0.98  # at 0.7 of its size a head has few voxels of 4 mm
    assert worst["shape"] < 0.95


def test_intervals_contain_the_mean_and_chance_is_lower(result):
    curves = kept_curves(result)
    for relation, change in (("medial", "shape"), ("adjacent", "size")):
        of = (result.draws["change"] == change) & (result.draws["amount"] == 1)
        kept = (result.margins > 0)[of][:, result.relations["relation"] == relation].mean(axis=1)
        (row,) = curves[
            (curves["change"] == change) & (curves["relation"] == relation) & (curves["amount"] == 1)
        ].to_dict("records")
        expected = (kept.mean(), *bootstrap_subjects(kept[None]), 2)
        assert [row[name] for name in ("share", "low", "high", "draws")] == pytest.approx(expected)
    assert curves.loc[curves["amount"] == 1, "share"].min() > curves["chance"].max()
    assert 0.45 < result.chance["anterior"] < 0.6


def test_what_is_on_the_axis_grows_and_nothing_folds(result):
    shape = result.draws[result.draws["change"] == "shape"]
    for _, path in shape.groupby("draw"):
        assert path["bend"].is_monotonic_increasing
        assert path["smallest_jacobian"].is_monotonic_decreasing
        assert (path["bend"] <= path["rms"] + 1e-3).all()
    assert shape["smallest_jacobian"].min() > 0
    low, high = cohort_range(result, "shape")
    assert 0 < low <= high < shape["bend"].max()


def test_a_mirrored_head_has_its_frame(scene):
    """The mirror image of a person, names of sides exchanged, is a person: lying elsewhere, and turned as well."""
    own = without_fluid(scene)
    exchanged = np.where((own.labels > 0) & (own.labels <= 200), (own.labels + RIGHT_OFFSET) % 200, own.labels)
    mirror = np.diag([-1.0, 1, 1, 1])
    turn = np.array([[0.0, -1, 0, 30], [1, 0, 0, -20], [0, 0, 1, 5], [0, 0, 0, 1]])
    before = layout(own)
    after = layout(LabelMap(exchanged.astype(np.int16), turn @ mirror @ own.affine, "mirrored", ""))
    for name in ("thalamus", "frontal-cortex", "hippocampus"):
        left, right = before.index(structure(name, "left")), after.index(structure(name, "right"))
        np.testing.assert_allclose(after.centers[right] * (-1, 1, 1), before.centers[left], atol=1.0)
    margins = [relative_margins(subject)[:3] for subject in (before, after)]
    sides = np.array([each.side for each in before.structures])
    mirrored = np.argsort(np.where(sides == "left", 1, np.where(sides == "right", 0, 2)), kind="stable")
    there = np.abs(margins[0]) > 0.05
    assert (np.sign(margins[0]) == np.sign(margins[1][:, mirrored[:, None], mirrored]))[there].mean() > 0.999


def test_a_mass_left_of_the_midline_pushes_the_right_thalamus_outwards(scene):
    """It crosses the midline, so that a relation of the other side breaks, and none of its own."""
    near = np.add(without_fluid(scene).world(structure("thalamus", "left").label).mean(axis=0), (6, 0, 0))
    push = drawn(scene, "mass", bend=lambda _, scene: bulge_velocity(near, 14.0, scene.grid), amounts=(0, 2, 10, 20))
    right = [medial(head.label_map, "right") for head in push]
    assert right[0] > 0.05
    assert right[-1] < -0.01
    assert medial(push[-1].label_map, "left") > 0.02
    assert push[-1].midline > 3.0
    assert np.diff([head.midline for head in push]).min() > 0


def test_atrophy_grows_the_ventricles(scene):
    ventricles = [head.ventricles for head in drawn(scene, "atrophy")]
    assert 0.9 < ventricles[0] < 1.1
    assert ventricles == sorted(ventricles)
    assert ventricles[-1] > 2


def test_breaking_points_lie_between_two_amounts_and_give_the_order():
    margins = np.array([[4, 9, 5], [2, 3, 5], [-2, -3, 5], [-4, -9, 5]] * 2, dtype=np.float32)
    draws = pd.DataFrame({"change": "shift", "draw": np.repeat([0, 1], 4), "amount": [0.0, 10, 20, 30] * 2})
    relations = pd.DataFrame(
        {"relation": ["medial", "anterior", "superior"], "margin": [0.1, 0.2, 0.5], "margin_mm": [4.0, 8, 20]}
    ).assign(distance_mm=20.0)
    known = Kept(relations, draws, margins, {})
    np.testing.assert_allclose(breaking_points(known, "shift"), [[15, 15, np.inf]] * 2)
    assert first_to_break(known, "shift")["relation"].tolist() == ["medial", "anterior", "superior"]
    predicted = what_predicts(known, "shift").set_index(["predictor", "measure"])["value"]
    assert predicted["margin", "concordance"] == 1.0
    assert concordance(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == 0
    assert concordance(np.ones(3), np.array([3.0, 2, np.inf])) == 0.5


def test_impossible_arguments_are_refused(scene, result):
    with pytest.raises(ValueError, match="changes must be some of shape"):
        study(scene, ("melt",))
    with pytest.raises(ValueError, match="draws must be at least 2"):
        study(scene, ("turn",), draws=1)
    with pytest.raises(ValueError, match="voxel must be larger than 0"):
        drawn(scene, "turn", voxel=0)
    with pytest.raises(ValueError, match="folds, take smaller steps"):
        drawn(scene, "shape", amounts=(0, 8))
    with pytest.raises(ValueError, match="must be one of shape, size, turn"):
        first_to_break(result, "mass")
    nothing = Kept(result.relations, result.draws, np.ones_like(result.margins), result.chance)
    with pytest.raises(ValueError, match="breaks directions in 0 draws"):
        what_predicts(nothing, "turn")


def test_the_amounts_cover_the_range_of_the_cohort():
    assert CHANGES["size"].cohort[0] > 0.7
    for change in CHANGES.values():
        assert change.amounts[0] <= change.cohort[0] <= change.cohort[1] <= change.amounts[-1]
