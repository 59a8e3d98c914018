from dataclasses import replace

import numpy as np
import pytest
import torch

from toposlearn.data import pose_subjects
from toposlearn.explorer import answer, first_view, measures
from toposlearn.explorer.answers import wrong_sides
from toposlearn.explorer.scene import make_scene
from toposlearn.intervals import bootstrap_subjects
from toposlearn.models import Taco

PAIR = ("T1w", "T2w")


@pytest.fixture(scope="module")
def scene(subjects, smoke):
    torch.manual_seed(0)
    posed = pose_subjects(subjects, smoke)
    two = replace(posed, volumes=posed.volumes[:, :2], modalities=posed.modalities[:2])
    return make_scene({"full": Taco(smoke.model).eval()}, two)


@pytest.fixture(scope="module")
def tables(scene):
    names = ("full", measures.GRID, measures.CHANCE, measures.FLOOR)
    return {name: measures.match_table(scene, name, PAIR) for name in names}


def test_a_row_is_the_answer_for_its_token(scene, tables):
    view = replace(first_view(scene), modality_a=PAIR[0], modality_b=PAIR[1], subject_a=1, subject_b=3)
    rows = tables["full"].query("subject == 1 and other == 3")
    assert len(rows) == int(scene.mask[1].sum())
    row = rows.iloc[len(rows) // 2]
    reply = answer(scene, view, int(row["token"]))
    assert int(row["match"]) == reply.match.found
    assert row["error"] == pytest.approx(reply.match.errors["found"], rel=1e-4)


def test_every_foreground_token_meets_every_other_person(scene, tables):
    assert len(tables["full"]) == 5 * int(scene.mask.sum())
    assert not (tables["full"]["subject"] == tables["full"]["other"]).any()


def test_sides_in_closed_form():
    here = torch.tensor([[20.0, 0, 0], [20, 0, 0], [-20, 0, 0], [1, 0, 0], [20, 0, 0]])
    there = torch.tensor([[30.0, 0, 0], [-5, 0, 0], [9, 9, 9], [20, 0, 0], [-1, 0, 0]])
    wrong = wrong_sides(here, there, 3.0)
    assert np.array_equal(wrong.numpy(), [0, 1, 1, np.nan, np.nan], equal_nan=True)


def test_chance_is_wrong_half_of_the_time_and_the_best_token_never(tables):
    sides = measures.share_metrics(tables, "wrong_side", 6)
    assert sides[measures.CHANCE]["value"] == pytest.approx(0.5, abs=0.06)
    assert sides[measures.FLOOR]["value"] < 0.02
    full = sides["full"]
    shares = tables["full"].groupby(["subject", "other"])["wrong_side"].mean().unstack().to_numpy()  # NaN: oneself
    assert [full[name] for name in ("low", "high")] == pytest.approx(bootstrap_subjects(shares[None]))
    assert full["value"] == pytest.approx(np.nanmean(shares))
    assert full["null"] == sides[measures.CHANCE]["value"]
    assert full["baseline"] == sides[measures.GRID]["value"]


def test_best_token_is_in_the_same_structure_more_often_than_chance(tables):
    for column in ("same_structure", "same_tissue"):
        shares = measures.share_metrics(tables, column, 6)
        assert shares[measures.FLOOR]["low"] > shares[measures.CHANCE]["high"]


def test_structures_are_measured_where_every_head_has_them(tables):
    metrics = measures.structure_metrics(tables, 6)
    assert "cerebral white matter" in metrics
    for methods in metrics.values():
        assert methods[measures.FLOOR]["value"] < methods[measures.CHANCE]["value"]
    figure = measures.plot_structures(metrics, [measures.FLOOR, "full"])
    assert figure.axes[0].get_yticklabels()[0].get_text() in metrics


def test_worst_tokens_are_the_worst(tables):
    table = tables["full"]
    common = measures.worst_and_all(table)
    worst = table.nlargest(round(measures.WORST * len(table)), "error")
    assert common.loc["match on the wrong side"].iloc[0] == pytest.approx(worst["wrong_side"].mean(), abs=0.02)
    assert common.loc["token at the border of the head"].iloc[1] == pytest.approx(table["edge"].mean())


def test_without_truth_there_is_nothing_to_measure_and_nothing_fails(scene):
    bare = replace(scene, template=None, labels=None, lesion=None)
    tables = {name: measures.match_table(bare, name, PAIR) for name in ("full", measures.CHANCE)}
    assert measures.share_metrics(tables, "wrong_side", 6) == {}
    assert measures.structure_metrics(tables, 6) == {}
    assert measures.worst_and_all(tables["full"]) is None
    assert measures.plot_structures({}, ["full"]) is None


def test_identical_tokens_share_all_neighbors(scene):
    view = replace(first_view(scene), modality_b=first_view(scene).modality_a)
    assert measures.shared_neighbors(scene, view) == 1
