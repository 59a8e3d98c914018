"""The readout has the lowest error on people trained on, between people or within one."""

import dataclasses

import pytest
import torch

from toposlearn.data import PointSource, draw_poses, pose_subjects
from toposlearn.data.pairs import step_generator
from toposlearn.data.pose import relative_pose
from toposlearn.intervals import across_subjects
from toposlearn.models import Readout, Taco, load_readout, save_weights
from toposlearn.pretrain import encode
from toposlearn.pretrain.point_errors import CONTINUOUS, FITTED, DenseTruth, Level, map_guess, network_errors
from toposlearn.pretrain.readout import STREAM, _posed_twice, readout_chooser
from toposlearn.topology.readout import REACHES, TEMPERATURES

STRIDE = 4


@pytest.fixture(scope="module")
def model(smoke) -> Taco:
    torch.manual_seed(0)
    return Taco(smoke.model)


def test_the_error_between_people_is_lowest(subjects, smoke, model):
    chosen = readout_chooser(subjects, smoke, PointSource())(model)
    people = pose_subjects(subjects, smoke)
    level, truth = Level.of(people, STRIDE), DenseTruth(people, STRIDE)
    first, second = (encode(model, people, name)[STRIDE] for name in ("T1w", "T2w"))

    def error(reading, readout):
        found = [network_errors(first, other, level, truth, readout)[reading] for other in (first, second)]
        return sum(map(across_subjects, found))

    assert chosen.temperature == min(TEMPERATURES, key=lambda each: error(CONTINUOUS, Readout(each)))
    assert chosen.reach == min(REACHES, key=lambda each: error(FITTED, dataclasses.replace(chosen, reach=each)))
    assert chosen.chosen == "lowest error between different people, 6 of the people trained on"


def test_a_person_in_two_poses_is_compared_by_the_motion_between_them(subjects, smoke):
    twice = _posed_twice(subjects[2], smoke, 2)
    poses = draw_poses(2, smoke.augment, step_generator(smoke.train.seed, 2, STREAM))
    maps = torch.stack([relative_pose(one[None].expand_as(poses), poses) for one in poses])
    truth = DenseTruth(twice, STRIDE)
    assert across_subjects(truth.errors(map_guess(maps))) < 0.5  # mm
    assert across_subjects(truth.floor(Level.of(twice, STRIDE))) > 3
    assert twice.modalities == ("T1w", "T2w")


def test_of_images_at_different_places_one_is_read(subjects, smoke):
    person = subjects[0]
    person.volumes[0] = 0
    alone = dataclasses.replace(person, pairs=torch.zeros_like(person.pairs))
    twice = _posed_twice(alone, smoke, 0)
    assert (twice.modalities, twice.volumes.shape[:2]) == (("T2w",), (2, 1))


def test_weights_keep_the_readout_and_old_ones_have_a_default(smoke, model, tmp_path):
    readout = Readout(0.08, "as here", 36.0)
    assert load_readout(save_weights(tmp_path / "a.safetensors", model, smoke, readout=readout)) == readout
    old = load_readout(save_weights(tmp_path / "b.safetensors", model, smoke))
    assert (old.temperature, old) == (0.04, Readout())
    assert "default" in str(old)
