"""Other grids, broken, missing and misplaced images: which people are prepared of what, and what is reported."""

import json
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from image_maker import AFFINE, head, save
from nibabel.processing import resample_to_output
from scipy import ndimage

from toposlearn.config import VolumeConfig
from toposlearn.data import Manifest, PairDataset, augment, load_posed, pose_subjects, prepare, preparing, read_manifest
from toposlearn.data.tensors import INTER, INTRA
from toposlearn.data.transforms import to_one_grid, volume_transforms

CONFIG = VolumeConfig(shape=(32, 32, 32), spacing=6.0, modalities=("T1w", "T2w", "FLAIR"))


@pytest.fixture
def folder(cohort, tmp_path):
    """A copy of four people that a test may change."""
    root = tmp_path / "data"
    for number in (1, 2, 3, 4):
        name = f"sub-{number:03d}"
        shutil.copytree(cohort / name, root / name)
        shutil.copytree(cohort / "derivatives/toposlearn" / name, root / "derivatives/toposlearn" / name)
    return root


@pytest.fixture(scope="module")
def expected(manifest, tmp_path_factory):
    """The first of these people as they are."""
    first = Manifest(manifest.root, manifest.records[:1])
    return prepare(first, CONFIG, folder=tmp_path_factory.mktemp("cache"), progress=False)[0]


def image(folder, modality="T2w", subject="sub-001"):
    return folder / subject / "anat" / f"{subject}_{modality}.nii.gz"


def moved(path, millimeters=15.0):
    loaded = nib.load(path)
    lie = nib.affines.from_matvec(np.eye(3), (0, millimeters, 0))
    nib.save(nib.Nifti1Image(np.asarray(loaded.dataobj), lie @ loaded.affine), path)


def cropped(path, slices=24):
    """The lowest slices are cut off, and the axes turned."""
    loaded = nib.load(path)
    cut = loaded.slicer[:, :, slices:]
    nib.save(cut.as_reoriented(np.array([[1, -1], [2, 1], [0, 1]])), path)


def cache_of(folder, config=CONFIG):
    return prepare(read_manifest(folder), config, progress=False)


def test_a_person_on_one_grid_is_what_the_transforms_alone_make(manifest, expected):
    record = manifest.records[0]
    transforms = volume_transforms(CONFIG)
    assert not any(getattr(step, "func", None) is to_one_grid for step in transforms.transforms)
    data = transforms({name: record.images[name] for name in CONFIG.modalities})
    volumes = torch.cat([data[name].as_tensor() for name in CONFIG.modalities]).half().float()
    assert torch.equal(expected.volumes, volumes)
    assert torch.equal(expected.foreground, data["foreground"].as_tensor()[0] > 0.5)
    assert expected.registered
    assert expected.foregrounds is None


def test_an_image_on_another_grid_ends_up_where_it_would_have(folder, expected, capsys):
    """Finer voxels, other axes, and no air around the head."""
    loaded = nib.load(image(folder))
    voxels = np.argwhere(np.asarray(loaded.dataobj) > 0)
    tight = loaded.slicer[tuple(slice(max(a - 2, 0), b + 3) for a, b in zip(voxels.min(0), voxels.max(0), strict=True))]
    fine = resample_to_output(tight, (1.5, 1.5, 2.5), order=1).as_reoriented(np.array([[1, -1], [2, 1], [0, 1]]))
    nib.save(fine, image(folder))
    subject = cache_of(folder)[0]
    assert capsys.readouterr().err == ""
    assert (subject.pairs == INTRA).all()
    shared = subject.foreground & expected.foreground
    assert shared.sum() > 0.95 * expected.foreground.sum()
    assert torch.equal(subject.volumes[[0, 2]][:, shared], expected.volumes[[0, 2]][:, shared])
    off = [(subject.volumes[1].roll(step, 0) - expected.volumes[1])[shared].abs().mean() for step in (-1, 0, 1)]
    assert off[1] < 0.35 * min(off[0], off[2])  # up to interpolating twice
    assert torch.equal(subject.to_template, expected.to_template)


def test_what_lies_beyond_any_field_of_view_is_no_foreground(folder, expected):
    cropped(image(folder, "FLAIR"), 40)
    subject = cache_of(folder)[0]
    assert not subject.volumes[:, ~subject.foreground].any()
    assert 0.4 < subject.foreground.sum() / expected.foreground.sum() < 0.9


def test_labels_on_another_grid_come_along(folder, expected):
    truth = folder / "derivatives/toposlearn/sub-001/anat/sub-001_dseg.nii.gz"
    loaded = nib.load(truth)
    nib.save(loaded.as_reoriented(np.array([[0, -1], [2, 1], [1, 1]])), truth)
    subject = cache_of(folder)[0]
    assert torch.equal(subject.volumes, expected.volumes)
    inside = subject.foreground
    assert (subject.labels == expected.labels)[inside].float().mean() > 0.9
    assert set(subject.labels.unique().tolist()) <= set(np.unique(np.asarray(loaded.dataobj)).tolist())


def test_thick_noisy_slices_of_a_whole_head_have_a_head_for_foreground(tmp_path):
    """The air of an image that was resampled is as noisy as before, although nothing lies beyond its edges."""
    generator = np.random.default_rng(0)
    wide = [np.pad(head(seed).astype(float), 6) + 200 * (np.pad(head(seed), 6) > 0) for seed in range(2)]
    whole = [np.hypot(one + generator.normal(0, 30, one.shape), generator.normal(0, 30, one.shape)) for one in wide]
    affine = AFFINE @ nib.affines.from_matvec(np.eye(3), [-6] * 3)
    thick = ndimage.zoom(whole[1], (1, 1, 0.5), order=1, grid_mode=True, mode="nearest")
    scale = whole[1].shape[2] / thick.shape[2]
    save(tmp_path / "sub-01/anat/sub-01_T1w.nii.gz", whole[0].astype(np.float32), affine)
    slab = affine @ nib.affines.from_matvec(np.diag([1, 1, scale]), (0, 0, (scale - 1) / 2))
    save(tmp_path / "sub-01/anat/sub-01_T2w.nii.gz", thick.astype(np.float32), slab)
    subject = cache_of(tmp_path, VolumeConfig((32, 32, 32), 3.0, ("T1w", "T2w")))[0]
    assert (subject.pairs == INTRA).all()
    assert 0.8 < subject.foreground.sum() / (head() > 0).sum() < 1.3


def test_a_broken_image_leaves_the_others(folder, expected, capsys):
    image(folder).write_bytes(b"no image")
    cache = cache_of(folder)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sub-001: T2w is left out: {image(folder)} is text, not an image")
    assert len(cache) == 4
    subject = cache[0]
    assert subject.pairs.tolist() == [[INTRA, 0, INTRA], [0, 0, 0], [INTRA, 0, INTRA]]
    assert not subject.registered
    assert not subject.volumes[1].any()
    assert subject.volumes[2].any()


def test_a_missing_image_is_said_and_a_person_without_a_pair_is_left_out(folder, capsys):
    image(folder).unlink()
    image(folder, subject="sub-002").unlink()
    image(folder, "FLAIR", subject="sub-002").unlink()
    cache = cache_of(folder)
    assert capsys.readouterr().err.splitlines() == [
        "sub-001: no T2w image",
        "sub-002: left out because no two images can be compared: no T2w, FLAIR image",
    ]
    assert [record.subject for record in cache.manifest.records] == ["sub-001", "sub-003", "sub-004"]
    assert [record.subject for record in cache.registered().manifest.records] == ["sub-003", "sub-004"]


def test_a_misplaced_image_is_prepared_in_its_own_place(folder, expected, capsys):
    moved(image(folder))
    subject = cache_of(folder)[0]
    assert "sub-001: T2w: inter only: the images lie about 15 mm apart" in capsys.readouterr().err
    assert subject.pairs.tolist() == [[INTRA, INTER, INTRA], [INTER, INTRA, INTER], [INTRA, INTER, INTRA]]
    assert torch.equal(subject.foreground, subject.foregrounds[0])
    assert torch.equal(subject.foregrounds[0], subject.foregrounds[2])
    assert torch.equal(subject.foreground_of(1), subject.foregrounds[1])
    without = cache_of(folder, replace(CONFIG, modalities=("T1w", "FLAIR")))[0]
    assert torch.equal(subject.volumes[[0, 2]], without.volumes)  # as if T2w were not there
    assert torch.equal(subject.foreground, without.foreground)
    assert not subject.volumes[1][~subject.foregrounds[1]].any()
    assert subject.foregrounds[1].sum() == pytest.approx(
        float(expected.foreground.sum()), rel=0.05
    )  # one head, not two


def test_assessments_are_kept_and_reported_again(folder, capsys, monkeypatch):
    moved(image(folder))
    cache = cache_of(folder)
    first = capsys.readouterr().err
    stored = json.loads((cache.folder / "verdicts.json").read_text())
    assert set(stored) == {f"sub-{number:03d}" for number in (1, 2, 3, 4)}
    assert stored["sub-002"]["complete"]
    pair = next(pair for pair in stored["sub-001"]["pairs"] if (pair["first"], pair["second"]) == ("T1w", "T2w"))
    assert pair["verdict"] == "inter only"
    assert pair["evidence"]["shift"] == pytest.approx(15, abs=1)
    assert pair["evidence"]["null"] > 1
    monkeypatch.setattr(preparing, "_prepare_one", lambda *_: pytest.fail("made again"))
    assert len(cache_of(folder)) == 4
    assert capsys.readouterr().err == first
    prepare(read_manifest(folder), CONFIG, progress=False, report=False)
    assert capsys.readouterr().err == ""


def test_an_image_that_comes_or_goes_is_noticed(folder):
    assert cache_of(folder)[0].registered
    image(folder).rename(folder.parent / "kept.nii.gz")
    assert not cache_of(folder)[0].registered
    (folder.parent / "kept.nii.gz").rename(image(folder))  # with its old date
    assert cache_of(folder)[0].registered


def test_a_person_assessed_alone_is_assessed_again_among_others(folder):
    manifest = read_manifest(folder)
    alone = prepare(Manifest(folder, manifest.records[:2]), CONFIG, progress=False)
    assert alone.assessment(manifest.records[0])["pairs"][0]["evidence"]["null"] is None
    among = prepare(manifest, CONFIG, progress=False)
    assert among.assessment(manifest.records[0])["pairs"][0]["evidence"]["null"] > 1


def test_no_person_left_is_an_error_with_the_reason(folder):
    for number in (1, 2, 3, 4):
        for modality in ("T2w", "FLAIR"):
            moved(image(folder, modality, f"sub-{number:03d}"))
            image(folder, modality, f"sub-{number:03d}").write_bytes(b"")
    with pytest.raises(
        ValueError, match="sub-001: left out because no two images can be compared: T2w is left out: "
    ) as caught:
        cache_of(folder)
    assert "\n" not in str(caught.value)


@pytest.fixture
def mixed(folder, smoke):
    """Four people: two in order, one with T2w elsewhere, one without FLAIR."""
    moved(image(folder, subject="sub-001"))
    image(folder, "FLAIR", subject="sub-002").unlink()
    config = smoke.replace(volume={"modalities": CONFIG.modalities})
    return prepare(read_manifest(folder), config.volume, progress=False), config


def test_only_pairs_that_may_be_compared_are_drawn(mixed):
    cache, config = mixed
    dataset = PairDataset(cache, config)
    drawn = set()
    for step in range(60):
        batch = dataset[step]
        rows = zip(batch["subjects"].tolist(), batch["modalities"].tolist(), batch["registered"].tolist(), strict=True)
        drawn |= {(subject, frozenset(pair), registered) for subject, pair, registered in rows}
    assert {(frozenset(pair), registered) for subject, pair, registered in drawn if subject == 1} == {
        (frozenset({0, 1}), True)
    }
    assert {(pair, registered) for subject, pair, registered in drawn if subject == 0} == {
        (frozenset({0, 1}), False),
        (frozenset({1, 2}), False),
        (frozenset({0, 2}), True),
    }
    assert all(registered for subject, _, registered in drawn if subject > 1)
    intra = PairDataset(cache, config.replace(loss={"weight_inter": 0.0}))
    assert all(intra[step]["registered"].all() for step in range(30))


def test_an_unregistered_pair_has_no_map_and_two_foregrounds(mixed):
    cache, config = mixed
    dataset = PairDataset(cache, config)
    batch = next(dataset[step] for step in range(100) if not dataset[step]["registered"].all())
    pair = augment(batch, config)
    odd = int((~batch["registered"]).nonzero()[0])
    assert torch.equal(pair.a_to_b[odd], torch.eye(3, 4))
    assert torch.equal(pair.registered, batch["registered"])
    a, b = batch["foreground"][odd]
    assert not torch.equal(a, b)
    count = len(batch["subjects"])
    shown = pair.foreground[odd], pair.foreground[count + odd]
    assert [int(each.sum()) for each in shown] == pytest.approx([int(a.sum()), int(b.sum())], rel=0.4)  # scale


def test_measurement_needs_people_who_are_registered(mixed, capsys):
    cache, config = mixed
    capsys.readouterr()
    subjects = pose_subjects(cache, config)
    assert subjects.names == ("sub-003", "sub-004")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("2 of 4 people are left out of the measurements, for example sub-001: T2w: inter only: ")
    with pytest.raises(
        ValueError, match=r"no person in .* has every modality, registered, as measurements need: sub-001"
    ):
        pose_subjects(cache.of(Manifest(cache.manifest.root, cache.manifest.records[:2])), config)


def test_others_stand_in_for_held_out_people_who_cannot_be_measured(folder, smoke):
    config = smoke.replace(volume={"modalities": CONFIG.modalities}, train={"test_fraction": 0.75})
    held_out = load_posed(folder, config, 3).names
    moved(image(folder, subject=held_out[0]))
    assert load_posed(folder, config, 1).names == held_out[1:2]
