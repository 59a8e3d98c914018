"""Dice, distances and volumes by hand in long and oblique voxels; classes that are missing; means over people."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from scipy import ndimage

from toposlearn.downstream.segmentation_metrics import (
    UNITS,
    difference_metrics,
    hausdorff_95,
    score_person,
    segmentation_metrics,
)
from toposlearn.intervals import mean_metric

LONG = np.diag([1.0, 1.0, 4.0, 1.0])  # voxels of 1 x 1 x 4 mm
THALAMUS = {"thalamus": (7,)}
REGIONS = {"whole tumor": (1, 2, 3, 4), "tumor core": (1, 3, 4), "enhancing tumor": (3, 4)}


def box(*corner, size=(4, 4, 4), label=7, shape=(16, 16, 16)):
    labels = np.zeros(shape, np.int16)
    labels[tuple(slice(start, start + length) for start, length in zip(corner, size, strict=True))] = label
    return labels


def only(predicted, truth, classes=THALAMUS, affine=LONG):
    """The row of the only class."""
    return score_person(predicted, truth, classes, affine).iloc[0]


def test_dice_and_volumes_of_two_boxes():
    """64 and 48 voxels of 4 mm³, 48 of them shared."""
    row = only(box(4, 4, 4, size=(3, 4, 4)), box(4, 4, 4))
    assert row["dice"] == pytest.approx(2 * 48 / (64 + 48))
    assert row["volume_truth"] == pytest.approx(0.256)
    assert row["volume_predicted"] == pytest.approx(0.192)
    assert row["volume_error"] == pytest.approx(-25)
    assert row["absolute_volume_error"] == pytest.approx(25)
    assert row["missed"] == 0
    assert only(box(4, 4, 4), box(4, 4, 4, size=(3, 4, 4)))["volume_error"] == pytest.approx(100 / 3)


@pytest.mark.parametrize(("step", "mm"), [((3, 0, 0), 3), ((0, 2, 0), 2), ((0, 0, 1), 4), ((0, 0, 2), 8)])
def test_distance_of_two_boxes_is_in_mm_along_each_axis(step, mm):
    """A quarter of the surface, a face, is as far away as the boxes were moved."""
    moved = box(*(4 + each for each in step))
    assert only(moved, box(4, 4, 4))["hd95"] == pytest.approx(mm)
    assert only(box(4, 4, 4), moved)["hd95"] == pytest.approx(mm)


def test_turned_and_mirrored_axes_change_no_distance():
    turn = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -3], [0, 0, -1, 9], [0, 0, 0, 1]])
    one, other = (only(box(4, 4, 5), box(3, 4, 4), affine=affine) for affine in (LONG, turn @ LONG))
    pd.testing.assert_series_equal(one, other)


def test_a_stray_voxel_among_a_hundred_does_not_count_in_the_distance():
    truth = box(2, 2, 2, size=(10, 10, 1))
    predicted = truth.copy()
    predicted[15, 15, 15] = 7
    assert only(predicted, truth)["hd95"] == 0
    predicted[15, 5:16, 15] = 7  # one in ten
    assert only(predicted, truth)["hd95"] > 40


def test_numbers_are_those_of_monai():
    noise = np.random.default_rng(0).normal(size=(2, 20, 20, 12))
    predicted, truth = (ndimage.gaussian_filter(each, 2) > 0.02 for each in noise)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        masks = predicted[None, None], truth[None, None]
        theirs = compute_hausdorff_distance(*masks, include_background=True, percentile=95, spacing=(1.0, 1.0, 4.0))
    assert hausdorff_95(predicted, truth, (1.0, 1.0, 4.0)) == pytest.approx(theirs.item(), rel=1e-5)
    row = only(predicted, truth, {"lesion": (1,)})
    assert row["hd95"] == pytest.approx(theirs.item(), rel=1e-5)  # also cropped to the class
    tensors = [torch.from_numpy(each)[None, None].float() for each in (predicted, truth)]
    assert row["dice"] == pytest.approx(compute_dice(*tensors).item(), rel=1e-5)


def test_a_class_that_is_absent_and_not_predicted_is_not_known():
    assert only(box(4, 4, 4, label=3), box(4, 4, 4, label=3)).isna().all()


def test_a_class_that_is_predicted_only_has_no_overlap_and_no_distance():
    row = only(box(4, 4, 4), box(4, 4, 4, label=3))
    assert row["dice"] == 0
    assert (row["volume_truth"], row["volume_predicted"]) == (0, pytest.approx(0.256))
    assert row[["hd95", "volume_error", "absolute_volume_error", "missed"]].isna().all()


def test_a_class_that_is_not_predicted_is_missed():
    row = only(box(4, 4, 4, label=3), box(4, 4, 4))
    assert (row["dice"], row["missed"], row["volume_error"]) == (0, 1, -100)
    assert np.isnan(row["hd95"])


def test_regions_are_formed_of_several_labels():
    truth = box(4, 4, 4, label=2) + box(8, 4, 4, label=1) + box(12, 4, 4, label=4)
    predicted = np.where(truth == 1, 3, truth)  # core called enhancing
    scores = score_person(predicted, truth, REGIONS, LONG)
    assert scores.index.tolist() == list(REGIONS)
    assert scores["dice"].tolist() == pytest.approx([1, 1, 2 / 3])
    assert scores["volume_truth"].tolist() == pytest.approx([3 * 0.256, 2 * 0.256, 0.256])


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, ">i2", ">u4"])
def test_labels_of_any_whole_type_are_read(kind):
    row = only(box(4, 4, 5, label=1).astype(kind), box(4, 4, 4, label=1).astype(kind), {"lesion": (1,)})
    assert (row["dice"], row["hd95"]) == (pytest.approx(0.75), pytest.approx(4))


@pytest.mark.parametrize(
    ("predicted", "truth", "classes", "message"),
    [
        (box(4, 4, 4), box(4, 4, 4, shape=(16, 16, 15)), THALAMUS, r"\(16, 16, 16\) and truth \(16, 16, 15\)"),
        (box(4, 4, 4)[None], box(4, 4, 4)[None], THALAMUS, r"must be \(X, Y, Z\)"),
        (box(4, 4, 4).astype(float), box(4, 4, 4), THALAMUS, "predicted holds float64"),
        (box(4, 4, 4), box(4, 4, 4) / 7, THALAMUS, "truth holds float64"),
        (box(4, 4, 4), box(4, 4, 4), {"air": (0,)}, r"class air must .* got \(0,\): 0 is background"),
        (box(4, 4, 4), box(4, 4, 4), {"nothing": ()}, "class nothing must"),
        (box(4, 4, 4), box(4, 4, 4), {}, "names no class"),
    ],
)
def test_maps_and_classes_that_do_not_fit_are_refused_in_one_line(predicted, truth, classes, message):
    with pytest.raises(ValueError, match=message) as error:
        score_person(predicted, truth, classes, LONG)
    assert "\n" not in str(error.value)


def table(dice, classes=("a", "b")):
    """Scores of which Dice (R, S, K) is given, and all else follows it."""
    seeds, people, count = np.shape(dice)
    names = [range(seeds), [f"sub-{person}" for person in range(people)], classes[:count]]
    index = pd.MultiIndex.from_product(names, names=["seed", "person", "class"])
    return pd.DataFrame(dict.fromkeys(UNITS, np.ravel(dice)), index=index, dtype=float)


def test_tables_of_people_become_metrics():
    truth = box(4, 4, 4) + box(9, 9, 9, label=3)
    classes = THALAMUS | {"caudate": (3,)}
    parts = {(0, f"sub-{step}"): score_person(np.roll(truth, step, 0), truth, classes, LONG) for step in range(3)}
    metrics = segmentation_metrics(pd.concat(parts, names=["seed", "person"]))
    assert metrics["hd95"]["value"] == pytest.approx(1)
    assert metrics["hd95/caudate"]["unit"] == "mm"
    assert metrics["dice/thalamus"]["value"] == pytest.approx((1 + 0.75 + 0.5) / 3)
    assert metrics["missed"]["value"] == 0
    assert metrics["dice"]["low"] < metrics["dice"]["value"] < metrics["dice"]["high"]


def test_where_all_is_known_the_interval_is_that_of_people_and_seeds():
    dice = np.random.default_rng(0).uniform(size=(3, 8, 2))
    metrics = segmentation_metrics(table(dice))
    assert metrics["dice/b"] == pytest.approx(mean_metric(dice[..., 1]))
    assert metrics["dice"] == pytest.approx(mean_metric(dice.mean(axis=2)))


def test_a_class_of_some_people_has_the_interval_of_these_people():
    dice = np.random.default_rng(0).uniform(size=(3, 8, 2))
    dice[:, 5:, 1] = np.nan
    metrics = segmentation_metrics(table(dice))
    assert metrics["dice/b"] == pytest.approx(mean_metric(dice[:, :5, 1]))
    assert metrics["dice/b"]["n"] == 5
    assert metrics["dice"] == pytest.approx(mean_metric(np.nanmean(dice, axis=2)))


def test_what_some_seeds_do_not_know_is_left_out():
    values = np.array([[[1.0], [2.0], [np.nan], [4.0]], [[3.0], [np.nan], [np.nan], [6.0]]])
    found = segmentation_metrics(table(values))["hd95/a"]
    assert found["value"] == pytest.approx((1 + 2 + 4 + 3 + 6) / 5)
    assert found["n"] == 3
    assert 1 <= found["low"] < found["value"] < found["high"] <= 6


def test_a_class_without_people_gives_no_metric_and_one_person_no_interval():
    dice = np.full((1, 4, 2), np.nan)
    dice[:, :, 0] = 0.5
    assert not any(name.endswith("/b") for name in segmentation_metrics(table(dice)))
    dice[0, 2, 1] = 0.25
    assert segmentation_metrics(table(dice))["dice/b"] == {"value": 0.25, "n": 1}


def test_null_and_baseline_stand_beside_the_value():
    nothing = np.full((1, 4, 2), 0.1)
    nothing[..., 1] = np.nan
    metrics = segmentation_metrics(
        table(np.full((2, 4, 2), 0.7)), null=table(nothing), baseline=table(np.full((1, 4, 2), 0.4))
    )
    assert (metrics["dice/a"]["null"], metrics["dice/a"]["baseline"]) == pytest.approx((0.1, 0.4))
    assert "null" not in metrics["dice/b"]  # not known there


def test_differences_are_paired_by_person_and_seed():
    """Very different people, each one better by 0.1 to 0.12, in another order of rows."""
    first = np.random.default_rng(0).uniform(size=(2, 8, 2))
    second = first - np.random.default_rng(1).uniform(0.1, 0.12, size=first.shape)
    found = difference_metrics(table(first), table(second).sample(frac=1, random_state=0))["dice"]
    assert found["null"] == 0
    assert 0.1 < found["low"] < found["value"] < found["high"] < 0.12


def test_what_one_method_lacks_is_left_out_of_both():
    first, second = np.full((1, 4, 2), 0.5), np.full((1, 4, 2), 0.3)
    first[0, :, 1], second[0, 1:, 1] = 0.9, np.nan
    metrics = difference_metrics(table(first), table(second))
    assert metrics["dice/b"] == {"value": pytest.approx(0.6), "n": 1, "null": 0.0}
    assert metrics["dice"]["value"] == pytest.approx((0.4 + 3 * 0.2) / 4)


def test_a_method_of_other_seeds_is_averaged_over_them():
    first, second = np.full((3, 4, 2), 0.5), np.stack([np.full((4, 2), 0.1), np.full((4, 2), 0.2)])
    assert difference_metrics(table(first), table(second))["dice"]["value"] == pytest.approx(0.35)


def test_other_people_and_incomplete_tables_are_refused():
    first = table(np.full((2, 4, 2), 0.5))
    with pytest.raises(ValueError, match="scored on person sub-3"):
        difference_metrics(first, table(np.full((2, 3, 2), 0.5)))
    with pytest.raises(ValueError, match="scored on class b"):
        difference_metrics(first, table(np.full((2, 4, 1), 0.5)))
    with pytest.raises(ValueError, match="15 rows instead of 16"):
        segmentation_metrics(first.iloc[:-1])
    with pytest.raises(ValueError, match="index seed, person, class, got class"):
        segmentation_metrics(score_person(box(4, 4, 4), box(4, 4, 4), THALAMUS, LONG))
