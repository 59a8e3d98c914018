"""The same image in every format, compression, type of number and shape is read alike; the affine as nibabel has it."""

import bz2
import gzip
import lzma
import os

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy.spatial.transform import Rotation

from toposlearn.data.gate.quality import check_image
from toposlearn.data.images import BadImageError, is_image, read_scan, stem
from toposlearn.images import open_image, read_ras

SHAPE = (14, 18, 12)
OBLIQUE = nib.affines.from_matvec(
    Rotation.from_rotvec((20, -30, 40), degrees=True).as_matrix() @ np.diag([1.0, 2, 3]), (-20, 31, 12)
)
FORMATS = (
    *("x.nii", "x.nii.gz", "x.NII.GZ", "x.mgz", "x.mgh", "x.img", "x.nrrd", "x.nhdr", "x.mha", "x.mhd"),
    *("raw.nrrd", "raw.nhdr", "raw.mha", "raw.mhd"),
)


@pytest.fixture(scope="module")
def data():
    points = (np.stack(np.indices(SHAPE), -1) - (np.array(SHAPE) - 1) / 2) / (np.array(SHAPE) / 2)
    values = np.random.default_rng(0).integers(300, 1000, SHAPE)
    return np.where((points**2).sum(-1) < 0.8, values, 0).astype(np.int16)


def nifti(path, data, kind=nib.Nifti1Image, affine=OBLIQUE):
    nib.save(kind(data, affine), path)
    return path


def written(folder, name, data):
    """The image in the format of the name."""
    reference = nifti(folder / "reference.nii.gz", data)
    if name.endswith((".nrrd", ".nhdr", ".mha", ".mhd")):
        sitk.WriteImage(_by_itk(data), str(folder / name), not name.startswith("raw"))
    elif name.endswith((".mgz", ".mgh")):
        nifti(folder / name, data, nib.MGHImage)
    elif name.endswith(".img"):
        nifti(folder / name, data, nib.Nifti1Pair)
    elif name != reference.name:
        content = reference.read_bytes()
        (folder / name).write_bytes(gzip.decompress(content) if name.endswith(".nii") else content)
    return folder / name


def _by_itk(data):
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    turn = np.diag([-1, -1, 1])
    image.SetDirection((turn @ OBLIQUE[:3, :3] / nib.affines.voxel_sizes(OBLIQUE)).ravel())
    image.SetSpacing(nib.affines.voxel_sizes(OBLIQUE))
    image.SetOrigin(turn @ OBLIQUE[:3, 3])
    return image


@pytest.mark.parametrize("name", FORMATS)
def test_an_oblique_image_of_every_format(tmp_path, data, name):
    path = written(tmp_path, name, data)
    assert is_image(name)
    assert stem(name) == name.split(".")[0]
    image = open_image(path)
    assert image.shape == SHAPE
    assert image.placed
    np.testing.assert_allclose(image.affine, OBLIQUE, atol=1e-5)
    np.testing.assert_array_equal(image.voxels(), data)
    assert check_image(path).fingerprint == check_image(tmp_path / "reference.nii.gz").fingerprint


def test_simpleitk_and_nibabel_put_a_voxel_at_the_same_place(tmp_path, data):
    image = sitk.ReadImage(str(nifti(tmp_path / "x.nii.gz", data)))
    sitk.WriteImage(image, str(tmp_path / "x.nrrd"))
    np.testing.assert_allclose(
        open_image(tmp_path / "x.nrrd").affine, nib.load(tmp_path / "x.nii.gz").affine, atol=1e-5
    )


CONTENTS = {
    "plain in .nii.gz": ("x.nii.gz", lambda plain: plain),
    "gzip in .nii": ("x.nii", gzip.compress),
    "bzip2 in .nii.gz": ("x.nii.gz", bz2.compress),
    "xz in .nii.gz": ("x.nii.gz", lzma.compress),
    "plain in .mgz": ("x.mgz", lambda plain: plain),  # a NIfTI image too
    "bytes after gzip": ("x.nii.gz", lambda plain: gzip.compress(plain) + b"left over"),
    "two parts of gzip": ("x.nii.gz", lambda plain: gzip.compress(plain[:3000]) + gzip.compress(plain[3000:])),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_content_decides_and_not_the_name(tmp_path, data, kind):
    name, change = CONTENTS[kind]
    plain = nifti(tmp_path / "plain.nii", data).read_bytes()
    (tmp_path / name).write_bytes(change(plain))
    np.testing.assert_array_equal(open_image(tmp_path / name).voxels(), data)


ARRAYS = {
    "a last axis of one": lambda data: data[..., None],
    "two of them": lambda data: data[..., None, None],
    "a first axis of one": lambda data: data[None],
    "float32": lambda data: data.astype(np.float32),
    "float64": lambda data: data.astype(np.float64),
    "uint16": lambda data: data.astype(np.uint16),
    "big-endian": lambda data: data.astype(">i2"),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("container", [nib.Nifti1Image, nib.Nifti2Image])
def test_shapes_and_types_of_one_image(tmp_path, data, kind, container):
    changed = ARRAYS[kind](data)
    image = container(changed, OBLIQUE)
    if kind == "big-endian":
        image = container(changed, OBLIQUE, image.header.as_byteswapped(">"))
    nib.save(image, tmp_path / "x.nii.gz")
    facts = check_image(tmp_path / "x.nii.gz")
    assert facts.shape == SHAPE
    np.testing.assert_allclose(facts.affine, OBLIQUE, atol=1e-5)
    assert facts.fingerprint == check_image(nifti(tmp_path / "reference.nii", data)).fingerprint


def test_a_fingerprint_is_of_the_voxels_and_not_of_their_order(tmp_path, data):
    path = nifti(tmp_path / "x.nii.gz", data, affine=np.diag([3.0, 3, 3, 1]))
    nib.save(nib.load(path).as_reoriented([[1, -1], [2, 1], [0, 1]]), tmp_path / "turned.nii.gz")
    other = data.copy()
    other[7, 9, 6] += 1
    prints = [check_image(each).fingerprint for each in (path, tmp_path / "turned.nii.gz")]
    assert prints[0] == prints[1] != check_image(nifti(tmp_path / "other.nii", other)).fingerprint


def test_a_channel_of_a_file_that_holds_several(tmp_path, data):
    both = np.stack([data, data[::-1]], -1)
    path = nifti(tmp_path / "x.nii.gz", both)
    np.testing.assert_array_equal(open_image(path).voxels(1), data[::-1])
    np.testing.assert_array_equal(read_scan(path, 0)[0], data)
    np.testing.assert_array_equal(
        open_image(nifti(tmp_path / "five.nii.gz", both[:, :, :, None])).voxels(1), data[::-1]
    )
    assert check_image(path, 0).fingerprint != check_image(path, 1).fingerprint
    vector = sitk.GetImageFromArray(np.ascontiguousarray(both.transpose(2, 1, 0, 3)), isVector=True)
    sitk.WriteImage(vector, str(tmp_path / "x.nrrd"))
    np.testing.assert_array_equal(open_image(tmp_path / "x.nrrd").voxels(1), data[::-1])
    with pytest.raises(BadImageError, match="so no channel 2: store all channels"):
        open_image(path).voxels(2)
    with pytest.raises(BadImageError, match="but a 3-D volume is needed"):
        open_image(path).voxels()


def test_a_scale_is_applied_as_nibabel_does(tmp_path, data):
    image = nib.Nifti1Image(data, OBLIQUE)
    image.header.set_slope_inter(0.37, -3)
    nib.save(image, tmp_path / "x.nii.gz")
    values, affine = read_ras(tmp_path / "x.nii.gz")
    expected = nib.as_closest_canonical(nib.load(tmp_path / "x.nii.gz"))
    np.testing.assert_array_equal(values, np.asanyarray(expected.dataobj))
    np.testing.assert_array_equal(affine, expected.affine)


def test_analyze_does_not_say_where_an_image_lies(tmp_path, data):
    nifti(tmp_path / "x.img", data, nib.AnalyzeImage, np.diag([-1.0, 2, 3, 1]))
    image = open_image(tmp_path / "x.img")
    assert not image.placed
    np.testing.assert_array_equal(image.voxels(), data)


def test_a_file_that_this_user_may_not_read(tmp_path, data, monkeypatch):
    path = nifti(tmp_path / "x.nii", data)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(BadImageError, match=r"may not be read .permission denied.: change its permissions"):
        open_image(path)
