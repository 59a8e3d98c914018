"""From files to the network's grid: left is left, millimeters are kept, and nothing is computed twice."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from image_maker import AFFINE, SHAPE, bids, head, save

from toposlearn.config import VolumeConfig
from toposlearn.data import prepare, preparing, read_manifest
from toposlearn.settings import TRUTH

CONFIG = VolumeConfig(shape=(32, 32, 32), spacing=3.0, modalities=("T1w", "T2w"))
WORLD = np.stack(np.indices(SHAPE), -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]  # mm of each voxel


def first_of(root, config=CONFIG):
    """The first person of a folder."""
    return prepare(read_manifest(root), config, progress=False)[0]


def with_truth(root, axes="RAS"):
    """One person whose map to the template is the world position itself, labels 1 left and 2 right of the midline."""
    bids(root, "sub-01")
    truth = root / TRUTH / "sub-01" / "anat" / "sub-01"
    for modality, seed in (("T1w", 0), ("T2w", 1)):
        save(root / "sub-01" / "anat" / f"sub-01_{modality}.nii.gz", head(seed), axes=axes)
    save(truth.with_name("sub-01_dseg.nii.gz"), np.where(WORLD[..., 0] < 0, 1, 2).astype(np.int16), axes=axes)
    save(truth.with_name("sub-01_label-lesion_mask.nii.gz"), (head() > 900).astype(np.uint8), axes=axes)
    save(truth.with_name("sub-01_from-subject_to-template_xfm.nii.gz"), WORLD.astype(np.float32), axes=axes)
    return root


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return first_of(with_truth(tmp_path_factory.mktemp("ras")))


@pytest.mark.parametrize("axes", ["LAS", "LIA", "PSR"])
def test_stored_axes_make_no_difference(tmp_path, reference, axes):
    other = first_of(with_truth(tmp_path, axes=axes))
    for name in ("volumes", "foreground", "labels", "lesion", "to_template"):
        torch.testing.assert_close(getattr(other, name), getattr(reference, name), msg=f"{name} of {axes}")


def test_a_prepared_person_has_the_shapes_and_kinds_it_promises(reference):
    assert reference.volumes.shape == (2, 32, 32, 32)
    assert reference.volumes.dtype == torch.float32
    assert (reference.foreground.shape, reference.foreground.dtype) == ((32, 32, 32), torch.bool)
    assert (reference.labels.shape, reference.labels.dtype) == ((32, 32, 32), torch.int16)
    assert (reference.lesion.shape, reference.lesion.dtype) == ((32, 32, 32), torch.bool)
    assert (reference.to_template.shape, reference.to_template.dtype) == ((3, 32, 32, 32), torch.float32)


def test_axes_point_right_anterior_superior_and_left_is_left(reference):
    place = reference.to_template[:, reference.foreground]
    assert (place[0] < 0).eq(reference.labels[reference.foreground] == 1).all()
    for axis in range(3):
        steps = reference.to_template[axis].diff(dim=axis)
        assert steps.min() >= 0  # millimeters grow along the axis; the padding repeats its edge
        assert steps.max().item() == pytest.approx(3.0, abs=1e-3)
    right = reference.volumes[0][16:][reference.foreground[16:]].mean()
    left = reference.volumes[0][:16][reference.foreground[:16]].mean()
    assert right > left + 0.02  # as it was made


@pytest.mark.parametrize(("spacing", "side"), [(2.0, 48), (3.0, 32), (4.0, 24)])
def test_a_place_in_millimeters_survives_cropping_and_resampling(tmp_path, spacing, side):
    with_truth(tmp_path)
    where = np.array([10.5, -13.5, 7.5])
    blob = 1000 * np.exp(-((WORLD - where) ** 2).sum(-1) / (2 * 8.0**2))
    save(tmp_path / "sub-01/anat/sub-01_T1w.nii.gz", (head() * 0.01 + blob).astype(np.float32))
    subject = first_of(tmp_path, VolumeConfig((side,) * 3, spacing, ("T1w", "T2w")))
    weight = subject.volumes[0] * (subject.volumes[0] > 0.3)
    center = (weight * subject.to_template).sum(dim=(1, 2, 3)) / weight.sum()
    np.testing.assert_allclose(center, where, atol=0.5)


def test_the_head_is_centered_wherever_it_lies(tmp_path, reference):
    """An off-center head: the grid follows it."""
    for seed, modality in enumerate(("T1w", "T2w")):
        data = np.zeros((40, 40, 40), dtype=np.int16)
        data[18:38, 2:26, 20:38] = head(seed)
        save(tmp_path / "sub-01" / "anat" / f"sub-01_{modality}.nii.gz", data)
    subject = first_of(tmp_path)
    inside = subject.foreground.nonzero().float()
    np.testing.assert_allclose((inside.amin(0) + inside.amax(0)) / 2, [15.5] * 3, atol=1.0)
    assert subject.foreground.sum() == reference.foreground.sum()


def test_intensities_lie_between_zero_and_one_whatever_the_scanner_wrote(tmp_path, reference):
    bids(tmp_path, "sub-01")
    for modality, seed in (("T1w", 0), ("T2w", 1)):
        save(tmp_path / "sub-01" / "anat" / f"sub-01_{modality}.nii.gz", head(seed).astype(np.float32) * 0.07)
    volumes = first_of(tmp_path).volumes
    assert (volumes.min(), volumes.max()) == (0, 1)
    torch.testing.assert_close(volumes, reference.volumes, atol=2e-3, rtol=0)


def test_foreground_is_the_head_without_holes_and_specks(tmp_path):
    for seed, modality in enumerate(("T1w", "T2w")):
        data = head(seed)
        data[10, 12, 9] = 0  # a hole
        data[0, 0, 0] = 900  # a speck of noise
        save(tmp_path / "sub-01" / "anat" / f"sub-01_{modality}.nii.gz", data)
    assert first_of(tmp_path).foreground.sum() == (head() > 0).sum()


def test_what_one_modality_does_not_show_another_may(tmp_path):
    for seed, (modality, end) in enumerate((("T1w", slice(0, 3)), ("T2w", slice(-3, None)))):
        dark = head(seed)
        dark[end] = 0
        save(tmp_path / f"sub-01/anat/sub-01_{modality}.nii.gz", dark)
    assert first_of(tmp_path).foreground.sum() == (head() > 0).sum()


def test_labels_stay_labels_when_resampled(tmp_path):
    subject = first_of(with_truth(tmp_path), VolumeConfig((32, 32, 32), 4.3, ("T1w", "T2w")))
    assert set(subject.labels.unique().tolist()) == {0, 1, 2}


def test_modalities_come_in_the_order_asked_for(tmp_path):
    bids(tmp_path, "sub-01", modalities=("T1w", "T2w", "PDw"))
    one = first_of(tmp_path, VolumeConfig((32, 32, 32), 3.0, ("PDw", "T1w"))).volumes
    other = first_of(tmp_path, VolumeConfig((32, 32, 32), 3.0, ("T1w", "PDw"))).volumes
    assert not torch.equal(one, other)
    torch.testing.assert_close(one.flip(0), other)


def test_the_cohort_has_everything(subjects):
    for subject in (subjects[0], subjects[5]):
        assert subject.volumes.shape == (4, 32, 32, 32)
        assert 0.02 < subject.foreground.float().mean() < 0.6
        assert subject.labels[subject.foreground].ne(0).float().mean() > 0.85
        assert subject.info["participant_id"] == subject.subject
    assert {subjects[index].lesion.any().item() for index in range(6)} == {True, False}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}


@pytest.fixture
def counted(monkeypatch):
    """Names of the people that were preprocessed."""
    names, prepare_one = [], preparing._prepare_one

    def counting(record, *others):
        names.append(record.subject)
        return prepare_one(record, *others)

    monkeypatch.setattr(preparing, "_prepare_one", counting)
    return names


def test_nobody_is_preprocessed_twice_until_a_file_or_a_setting_changes(tmp_path, counted):
    root = bids(tmp_path / "data")
    first = prepare(read_manifest(root), CONFIG, progress=False)
    assert counted == ["sub-01", "sub-02"]
    prepare(read_manifest(root), CONFIG, progress=False)
    assert counted == ["sub-01", "sub-02"]

    save(root / "sub-02/anat/sub-02_T2w.nii.gz", head(99))
    future = max(times(first.folder).values()) + 10**9
    os.utime(root / "sub-02/anat/sub-02_T2w.nii.gz", ns=(future, future))
    before = first[1].volumes
    again = prepare(read_manifest(root), CONFIG, progress=False)
    assert counted[2:] == ["sub-02"]
    assert not torch.equal(again[1].volumes, before)
    with pytest.raises(ValueError, match=r"sub-02.safetensors was made anew from other images meanwhile: start again"):
        first[1]

    other = prepare(read_manifest(root), VolumeConfig((32, 32, 32), 4.0, ("T1w", "T2w")), progress=False)
    assert counted[3:] == ["sub-01", "sub-02"]
    assert other.folder != first.folder


def test_the_cache_is_no_person_of_the_data_set(tmp_path):
    root = bids(tmp_path / "data")
    cache = prepare(read_manifest(root), CONFIG, progress=False)
    assert root in cache.folder.parents
    assert len(read_manifest(root)) == len(cache) == 2


def test_an_interruption_leaves_whole_people_only(tmp_path, monkeypatch):
    root = bids(tmp_path / "data")

    def interrupted(path, data):
        path.write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(read_manifest(root), CONFIG, folder=tmp_path / "cache", progress=False)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert len(prepare(read_manifest(root), CONFIG, folder=tmp_path / "cache", progress=False)) == 2


def test_a_cache_that_cannot_be_written_is_an_os_error(tmp_path):
    root = bids(tmp_path / "data")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        prepare(read_manifest(root), CONFIG, folder=tmp_path / "file", progress=False)


def test_a_missing_modality_is_named_before_anything_is_made(tmp_path):
    root = bids(tmp_path / "data")
    with pytest.raises(ValueError, match=r"sub-01 in .* has no FLAIR image"):
        prepare(read_manifest(root), VolumeConfig(modalities=("T1w", "FLAIR")), folder=tmp_path / "c", progress=False)
    assert not (tmp_path / "c").exists()


def test_images_of_any_number_type_are_read(tmp_path):
    for modality, kind in (("T1w", np.uint8), ("T2w", np.float64)):
        path = tmp_path / "sub-01" / "anat" / f"sub-01_{modality}.nii"  # not compressed
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image((head() / 8).astype(kind), AFFINE), path)
    assert first_of(tmp_path).volumes.max() == 1
