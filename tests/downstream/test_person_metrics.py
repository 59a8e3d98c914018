"""AUC, balanced accuracy, errors of numbers: by hand and by scikit-learn; nulls, pairs, few people, refusals."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error, r2_score, roc_auc_score

from toposlearn.downstream import person_metrics
from toposlearn.downstream.person_metrics import (
    area_under_curve,
    balanced_accuracy,
    classification_differences,
    classification_metrics,
    mean_auc,
    regression_differences,
    regression_metrics,
)

TWO, THREE = ("control", "atrophy"), ("CN", "MCI", "AD")


def people(*counts):
    return np.repeat(np.arange(len(counts)), counts)


def read(truth, strength=0.0, seeds=3, classes=2, start=0):
    """Probabilities (R, S, K), better than chance by `strength`; what is odd in a person is odd under each seed."""
    generator = np.random.default_rng(start)
    scores = generator.normal(size=(len(truth), classes)) + 0.5 * generator.normal(size=(seeds, len(truth), classes))
    odds = np.exp(scores + strength * np.eye(classes)[truth])
    return odds / odds.sum(axis=-1, keepdims=True)


def test_area_by_hand_with_a_tie():
    """Of six pairs four are in order, and one is a tie."""
    scores, positive = np.array([0.8, 0.4, 0.6, 0.2, 0.4]), np.array([True, True, False, False, False])
    assert area_under_curve(scores, positive) == pytest.approx(4.5 / 6)
    assert area_under_curve(np.stack([scores, -scores]), positive) == pytest.approx([4.5 / 6, 1.5 / 6])


def test_areas_and_accuracies_are_those_of_scikit_learn():
    two, three = people(9, 14), people(7, 9, 11)
    rough = read(two, 1.0).round(1)  # many ties
    assert mean_auc(rough, two) == pytest.approx(np.mean([roc_auc_score(two, one[:, 1]) for one in rough]))
    several = read(three, 1.0, classes=3)
    expected = [roc_auc_score(three, one, multi_class="ovr") for one in several]
    assert mean_auc(several, three) == pytest.approx(np.mean(expected))
    expected = [balanced_accuracy_score(three, one.argmax(axis=1)) for one in several]
    assert balanced_accuracy(several, three) == pytest.approx(np.mean(expected))


def test_the_metrics_of_two_classes():
    truth = people(20, 20)
    probabilities = read(truth, 1.5)
    metrics = classification_metrics(probabilities, truth, TWO)
    assert list(metrics) == ["auc", "balanced_accuracy", "recall/control", "recall/atrophy"]
    for name in metrics:
        assert metrics[name]["low"] < metrics[name]["value"] < metrics[name]["high"]
    recalls = [metrics[f"recall/{name}"]["value"] for name in TWO]
    assert metrics["balanced_accuracy"]["value"] == pytest.approx(np.mean(recalls))
    assert recalls[1] == pytest.approx((probabilities[:, 20:, 1] > 0.5).mean())
    assert metrics["balanced_accuracy"]["baseline"] == 0.5
    assert metrics["recall/control"]["n"] == 20
    assert metrics["auc"]["null_high"] < metrics["auc"]["low"]


def test_the_metrics_of_three_classes():
    truth = people(14, 13, 13)
    metrics = classification_metrics(read(truth, 1.5, classes=3), truth, THREE)
    areas = [metrics[f"auc/{name}"] for name in THREE]
    assert metrics["auc"]["value"] == pytest.approx(np.mean([each["value"] for each in areas]))
    assert metrics["balanced_accuracy"]["baseline"] == pytest.approx(1 / 3)
    assert metrics["auc"]["high"] - metrics["auc"]["low"] < max(each["high"] - each["low"] for each in areas)
    for each in (metrics["auc"], metrics["balanced_accuracy"], *areas):
        assert 0 < each["low"] < each["value"] < each["high"] <= 1


@pytest.mark.parametrize("counts", [(20, 20), (14, 13, 13)])
def test_without_any_knowledge_the_value_lies_in_the_null_and_the_interval_holds_chance(counts):
    truth = people(*counts)
    metrics = classification_metrics(read(truth, classes=len(counts)), truth, THREE[: len(counts)])
    for name, chance in (("auc", 0.5), ("balanced_accuracy", 1 / len(counts))):
        found = metrics[name]
        assert found["null"] == pytest.approx(chance, abs=0.02)
        assert found["null_low"] < chance < found["null_high"]
        assert found["null_low"] <= found["value"] <= found["null_high"]
        assert found["low"] < chance < found["high"]


def test_one_answer_for_all_is_at_chance():
    truth = people(5, 15)
    metrics = classification_metrics(np.full((2, 20, 2), [0.3, 0.7]), truth, TWO)
    assert metrics["auc"]["value"] == metrics["auc"]["null_high"] == 0.5
    assert metrics["balanced_accuracy"]["value"] == 0.5
    assert (metrics["recall/control"]["value"], metrics["recall/atrophy"]["value"]) == (0, 1)


@pytest.mark.parametrize("pairs", [person_metrics._won, person_metrics._recognized])
def test_shares_of_people_average_to_the_measure_and_spread_as_within_classes(pairs):
    """The two ways to an interval, for two classes and for several, agree where both can be used."""
    truth = people(20, 20)
    probabilities = read(truth, 1.0)
    shares = person_metrics._shares(pairs, probabilities, truth)
    measure = {person_metrics._won: mean_auc, person_metrics._recognized: balanced_accuracy}[pairs]
    assert shares.mean(axis=1) == pytest.approx([measure(one[None], truth) for one in probabilities])
    within = person_metrics._interval(pairs, probabilities, truth)
    assert person_metrics.bootstrap_subjects(shares) == pytest.approx(within, abs=0.02)


@pytest.mark.parametrize("counts", [(20, 20), (14, 13, 13)])
def test_differences_are_paired_and_their_seeds_too(counts):
    truth, count = people(*counts), len(counts)
    worse, better = (read(truth, strength, classes=count) for strength in (0.5, 1.5))
    same = classification_differences(better, better, truth)
    assert (same["auc"]["low"], same["auc"]["high"]) == pytest.approx((0, 0))
    paired = classification_differences(better, worse, truth)
    stranger = classification_differences(better, read(truth, 0.5, classes=count, start=9), truth)
    for name, measure in (("auc", mean_auc), ("balanced_accuracy", balanced_accuracy)):
        found = paired[name]
        assert found["value"] == pytest.approx(measure(better, truth) - measure(worse, truth))
        assert 0 < found["low"] < found["value"] < found["high"]
        assert found["high"] - found["low"] < stranger[name]["high"] - stranger[name]["low"]
    alone = classification_differences(better, worse[:1], truth)["auc"]  # a baseline without seeds
    assert alone["low"] < mean_auc(better, truth) - mean_auc(worse[:1], truth) < alone["high"]


def test_few_people_have_a_number_without_an_interval():
    truth = people(4, 12)
    metrics = classification_metrics(read(truth, 2.0), truth, TWO)
    assert "low" not in metrics["auc"]
    assert metrics["auc"]["null_low"] < 0.5 < metrics["auc"]["null_high"]
    assert "low" not in metrics["recall/control"]
    assert "low" in metrics["recall/atrophy"]
    assert "low" not in regression_metrics(np.eye(4)[:1], np.arange(4.0))["mae"]


@pytest.mark.parametrize(
    ("probabilities", "truth", "message"),
    [
        (np.zeros((3, 8)), people(4, 4), r"must be \(seeds, people, classes\).*got \(3, 8\) and \(8,\)"),
        (np.zeros((3, 8, 2)), people(4, 5), r"got \(3, 8, 2\) and \(9,\)"),
        (np.zeros((3, 8, 1)), np.zeros(8, int), r"got \(3, 8, 1\)"),
        (np.full((3, 8, 2), np.nan), people(4, 4), "hold NaN"),
        (np.zeros((3, 8, 2)), people(2, 3, 3), "0 to 1, got 0 to 2"),
        (np.zeros((3, 8, 2)), people(4, 4) / 2, "truth must hold places of classes"),
        (np.zeros((3, 8, 2)), np.zeros(8, int), "no judged person is of class 1"),
    ],
)
def test_what_is_no_classification_is_refused_in_one_line(probabilities, truth, message):
    with pytest.raises(ValueError, match=message) as error:
        classification_metrics(probabilities, truth, TWO)
    assert "\n" not in str(error.value)


def test_every_class_needs_a_name():
    with pytest.raises(ValueError, match="names must name the 2 classes"):
        classification_metrics(read(people(5, 5)), people(5, 5), THREE)


def ages(seeds=3, noise=5.0):
    generator = np.random.default_rng(0)
    true = generator.uniform(20, 80, size=40)
    return true + noise * generator.normal(size=(seeds, 40)), true


def test_errors_of_numbers_by_hand():
    metrics = regression_metrics(np.array([[30.0, 40, 60]]), np.array([20.0, 40, 60]), medians=50.0, unit="years")
    assert metrics["mae"]["value"] == pytest.approx(10 / 3)
    assert metrics["mae"]["baseline"] == pytest.approx(50 / 3)
    assert metrics["mae"]["unit"] == "years"
    assert metrics["r2"]["value"] == pytest.approx(1 - 100 / 800)


def test_errors_of_numbers_are_those_of_scikit_learn_and_numpy():
    predicted, true = ages()
    metrics = regression_metrics(predicted, true)
    assert metrics["mae"]["value"] == pytest.approx(np.mean([mean_absolute_error(true, one) for one in predicted]))
    assert metrics["r2"]["value"] == pytest.approx(np.mean([r2_score(true, one) for one in predicted]))
    assert metrics["correlation"]["value"] == pytest.approx(
        np.mean([np.corrcoef(true, one)[0, 1] for one in predicted])
    )
    for found in metrics.values():
        assert found["low"] < found["value"] < found["high"]
    assert metrics["mae"]["high"] < metrics["mae"]["null_low"]
    assert metrics["correlation"]["null_low"] < 0 < metrics["correlation"]["null_high"] < metrics["correlation"]["low"]
    assert metrics["correlation"]["high"] <= 1


def test_the_median_of_each_fold_may_differ():
    predicted, true = ages()
    medians = np.repeat([40.0, 60.0], 20)
    assert regression_metrics(predicted, true, medians=medians)["mae"]["baseline"] == pytest.approx(
        np.abs(medians - true).mean()
    )


def test_constant_predictions_have_no_correlation():
    true = ages()[1]
    metrics = regression_metrics(np.full((1, 40), true.mean()), true, medians=true.mean())
    assert "correlation" not in metrics
    assert metrics["r2"]["value"] == pytest.approx(0)
    assert metrics["mae"]["value"] == pytest.approx(metrics["mae"]["baseline"]) == pytest.approx(metrics["mae"]["null"])
    assert "correlation" not in regression_differences(ages()[0], np.full((1, 40), 50.0), true)


def test_differences_of_errors_are_paired():
    predicted, true = ages()
    worse = true + 1.5 * (predicted - true)
    found = regression_differences(predicted, worse, true, unit="years")
    assert found["mae"]["value"] == pytest.approx(-0.5 * np.abs(predicted - true).mean())
    assert found["mae"]["high"] < 0 == found["mae"]["null"]
    assert found["r2"]["low"] > 0
    assert found["correlation"]["low"] > 0
    assert found["mae"]["unit"] == "years"
    same = regression_differences(predicted, predicted, true)
    assert all(each["low"] == each["high"] == 0 for each in same.values())
    alone = regression_differences(predicted, worse[:1], true)["mae"]["value"]
    assert alone == pytest.approx(np.abs(predicted - true).mean() - np.abs(worse[0] - true).mean())


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        (np.zeros(4), np.arange(4.0), r"must be \(seeds, people\).*got \(4,\) and \(4,\)"),
        (np.zeros((2, 4)), np.arange(5.0), r"got \(2, 4\) and \(5,\)"),
        (np.full((2, 4), np.nan), np.arange(4.0), "hold NaN"),
        (np.zeros((2, 4)), np.full(4, 3.0), "the number is 3 for all 4 people"),
    ],
)
def test_what_is_no_regression_is_refused_in_one_line(predicted, true, message):
    with pytest.raises(ValueError, match=message) as error:
        regression_metrics(predicted, true)
    assert "\n" not in str(error.value)
