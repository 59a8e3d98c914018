"""Registration finds known motions of a simulated head, without a network."""

import pytest
import torch

from toposlearn.data import PosedSubjects, apply_pose, pose_subjects
from toposlearn.registration import inverse_map, pair, people, register, register_people

SPACING = 6.0


@pytest.fixture(scope="module")
def upright(subjects, smoke) -> PosedSubjects:
    return pose_subjects(subjects, smoke, posed=False)


def a_map(degrees: tuple[float, float, float], shift: tuple[float, float, float], scale: float = 1.0) -> torch.Tensor:
    """A map (3, 4) that turns about D, H and W in turn, scales and moves."""
    generators = torch.zeros(3, 3, 3)
    for axis, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        generators[axis, i, j], generators[axis, j, i] = -1, 1
    turns = torch.linalg.matrix_exp(torch.deg2rad(torch.tensor(degrees))[:, None, None] * generators)
    return torch.cat([scale * turns[2] @ turns[1] @ turns[0], torch.tensor(shift)[:, None]], dim=1)


def distance(first: torch.Tensor, second: torch.Tensor, head: torch.Tensor) -> float:
    """Mean distance (mm) between where two maps (3, 4) lead the voxels of a head."""
    places = pair._places(head, SPACING).float()
    miss = places @ (first - second)[:, :3].T + (first - second)[:, 3]
    return float(miss.norm(dim=1).mean())


CASES = [
    ("rigid", "T1w", (20, -20, 20), (29, -20, 10), 1.0),
    ("rigid", "T2w", (-20, 20, 15), (-29, 10, 20), 1.0),
    ("affine", "T1w", (-20, 20, -20), (10, -29, 0), 1.15),
    ("affine", "T2w", (20, 10, -20), (0, 20, -20), 0.87),
]


@pytest.mark.parametrize(("kind", "modality", "degrees", "shift", "scale"), CASES)
def test_a_known_motion_is_found(upright, kind, modality, degrees, shift, scale):
    truth = a_map(degrees, shift, scale)
    fixed = apply_pose(upright.volumes[:1, :1], truth[None], SPACING)[0, 0]
    head = apply_pose(upright.foreground[:1].float(), truth[None], SPACING, nearest=True)[0, 0] > 0.5
    moving = upright.volumes[0, upright.modalities.index(modality)]
    heads = head, upright.foreground[0, 0]
    found = register(fixed, moving, heads, SPACING, kind)
    assert distance(found, truth, head) < 2
    if kind == "rigid":
        assert torch.equal(found, register(fixed, moving, heads, SPACING, kind))
        torch.testing.assert_close(found[:, :3] @ found[:, :3].T, torch.eye(3), atol=1e-5, rtol=0)


def table(upright, columns=0, **options):
    volumes = upright.volumes[:3]
    heads = upright.foreground[:3, 0]
    return register_people(volumes[:, 0], volumes[:, columns], heads, SPACING, "rigid", **options)


def test_everyone_is_registered_once_and_kept(upright, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(people, "register", lambda *given: asked.append(given) or a_map((10, 0, 5), (3, 2, 1)))
    result = table(upright, cache=tmp_path / "new")
    assert len(asked) == 3
    assert not result.failed.any()
    torch.testing.assert_close(result.maps[2, 1], inverse_map(result.maps[1, 2]))
    assert torch.equal(result.maps[1, 1], torch.eye(3, 4))
    assert torch.equal(table(upright, cache=tmp_path / "new").maps, result.maps)
    assert len(asked) == 3  # read from disk
    table(upright, columns=1, cache=tmp_path / "new")
    assert len(asked) == 3 + 9  # other images, and both directions


def test_a_failure_is_counted_and_leaves_the_centers_equal(upright, tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("all samples map outside")

    monkeypatch.setattr(people, "register", fail)
    for _ in ("made", "read from disk"):
        result = table(upright, cache=tmp_path)
        assert int(result.failed.sum()) == 6
        assert "rigid registration failed in 6 of 9 pairs" in capsys.readouterr().err
    first, second = (pair._places(upright.foreground[s, 0], SPACING).mean(0).float() for s in (0, 1))
    torch.testing.assert_close(result.maps[0, 1] @ torch.tensor([*first, 1.0]), second, atol=1e-3, rtol=0)
