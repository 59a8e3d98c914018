"""The head is found in slabs, crops, z-scored and padded images, whatever is around it; noise and masks are refused."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from toposlearn.config import VolumeConfig
from toposlearn.data import prepare, read_manifest
from toposlearn.data.gate import quality
from toposlearn.data.gate.quality import check_image, read_image
from toposlearn.data.images import BadImageError
from toposlearn.data.transforms import volume_transforms

SHAPE, AFFINE = (40, 48, 36), np.diag([4.0, 4.0, 4.0, 1.0])


def _head():
    """A head whose brain has blobs, on zeros; and where it is."""
    random = np.random.default_rng(3)
    points = (np.stack(np.indices(SHAPE), -1) - (np.array(SHAPE) - 1) / 2) / (np.array(SHAPE) / 2)
    radius = (points**2).sum(-1)
    image = np.where(radius < 0.6, 60.0, 0) + 30.0 * (radius < 0.45)
    for value in (30, 110, 25, 95):
        for _ in range(6):
            inside = ((points - random.uniform(-0.4, 0.4, 3)) / random.uniform(0.08, 0.2, 3)) ** 2
            image[inside.sum(-1) < 1] = value
    return (image + (image > 0) * random.normal(0, 1, SHAPE)).astype(np.float32), image > 0


HEAD, INSIDE = _head()


def noisy(image, sigma=3.0):
    random = np.random.default_rng(5)
    return np.hypot(image + random.normal(0, sigma, image.shape), random.normal(0, sigma, image.shape))


def zscored(image):
    return np.where(INSIDE, (image - image[INSIDE].mean()) / image[INSIDE].std(), 0)


def background(value):
    return lambda image: np.where(INSIDE, image, value)


def spike(value, size=2, place=20):
    def change(image):
        image = image.copy()
        image[place : place + size, place : place + size, place : place + size] = value
        return image

    return change


def one_side(image):
    image = image.copy()
    image[:, :6] = np.nan
    return image


AIR = {  # of the whole volume
    "zero": np.array,
    "noise": noisy,
    "much noise": lambda image: noisy(image, 10),
    "noise around zero": lambda image: image + np.random.default_rng(5).normal(0, 2, image.shape),
    "z-scored": zscored,
    "z-scored, negative": lambda image: zscored(image) - 5,
    "from -1 to 1": lambda image: image / image.max() * 2 - 1,
    "in the middle of the range": background(50.5),
    "brightest": background(300),
    "whole numbers": lambda image: background(70)(image).astype(np.int16),
    "bytes, brightest": lambda image: background(255)(np.clip(image, 0, 200)).astype(np.uint8),
    "nan": background(np.nan),
    "nan, z-scored": lambda image: background(np.nan)(zscored(image)),
    "nan on one side": one_side,
    "nan on one side of noise": lambda image: one_side(noisy(image)),
    "HU": lambda image: np.where(INSIDE, image / 2, -1000),
    "HU with noise": lambda image: np.where(INSIDE, image / 2, -1000) + np.random.default_rng(5).normal(0, 20, SHAPE),
    "a few voxels of 1e6": spike(1e6),
    "many of them": spike(1e6, 6),
    "a few voxels that wrapped around": spike(-32768),
    "small numbers": lambda image: image * 1e-9,
    "large numbers": lambda image: image.astype(float) * 1e12,
}
VIEWS = {
    "whole": lambda image: image,
    "slab": lambda image: image[:, :, 14:22],
    "slab along two axes": lambda image: image[:, 16:32, 12:24],
    "padded": lambda image: np.pad(image, ((5, 5), (3, 3), (4, 4))),
    "padded along one axis": lambda image: np.pad(image, ((0, 0), (0, 0), (6, 6))),
}


def prepared(path, image):
    nib.save(nib.Nifti1Image(image, AFFINE), path)
    data = volume_transforms(VolumeConfig((64, 64, 64), 4.0, ("T1w",)))({"T1w": path})
    return np.asarray(data["T1w"][0]), np.asarray(data["foreground"][0]) > 0.5


def assert_found(path, image, inside):
    check_image_at(path, image)
    values, foreground = prepared(path, image)
    assert 0.97 < foreground.sum() / ndimage.binary_fill_holes(inside).sum() < 1.05
    assert values.min() >= 0
    assert values.max() == pytest.approx(1)
    assert np.median(values[foreground]) > 0.2
    assert not values[~foreground].any()


def check_image_at(path, image):
    nib.save(nib.Nifti1Image(image, AFFINE), path)
    return check_image(path)


@pytest.mark.parametrize("air", AIR)
def test_the_head_is_found_whatever_air_is(tmp_path, air):
    image = AIR[air](HEAD)
    assert_found(tmp_path / "x.nii.gz", image, INSIDE & np.isfinite(image))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("air", ["zero", "noise", "z-scored"])
def test_the_head_is_found_where_faces_are_tissue_or_padding(tmp_path, air, view):
    assert_found(tmp_path / "x.nii.gz", VIEWS[view](AIR[air](HEAD)), VIEWS[view](INSIDE))


@pytest.mark.parametrize("air", ["zero", "noise", "z-scored"])
def test_a_crop_without_air_is_head_all_over(tmp_path, air):
    inner = AIR[air](HEAD)[14:26, 16:32, 12:24]
    assert_found(tmp_path / "x.nii.gz", inner, np.ones(inner.shape, dtype=bool))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.where(INSIDE, np.float32(1), np.float32(0)), "it is a mask or a label map, not an image"),
        (spike(1000, 1)(np.zeros(SHAPE, np.float32)), "shows nothing but air"),
        (noisy(np.zeros(SHAPE)), "shows nothing but air"),
        (np.where(np.arange(40)[:, None, None] == 20, np.nan, HEAD), "NaN or infinite voxels"),
    ],
)
def test_no_head_is_refused_in_one_line(tmp_path, image, reason):
    path = tmp_path / "x.nii.gz"
    nib.save(nib.Nifti1Image(image, AFFINE), path)
    with pytest.raises(BadImageError, match=reason) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


def test_what_has_no_head_on_the_networks_grid_is_left_out_alone(tmp_path, monkeypatch):
    """The gate looks at a part of the voxels; the pipeline asks again."""
    monkeypatch.setattr(quality, "why_no_image", lambda data: "")
    images = {"T1w": HEAD, "T2w": noisy(110.0 - HEAD) * INSIDE, "FLAIR": spike(1000, 1)(np.zeros(SHAPE, np.float32))}
    for name, image in images.items():
        (tmp_path / "A").mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(image, AFFINE), tmp_path / "A" / f"{name}.nii.gz")
    config = VolumeConfig((48, 48, 48), 4.0, tuple(images))
    cache = prepare(read_manifest(tmp_path), config, folder=tmp_path / "cache", progress=False, report=False)
    (record,) = cache.manifest.records
    reason = cache.assessment(record)["broken"]["FLAIR"]
    assert reason.startswith(f"{tmp_path / 'A' / 'FLAIR.nii.gz'} shows nothing but air")
    assert cache[0].volumes.amax((1, 2, 3)).tolist() == pytest.approx([1, 1, 0], abs=1e-3)


@pytest.mark.parametrize("air", ["zero", "noise"])
def test_a_value_that_is_added_to_all_voxels_takes_no_contrast(tmp_path, air):
    plain, added = (
        prepared(tmp_path / name, AIR[air](HEAD) + more) for name, more in (("a.nii.gz", 0), ("b.nii.gz", 3000))
    )
    assert np.abs(plain[0] - added[0]).max() < 0.02
