import math

import pytest
import torch

from toposlearn.data import pose_subjects
from toposlearn.explore.match_errors import known_motion
from toposlearn.explore.moved_head import errors_in_poses
from toposlearn.models import Readout, Taco
from toposlearn.reproducibility import set_seed

SHIFT = 30.0  # mm


@pytest.fixture(scope="module")
def found(subjects, smoke):
    """One head, shifted by no more than it may, and turned, as one untrained network and its rivals find it."""
    set_seed(0)
    networks = {"one": (Taco(smoke.model).eval(), Readout())}
    person = pose_subjects(subjects, smoke, posed=False).take([0])
    poses = torch.cat([known_motion(SHIFT), known_motion(SHIFT, degrees=10)])
    pair = person.modalities[:2]
    return errors_in_poses(networks, person, poses, pair=pair, stride=4, registration=True)


def test_position_has_an_error_of_the_shift(subjects, smoke):
    person = pose_subjects(subjects, smoke, posed=False).take([1])
    pair = person.modalities[:2]
    metrics = errors_in_poses({}, person, known_motion(SHIFT).repeat(2, 1, 1), pair=pair, stride=4)
    assert metrics["position/expected place"]["value"] == pytest.approx(SHIFT, abs=1e-3)
    assert metrics["floor/best token"]["value"] <= math.sqrt(3) * 12


def test_registration_finds_the_head_and_no_token_is_better_than_the_floor(found):
    assert found["affine/expected place"]["value"] < 3
    floor = found["floor/best token"]["value"]
    assert all(floor <= each["value"] + 1e-3 for name, each in found.items() if name.endswith("best token"))
    assert found["one/best token"]["n"] == 2
    assert found["one/best token"]["null"] == found["random/best token"]["value"]
