"""Training batches: what step s draws never depends on other steps; a pair shares its pose, not its intensity."""

import dataclasses

import pytest
import torch

from toposlearn.config import TacoConfig
from toposlearn.data import Cache, Manifest, PairDataset, apply_pose, augment, prepare, read_manifest
from toposlearn.data.pairs import step_generator
from toposlearn.data.pose import compose

QUIET = {"gamma": 0.0, "noise": 0.0}


@pytest.fixture(scope="module")
def alike(smoke) -> TacoConfig:
    return smoke.replace(augment={"shared_pose": True})


@pytest.fixture(scope="module")
def dataset(subjects, alike) -> PairDataset:
    return PairDataset(subjects, alike)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_step_is_the_same_whatever_came_before(subjects, alike, dataset):
    forwards = [dataset[step] for step in range(4)]
    torch.manual_seed(99)
    torch.rand(17)
    backwards = {step: PairDataset(subjects, alike)[step] for step in (3, 1, 2, 0)}
    assert all(same(forwards[step], backwards[step]) for step in range(4))
    assert not same(forwards[0], forwards[1])


def test_seeds_and_processes_draw_other_batches(subjects, alike, dataset):
    other_seed = PairDataset(subjects, alike.replace(train={"seed": 1}))
    other_process = PairDataset(subjects, alike, process=1)
    for other in (other_seed, other_process):
        steps = range(10)
        assert any(not torch.equal(other[step]["subjects"], dataset[step]["subjects"]) for step in steps)
        assert all(not torch.equal(other[step]["poses"], dataset[step]["poses"]) for step in steps)


def test_generators_of_neighboring_steps_seeds_and_processes_are_apart():
    draws = {
        torch.rand((), generator=step_generator(seed, step, process)).item()
        for seed in range(4)
        for step in range(50)
        for process in range(4)
    }
    assert len(draws) > 795  # float32: a few may coincide


def test_a_batch_holds_different_people_in_two_different_modalities(subjects, dataset):
    for step in range(10):
        batch = dataset[step]
        assert batch["volumes"].shape == (2, 2, 32, 32, 32)
        assert batch["foreground"].shape == (2, 2, 32, 32, 32)
        assert len(batch["subjects"].unique()) == 2
        assert (batch["modalities"][:, 0] != batch["modalities"][:, 1]).all()
        for row, (subject, pair) in enumerate(zip(batch["subjects"], batch["modalities"], strict=True)):
            torch.testing.assert_close(batch["volumes"][row], subjects[int(subject)].volumes[pair])


def test_everyone_and_every_pair_of_modalities_is_drawn(dataset):
    batches = [dataset[step] for step in range(80)]
    assert len({int(one) for batch in batches for one in batch["subjects"]}) == 6
    assert len({tuple(pair) for batch in batches for pair in batch["modalities"].tolist()}) == 12


def test_a_pair_shares_its_pose(dataset, alike):
    """The same picture in both modalities, without intensity changes, is the same picture afterwards."""
    batch = dict(dataset[0])
    batch["volumes"] = batch["volumes"][:, :1].repeat(1, 2, 1, 1, 1)
    pair = augment(batch, alike.replace(augment=QUIET))
    first, second = pair.volumes.chunk(2)
    torch.testing.assert_close(first, second)
    assert torch.equal(*pair.foreground.chunk(2))
    torch.testing.assert_close(pair.a_to_b, torch.eye(3, 4).expand(2, 3, 4), atol=1e-5, rtol=0)
    moved = apply_pose(batch["volumes"][:, :1], batch["poses"][:, 0], alike.volume.spacing)
    torch.testing.assert_close(first, moved * pair.foreground[:2], atol=1e-4, rtol=0)


def test_people_are_posed_independently(dataset):
    poses = torch.cat([dataset[step]["poses"][:, 0] for step in range(20)]).flatten(1)
    assert len(poses.unique(dim=0)) == 40
    first, second = poses[::2], poses[1::2]
    centered = (first - first.mean(0)) * (second - second.mean(0)) / (first.std(0) * second.std(0))
    assert centered.mean(0).abs().max() < 0.8  # correlation of 20 draws


def test_a_pair_does_not_share_its_intensity(dataset, alike):
    batch = dict(dataset[0])
    batch["volumes"] = batch["volumes"][:, :1].repeat(1, 2, 1, 1, 1)
    pair = augment(batch, alike.replace(augment={"noise": 0.0}), torch.Generator().manual_seed(0))
    first, second = pair.volumes.chunk(2)
    inside = pair.foreground[:2] & (first > 0.1) & (first < 0.9)
    gamma = torch.stack([(part.clamp(min=1e-6)).log()[inside] for part in (first, second)])
    assert (gamma[0] - gamma[1]).abs().max() > 0.01
    noisy = augment(batch, alike.replace(augment={"gamma": 0.0}), torch.Generator().manual_seed(0))
    noise_a, noise_b = (part[inside] for part in noisy.volumes.chunk(2))
    assert (noise_a - noise_b).std().item() == pytest.approx(0.05 * 2**0.5, rel=0.1)


def test_with_a_pose_each_the_relative_pose_leads_from_one_to_the_other(subjects, smoke):
    own = smoke.replace(augment={"shared_pose": False, **QUIET})
    batch = dict(PairDataset(subjects, own)[0])
    batch["volumes"] = batch["volumes"][:, :1].repeat(1, 2, 1, 1, 1)
    pair = augment(batch, own)
    first, second = pair.volumes.chunk(2)
    assert (first - second).abs().mean() > 0.01
    back = apply_pose(second, pair.a_to_b, own.volume.spacing)  # b read at a's places
    inside = apply_pose(torch.ones_like(second), pair.a_to_b, own.volume.spacing) > 0.99
    overlap = pair.foreground[:2] & inside
    away, near = ((one - first).abs()[overlap].mean() for one in (second, back))
    assert near < 0.4 * away  # up to interpolating twice


def test_air_stays_air(dataset, alike):
    pair = augment(dataset[0], alike)
    assert pair.volumes[~pair.foreground].abs().max() == 0
    assert (pair.volumes[pair.foreground] != 0).float().mean() > 0.99


def test_augmentation_repeats_with_its_generator(dataset, alike):
    draws = [augment(dataset[0], alike, torch.Generator().manual_seed(seed)).volumes for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_too_few_people_are_refused(subjects, smoke):
    one = Cache(Manifest(subjects.manifest.root, subjects.manifest.records[:1]), subjects.folder)
    with pytest.raises(ValueError, match=r"1 people to train on, but train.subjects_per_step is 2"):
        PairDataset(one, smoke)


def test_of_one_modality_both_views_show_the_same_scan_in_two_poses(cohort, smoke, tmp_path):
    config = smoke.replace(volume={"modalities": ("T1w",)})
    people = prepare(read_manifest(cohort), config.volume, folder=tmp_path, progress=False)
    batch = PairDataset(people, config)[0]
    assert batch["modalities"].tolist() == [[0, 0], [0, 0]]
    assert torch.equal(batch["volumes"][:, 0], batch["volumes"][:, 1])
    assert not torch.equal(batch["poses"][:, 0], batch["poses"][:, 1])


def test_its_length_is_the_number_of_steps(dataset, smoke: TacoConfig):
    assert len(dataset) == smoke.train.steps


def test_the_truth_goes_to_the_oracle_only_and_is_posed_like_modality_a(subjects, smoke, dataset):
    assert "to_template" not in dataset[0]
    config = smoke.replace(loss={"matcher": "oracle"}, augment=QUIET)
    batch = PairDataset(subjects, config)[0]
    pair = augment(batch, config)
    moved = apply_pose(batch["to_template"], batch["poses"][:, 0], config.volume.spacing, border=True)
    torch.testing.assert_close(pair.to_template, moved)
    places = pair.token_places((4, 8))
    side = config.volume.shape[0]
    assert {stride: tuple(each.shape) for stride, each in places.items()} == {
        stride: (len(moved), (side // stride) ** 3, 3) for stride in (4, 8)
    }
    torch.testing.assert_close(places[8][0, 0], moved[0, :, :8, :8, :8].mean((1, 2, 3)))
    assert augment(dataset[0], smoke).token_places((4, 8)) == {}


def test_the_oracle_refuses_people_without_truth(subjects, smoke):
    blind = [dataclasses.replace(subjects[index], to_template=None) for index in range(len(subjects))]
    with pytest.raises(ValueError, match="'oracle' needs people whose map to the template is known"):
        PairDataset(blind, smoke.replace(loss={"matcher": "oracle"}))


def test_misregistration_moves_every_modality_but_the_first_and_nothing_else_changes(subjects, smoke):
    config = smoke.replace(augment={"shared_pose": False, **QUIET})
    moved = config.replace(augment={"misregister_shift": 20.0, "misregister_rotation": 15.0})
    seen = set()
    for step in range(4):
        before, after = PairDataset(subjects, config)[step], PairDataset(subjects, moved)[step]
        assert same({**before, "motions": after["motions"]}, after)
        one, two = augment(before, config), augment(after, moved)
        assert torch.equal(one.a_to_b, two.a_to_b)  # the map does not contain it
        expected = apply_pose(
            before["volumes"].transpose(0, 1).flatten(0, 1)[:, None],
            compose(after["poses"].transpose(0, 1).flatten(0, 1), after["motions"].transpose(0, 1).flatten(0, 1)),
            config.volume.spacing,
        )
        shown = two.foreground
        torch.testing.assert_close(two.volumes[shown], expected.clamp(min=1e-6)[shown])
        for place, modality in enumerate(before["modalities"].T.flatten().tolist()):
            assert torch.equal(one.volumes[place], two.volumes[place]) == (modality == 0)
            seen.add(modality == 0)
    assert seen == {True, False}


@pytest.mark.parametrize("alike", [False, True])
def test_misregistration_is_the_same_at_every_step(subjects, smoke, alike):
    dataset = PairDataset(subjects, smoke.replace(augment={"misregister_shift": 20.0, "misregister_alike": alike}))
    motions: dict[tuple[int, int], list[torch.Tensor]] = {}
    for step in range(20):
        batch = dataset[step]
        for subject, modalities, motion in zip(
            batch["subjects"].tolist(), batch["modalities"].tolist(), batch["motions"], strict=True
        ):
            for modality, one in zip(modalities, motion, strict=True):
                if modality:
                    motions.setdefault((0 if alike else subject, modality), []).append(one)
    assert len({modality for _, modality in motions}) == 3
    assert all(torch.equal(one, each[0]) for each in motions.values() for one in each)
    assert len({tuple(each[0].flatten().tolist()) for each in motions.values()}) == len(motions)
    assert all(each[0][:, 3].norm() == pytest.approx(20.0) for each in motions.values())
