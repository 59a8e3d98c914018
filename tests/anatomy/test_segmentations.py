from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from toposlearn.anatomy import load_segmentation, structure_names
from toposlearn.anatomy.segmentations import distinct_names, path_stem
from toposlearn.relations.frame import centroids

NAMES = structure_names("freesurfer")


def blocks(shape: tuple[int, ...] = (12, 8, 8)) -> npt.NDArray[np.int16]:
    labels = np.zeros(shape, dtype=np.int16)
    labels[1:4, 2:6, 2:6] = 10  # left thalamus, where a RAS grid has low x
    labels[8:11, 2:6, 2:6] = 49
    return labels


def written(path: Path, data: npt.NDArray[np.generic], affine: npt.NDArray[np.float64] | None = None) -> Path:
    kind = nib.MGHImage if path.suffix == ".mgz" else nib.Nifti1Image
    nib.save(kind(data, np.eye(4) if affine is None else affine), path)
    return path


@pytest.mark.parametrize("name", ["seg.nii.gz", "seg.nii", "seg.mgz"])
def test_a_segmentation_is_read_with_its_meaning(tmp_path: Path, name: str) -> None:
    read = load_segmentation(written(tmp_path / name, blocks().astype(np.int32)), NAMES)
    assert read.label_map.name == "seg"
    assert {each.full_name for each in read.label_map.structures.values()} == {"left-thalamus", "right-thalamus"}
    np.testing.assert_array_equal(read.label_map.labels, blocks())
    assert read.unknown == {}


def test_labels_stored_as_floats_and_a_last_axis_of_one_are_accepted(tmp_path: Path) -> None:
    path = written(tmp_path / "seg.nii.gz", blocks().astype(np.float32)[..., None])
    np.testing.assert_array_equal(load_segmentation(path, NAMES, "me").label_map.labels, blocks())


def test_left_stays_left_when_the_axes_are_stored_the_other_way(tmp_path: Path) -> None:
    flipped = blocks()[::-1]
    affine = np.diag([-1.0, 1, 1, 1])
    affine[0, 3] = 11
    _, structures, centers = centroids(load_segmentation(written(tmp_path / "s.nii", flipped, affine), NAMES).label_map)
    assert [each.side for each in structures] == ["left", "right"]
    np.testing.assert_allclose(centers[:, 0], [2, 9])


def test_labels_not_in_the_table_are_background_and_counted(tmp_path: Path) -> None:
    data = blocks()
    data[0, 0, :3], data[0, 1, 0] = 30, 9000  # a vessel, and an unknown label
    read = load_segmentation(written(tmp_path / "seg.nii.gz", data), NAMES)
    assert read.unknown == {30: 3, 9000: 1}
    np.testing.assert_array_equal(read.label_map.labels, blocks())


def half(value: float) -> npt.NDArray[np.float32]:
    data = blocks().astype(np.float32)
    data[0, 0, 0] = value
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((4, 4, 4, 2), dtype=np.int16), r"has shape \(4, 4, 4, 2\), but a 3-D volume is needed: extract one"),
        (half(0.5), "holds 1 values that are not whole numbers: is it an image"),
        (half(np.nan), "holds NaN or infinite values"),
        (half(-1), "holds labels -1 to 49: they must lie in 0 to 99999"),
        (half(1e6), r"holds labels 0 to 1e\+06: they must lie in 0 to 99999"),
        (np.zeros((4, 4, 4), dtype=np.int16), r"none of its labels is in the table \(it is empty\)"),
        (np.full((4, 4, 4), 7777, np.int16), r"in the table \(it holds 1 labels: 7777\); choose another table"),
    ],
)
def test_a_file_that_is_not_a_segmentation_is_reported_in_one_line(
    tmp_path: Path, data: npt.NDArray[np.generic], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_segmentation(written(tmp_path / "bad.nii.gz", data), NAMES)
    assert "bad.nii.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing\.nii does not exist"):
        load_segmentation(tmp_path / "missing.nii", NAMES)
    text = tmp_path / "text.nii.gz"
    text.write_text("labels")
    with pytest.raises(ValueError, match=r"text\.nii\.gz is text, not an image: replace it"):
        load_segmentation(text, NAMES)
    cut = written(tmp_path / "cut.nii", blocks())
    cut.write_bytes(cut.read_bytes()[:400])
    with pytest.raises(ValueError, match=r"cut\.nii is truncated or damaged"):
        load_segmentation(cut, NAMES)


def test_a_name_is_the_file_without_its_kind() -> None:
    assert [path_stem(Path(name)) for name in ("a/b.nii.gz", "aparc+aseg.mgz", "s1.v2.nii")] == [
        "b",
        "aparc+aseg",
        "s1.v2",
    ]


def test_two_files_of_one_stem_are_two_people(tmp_path: Path) -> None:
    same = [tmp_path / "base.nii.gz", tmp_path / "base.mgz"]
    assert len(set(distinct_names(same))) == 2
    assert distinct_names([tmp_path / "bert/mri/a.mgz", tmp_path / "ernie/mri/a.mgz"]) == ["bert", "ernie"]
    assert distinct_names([tmp_path / "bert/mri/a.mgz", tmp_path / "ernie/a.mgz"]) == ["bert-mri", "ernie"]
    assert distinct_names([tmp_path / "a.mgz", tmp_path / "ernie/a.mgz"]) == ["a", "ernie-a"]
    assert distinct_names([tmp_path / "s/1/a.mgz", tmp_path / "s/2/a.mgz", tmp_path / "s/1/b.mgz"]) == [
        "1-a",
        "2-a",
        "1-b",
    ]
    assert distinct_names([Path("/x/a.mgz"), Path("/y/x/a.mgz")]) == ["x", "y-x"]
    with pytest.raises(ValueError, match="is given twice"):
        distinct_names([same[0], same[0]])


def test_damaged_headers_are_reported(tmp_path: Path) -> None:
    flat = np.diag([1.0, 1, 0, 1])
    path = written(tmp_path / "flat.nii", blocks())
    header = nib.load(path).header
    header.set_sform(flat, code=1)
    header.set_qform(None, code=0)
    raw = bytearray(path.read_bytes())
    raw[: len(header.binaryblock)] = header.binaryblock
    path.write_bytes(bytes(raw))
    with pytest.raises(ValueError, match=r"flat\.nii has an affine that gives voxels no size"):
        load_segmentation(path, NAMES)
    odd = written(tmp_path / "odd.nii", blocks())
    raw = bytearray(odd.read_bytes())
    raw[70:72] = (9999).to_bytes(2, "little")  # a code of no data type
    odd.write_bytes(bytes(raw))
    with pytest.raises(ValueError, match=r"odd\.nii is truncated or damaged \(data code 9999 not recognized\)"):
        load_segmentation(odd, NAMES)
    nib.save(nib.Nifti1Image(blocks().astype(np.complex64), np.eye(4)), tmp_path / "complex.nii")
    with pytest.raises(ValueError, match="holds complex64 values instead of one real number per voxel"):
        load_segmentation(tmp_path / "complex.nii", NAMES)
    with pytest.raises(ValueError, match="is a folder, not an image file"):
        load_segmentation(tmp_path, NAMES)
