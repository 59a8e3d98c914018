from dataclasses import replace
from functools import partial

import pytest
import torch

from toposlearn.course.toys.short_run import coarse_mask, coarse_tokens, draw_batches, measure_tokens, short_run
from toposlearn.data import pose_subjects
from toposlearn.topology import tokens_from_map

STRIDE = 4


@pytest.fixture(scope="module")
def config(smoke):
    return smoke.replace(
        model={"token_strides": (STRIDE,), "reconstruct_stride": STRIDE},
        loss={"weight_reconstruction": 0.0, "weight_inter": 0.0},
        train={"steps": 3},
    )


@pytest.fixture(scope="module")
def batches(config, cohort, subjects):
    return draw_batches(config, cohort, 3)


def size_of(network):
    return {"weight": float(sum(weight.detach().abs().sum() for weight in network.parameters()))}


def test_a_batch_is_drawn_from_seed_and_step_alone(config, cohort, subjects, batches):
    again = draw_batches(config, cohort, 3)
    assert len(batches) == 3
    for one, other in zip(batches, again, strict=True):
        assert torch.equal(one.volumes, other.volumes)
        assert one.to_template is None
    assert not torch.equal(batches[0].volumes, batches[1].volumes)


def test_the_truth_is_kept_only_where_it_is_asked_for(config, cohort, subjects, batches):
    known = draw_batches(config, cohort, 3, truth=True)
    assert torch.equal(known[0].volumes, batches[0].volumes)
    assert known[0].token_places((STRIDE,))[STRIDE].shape == (2, 512, 3)


def test_runs_begin_alike_learn_and_can_be_repeated(config, batches):
    first, again = (short_run(config, batches, size_of, every=2) for _ in range(2))
    other = short_run(config.replace(loss={"scrambled": True}), batches, size_of, every=2)
    assert first.steps == [0, 2]
    assert len(first.loss) == 3
    assert first.loss == again.loss
    assert first.measures["weight"][0] == other.measures["weight"][0]
    assert first.measures["weight"][1] != first.measures["weight"][0]
    assert first.loss[0] != other.loss[0]


def test_a_loss_on_27_tokens_trains_the_network_of_512(config, batches):
    run = short_run(config, batches[:1], size_of, side=3, every=1)
    assert run.measures["weight"][0] != run.measures["weight"][1]


def test_coarse_tokens_are_averages_of_places():
    features = torch.arange(6.0).view(1, 1, 6, 1, 1).expand(2, 3, 6, 6, 6)
    coarse = coarse_tokens(tokens_from_map(features), 3)
    assert coarse.shape == (2, 27, 3)
    torch.testing.assert_close(coarse[0, ::9, 0], torch.tensor([0.5, 2.5, 4.5]))


def test_a_coarse_token_counts_from_a_quarter_on():
    foreground = torch.zeros(1, 64, dtype=torch.bool)
    cell = torch.arange(64).view(4, 4, 4)[:2, :2, :2].flatten()
    foreground[0, cell[:1]] = True
    assert not coarse_mask(foreground, 2)[0, 0]
    foreground[0, cell[:2]] = True
    assert coarse_mask(foreground, 2)[0].tolist() == [True, *[False] * 7]


def test_refuses_a_grid_that_is_no_cube_or_too_fine():
    with pytest.raises(ValueError, match="cubic grid"):
        coarse_tokens(torch.rand(1, 60, 4), 2)
    with pytest.raises(ValueError, match="side = 5"):
        coarse_tokens(torch.rand(1, 64, 4), 5)


def test_the_judge_knows_its_measures_and_what_it_does_not_know(config, subjects):
    posed = pose_subjects(subjects, config)
    run = short_run(config, [], partial(measure_tokens, subjects=posed, stride=STRIDE))
    values = {name: value for name, (value,) in run.measures.items()}
    assert set(values) == {"same person", "two people", "neighbors apart", "real neighbors"}
    assert values["neighbors apart"] > 24
    assert 0 < values["real neighbors"] < 1
    blind = measure_tokens(run.network, replace(posed, to_template=None), stride=STRIDE)
    assert "two people" not in blind
    assert blind["neighbors apart"] == pytest.approx(values["neighbors apart"])
