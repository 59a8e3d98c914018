"""Label maps are whole numbers up to rounding; others are refused with the reason."""

import nibabel as nib
import numpy as np
import pytest

from toposlearn.images import BadImageError, labels_of, open_image

LABELS = np.array([0, 2, 5, 10, 49, 54, 7014, 14175], dtype=float).reshape(2, 2, 2)


def saved(path, values, dtype=np.float32, slope=None):
    image = nib.Nifti1Image(values.astype(dtype), np.eye(4))
    if slope is not None:
        image.header.set_slope_inter(slope, 0)
    nib.save(image, path)
    return open_image(path)


@pytest.mark.parametrize("change", [1, 1 - 1e-7, 1 + 1e-7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_undone(tmp_path, change, dtype):
    image = saved(tmp_path / "x.nii.gz", LABELS * change, dtype)
    np.testing.assert_array_equal(labels_of(image), LABELS)


def test_integers_are_as_they_are(tmp_path):
    labels = labels_of(saved(tmp_path / "x.nii.gz", LABELS, np.int32))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, LABELS)


def test_a_fine_scale_in_the_header_is_undone(tmp_path):
    few = np.minimum(LABELS, 54)
    image = nib.Nifti1Image(few, np.eye(4))
    image.set_data_dtype(np.uint8)  # nibabel chooses the scale 54 / 255
    nib.save(image, tmp_path / "x.nii.gz")
    stored = open_image(tmp_path / "x.nii.gz")
    assert np.abs(stored.voxels() - few).max() > 0.01
    np.testing.assert_array_equal(labels_of(stored), few)


@pytest.mark.parametrize(
    ("values", "dtype", "slope", "reason"),
    [
        (LABELS + 0.0235 * (LABELS == 2), np.float32, None, "holds 1 values that are not whole numbers: is it"),
        (LABELS + 0.5, np.float32, None, "holds 8 values that are not whole numbers"),
        (np.arange(8.0).reshape(2, 2, 2), np.uint8, 0.1, r"not whole numbers \(its header scales them by 0.1\)"),
        (np.arange(8.0).reshape(2, 2, 2), np.uint8, 0.7, r"its header scales them by 0.7"),
        (np.where(LABELS == 2, np.nan, LABELS), np.float32, None, "holds NaN or infinite values"),
    ],
)
def test_other_numbers_are_refused_with_the_reason(tmp_path, values, dtype, slope, reason):
    with pytest.raises(BadImageError, match=reason) as caught:
        labels_of(saved(tmp_path / "x.nii.gz", values, dtype, slope))
    assert "\n" not in str(caught.value)
