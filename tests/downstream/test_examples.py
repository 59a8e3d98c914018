"""What a network sees of people: only images at one place, draws that follow from the step, changes of every axis."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from toposlearn.config import TacoConfig
from toposlearn.data import Cache
from toposlearn.data.prepared import Prepared
from toposlearn.data.tensors import INTER, INTRA
from toposlearn.downstream.examples import Examples, changed, first_of, inputs_of, withhold
from toposlearn.downstream.settings import FinetuneConfig, TaskConfig, finetune_config
from toposlearn.downstream.targets import Target

BALLS = Target("segmentation", "seg", (0, 1, 2), ("background", "ball", "second"), {"ball": (1,)})
STILL = {"rotation": 0.0, "scale": 0.0, "shift": 0.0, "intensity": 0.0, "noise": 0.0, "modality_dropout": 0.0}


def config_of(tiny: TacoConfig, **changes) -> FinetuneConfig:
    return finetune_config(tiny, TaskConfig(), **changes)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_whole_person_has_classes_in_the_place_of_labels(prepared_heads, tiny):
    example = Examples(prepared_heads, BALLS, config_of(tiny)).whole(2)
    labels = prepared_heads[2].labels
    assert set(labels.unique().tolist()) == {0, 1, 2}
    assert torch.equal(example["truth"][0], labels.long())
    assert torch.equal(example["volumes"], prepared_heads[2].volumes)
    assert example["present"].tolist() == [True, True]
    some = replace(BALLS, values=(0, 2), names=("background", "second"))
    unknown = Examples(prepared_heads, some, config_of(tiny)).whole(2)["truth"][0]
    assert torch.equal(unknown, (labels == 2).long())  # labels that no one trained on has are background


def test_an_image_that_is_not_registered_with_the_first_one_is_not_used():
    pairs = torch.tensor([[0, 0, 0, 0], [0, INTRA, INTER, INTRA], [0, INTER, INTRA, 0], [0, INTRA, 0, INTRA]])
    volumes = torch.rand(4, 4, 4, 4)
    person = Prepared("P1", volumes, torch.ones(4, 4, 4, dtype=torch.bool), pairs=pairs.to(torch.uint8))
    example = inputs_of(person)
    assert first_of(person) == 1
    assert example["present"].tolist() == [False, True, False, True]
    assert torch.equal(example["volumes"][1], volumes[1])
    assert not example["volumes"][[0, 2]].any()


def test_a_batch_follows_from_seed_and_step_alone(prepared_heads, tiny):
    config = config_of(tiny, people_per_step=2)
    examples = Examples(prepared_heads, BALLS, config)
    batch = examples[5]
    assert batch["volumes"].shape == (2, 2, 16, 16, 16)
    assert batch["truth"].shape == batch["foreground"].shape == (2, 1, 16, 16, 16)
    np.random.default_rng(1).random()
    torch.manual_seed(9)
    assert same(batch, Examples(prepared_heads, BALLS, config)[5])
    assert not same(batch, examples[6])
    assert not same(batch, Examples(prepared_heads, BALLS, config.replace(seed=1))[5])
    assert all(type(part) is Tensor for part in batch.values())  # without MONAI's meta data


def test_batches_prepared_by_worker_processes_are_the_same(prepared_heads, tiny):
    here, there = (
        list(Examples(prepared_heads, BALLS, config_of(tiny, workers=workers)).batches(range(3, 6)))
        for workers in (0, 1)
    )
    assert len(here) == len(there) == 3
    assert all(same(one, other) for one, other in zip(here, there, strict=True))


def test_everyone_comes_once_before_anyone_comes_again(prepared_heads, tiny):
    examples = Examples(prepared_heads, BALLS, config_of(tiny))
    rounds = [[examples._turn(count) for count in range(first, first + 8)] for first in (0, 8, 16)]
    assert all(sorted(each) == list(range(8)) for each in rounds)
    assert len({tuple(each) for each in rounds}) == 3


def test_without_changes_a_person_stays_the_same(prepared_heads, tiny):
    config = config_of(tiny, **STILL)
    example = Examples(prepared_heads, BALLS, config).whole(0)
    result = changed(example, config, np.random.default_rng(0))
    torch.testing.assert_close(result["volumes"], example["volumes"] * example["foreground"], atol=1e-4, rtol=0)
    assert torch.equal(result["truth"].long(), example["truth"])
    assert torch.equal(result["present"], example["present"])


@pytest.mark.parametrize("name", ["shift", "rotation", "scale"])
def test_a_head_moves_about_and_along_every_axis(name, tiny):
    config = config_of(tiny, **{**STILL, name: {"shift": 27.0, "rotation": 40.0, "scale": 0.4}[name]})
    grid = torch.stack(torch.meshgrid(*[torch.arange(16.0) - 7.5] * 3, indexing="ij"))
    inside = (grid / torch.tensor([5.5, 4.0, 2.5])[:, None, None, None]).square().sum(dim=0, keepdim=True) < 1
    example = {
        "volumes": inside.float(),
        "present": torch.ones(1, dtype=torch.bool),
        "foreground": inside,
        "truth": inside.long(),
    }

    def moments(head: Tensor) -> np.ndarray:
        places = grid[:, head[0]]
        facts = {"shift": places.mean(dim=1), "scale": places.std(dim=1), "rotation": torch.cov(places)[*ROWS]}
        return facts[name].numpy()

    before = moments(inside)
    after = np.array([moments(changed(example, config, np.random.default_rng(s))["foreground"]) for s in range(12)])
    assert (np.abs(after - before).max(axis=0) > {"shift": 1.5, "scale": 0.15, "rotation": 0.5}[name]).all()


ROWS = ([0, 0, 1], [1, 2, 2])  # the covariances of two different axes


def test_truth_and_foreground_move_with_the_images(prepared_heads, tiny):
    config = config_of(tiny, **{**STILL, "shift": 20.0, "rotation": 30.0})
    example = Examples(prepared_heads, BALLS, config).whole(3)
    ball = example["truth"][0] == 1
    bright = (example["volumes"][0] * ball).sum() / ball.sum()
    moved = changed(example, config, np.random.default_rng(1))
    assert set(moved["truth"].unique().tolist()) <= {0.0, 1.0, 2.0}
    there = moved["truth"][0] == 1
    assert not torch.equal(there, ball)
    assert (moved["volumes"][0] * there).sum() / there.sum() > 0.85 * bright
    assert not (moved["truth"][0] > 0)[~moved["foreground"][0]].any()


def test_each_modality_changes_its_brightness_by_itself_and_air_stays_zero(prepared_heads, tiny):
    config = config_of(tiny, **{**STILL, "intensity": 0.3, "noise": 0.05})
    example = Examples(prepared_heads, BALLS, config).whole(1)
    twice = {**example, "volumes": example["volumes"][[0, 0]]}
    result = changed(twice, config, np.random.default_rng(2))["volumes"]
    head = example["foreground"][0]
    means = [float(volume[head].mean()) for volume in result]
    assert abs(means[0] - means[1]) > 0.02
    assert not result[:, ~head].any()
    assert float(result.min()) >= 0
    assert float(result.max()) <= 1


def test_a_patch_lies_in_the_grid_and_mostly_around_labels(tiny):
    config = config_of(tiny, **STILL, spacing=4.5)
    head = torch.zeros(1, 32, 32, 32, dtype=torch.bool)
    head[:, 1:31, 1:31, 1:31] = True
    truth = torch.zeros(1, 32, 32, 32, dtype=torch.long)
    truth[:, 1:3, 28:31, 15] = 2  # in a corner
    place = torch.arange(32.0**3).view(1, 32, 32, 32) / 32**3
    example = {"volumes": place, "present": torch.tensor([True]), "foreground": head, "truth": truth}
    found = 0
    for seed in range(40):
        patch = changed(example, config, np.random.default_rng(seed))
        assert patch["volumes"].shape == patch["truth"].shape == (1, 16, 16, 16)
        found += bool(patch["truth"].any())
    assert 24 <= found < 40
    empty = changed({**example, "truth": torch.zeros_like(truth)}, config, np.random.default_rng(0))  # no lesion
    assert empty["foreground"].any()


def test_one_image_stays_and_no_image_appears():
    generator = np.random.default_rng(0)
    present = torch.tensor([True, False, True, True])
    drawn = torch.stack([withhold(present, 0.6, generator) for _ in range(300)])
    assert drawn.any(dim=1).all()
    assert not drawn[:, 1].any()
    kept = drawn[:, [0, 2, 3]].float().mean(dim=0)
    assert ((kept > 0.4) & (kept < 0.58)).all()  # 0.4, and a third of 0.6³ more
    assert torch.equal(withhold(present, 0.0, generator), present)
    assert withhold(torch.tensor([True]), 0.99, generator).all()


def test_a_class_and_a_number_are_the_truth_of_a_person(prepared_heads: Cache, tiny):
    task = TaskConfig("classification", target="Sex")
    sexes = Examples(
        prepared_heads, Target("classification", "Sex", ("F", "M"), ("F", "M")), finetune_config(tiny, task)
    )
    assert [float(sexes.whole(index)["truth"]) for index in range(3)] == [1.0, 0.0, 1.0]
    ages = Target("regression", "age", names=("age",), center=27.0, spread=14.0)
    numbers = Examples(prepared_heads, ages, finetune_config(tiny, TaskConfig("regression", target="age")))
    assert [float(numbers.whole(index)["truth"]) for index in range(3)] == [0.0, 0.5, 1.0]
    assert numbers[0]["truth"].shape == (2,)
