"""The quality gate: each kind of bad file in one clear line that names it, through the functions and the commands."""

import gzip
import shutil

import nibabel as nib
import numpy as np
import pytest
from image_maker import AFFINE, SHAPE, bids, head, save

from toposlearn import cli
from toposlearn.config import VolumeConfig
from toposlearn.data import inspect_folder, prepare, read_manifest
from toposlearn.data.gate.quality import check_image
from toposlearn.data.images import BadImageError

BAD = "sub-02/anat/sub-02_T2w.nii.gz"


def no_nifti(path):
    path.write_text("this is a letter to the editor")


def compressed_text(path):
    path.write_bytes(gzip.compress(b"this is a letter to the editor" * 100))


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-2000])


def damaged(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(bytes(content))


def other_shape(path):
    save(path, head()[:-1])


def other_place(path):
    moved = AFFINE.copy()
    moved[0, 3] += 5
    save(path, head(), moved)


def other_axes(path):
    save(path, head(), axes="LAS")


def not_finite(path):
    data = head().astype(np.float32)
    data[3, 4, 5], data[6, 7, 8] = np.nan, np.inf
    save(path, data)


def constant(path):
    save(path, np.full(SHAPE, 7, dtype=np.int16))


def four_dimensional(path):
    save(path, np.stack([head(), head(1)], axis=-1))


def one_slice(path):
    save(path, head()[:, :, :1])


def colors(path):
    rgb = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(rgb, AFFINE), path)


def no_place(path):
    header = nib.Nifti1Header()
    header.set_sform(np.diag([3.0, 3.0, 0.0, 1.0]), code=1)
    nib.save(nib.Nifti1Image(head(), None, header), path)


ILLS = [
    (no_nifti, "is text, not an image: replace it, or remove it"),
    (compressed_text, "is text, not an image: replace it, or remove it"),
    (empty, "is empty (0 bytes): copy it again, or remove it"),
    (truncated, "is truncated or damaged"),
    (damaged, "is truncated or damaged"),
    (not_finite, "holds 2 NaN or infinite voxels: repair or replace it"),
    (constant, "is constant (7), so it shows nothing: replace it, or remove it"),
    (four_dimensional, "has shape (20, 24, 18, 2), but a 3-D volume is needed: extract one, or remove it"),
    (one_slice, "has shape (20, 24, 1), but a 3-D volume is needed"),
    (colors, "instead of one real number per voxel: convert it"),
    (no_place, "has no usable affine"),
]


@pytest.mark.parametrize(("ill", "message"), ILLS)
def test_a_bad_image_is_one_line_of_inspect_and_of_the_check(tmp_path, ill, message, capsys):
    root = bids(tmp_path / "data")
    ill(root / BAD)
    assert cli.execute(["inspect", str(root)]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{root}: 2 people\n")  # the rest of the folder is still described
    assert printed.err.startswith(f"error: {root / BAD} ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    with pytest.raises(BadImageError) as caught:
        check_image(root / BAD)
    assert printed.err == f"error: {caught.value}\n"


@pytest.mark.parametrize("ill", [truncated, not_finite, four_dimensional, no_place])
def test_nothing_is_prepared_from_a_bad_image_and_that_is_said(tmp_path, ill, capsys):
    root = bids(tmp_path / "data")
    ill(root / BAD)
    config = VolumeConfig(shape=(32, 32, 32), spacing=6.0, modalities=("T1w", "T2w"))
    cache = prepare(read_manifest(root), config, folder=tmp_path / "cache", progress=False)
    assert [record.subject for record in cache.manifest.records] == ["sub-01"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sub-02: left out because no two images can be compared: T2w is left out: {root / BAD} ")


def test_an_image_of_another_shape_is_resampled(tmp_path, capsys):
    root = bids(tmp_path / "data")
    other_shape(root / BAD)
    config = VolumeConfig(shape=(32, 32, 32), spacing=6.0, modalities=("T1w", "T2w"))
    assert len(prepare(read_manifest(root), config, folder=tmp_path / "cache", progress=False)) == 2
    assert capsys.readouterr().err == ""


def test_a_modality_that_is_not_asked_for_may_be_bad(tmp_path):
    root = bids(tmp_path / "data", modalities=("T1w", "T2w", "PDw"))
    not_finite(root / "sub-01/anat/sub-01_PDw.nii.gz")
    config = VolumeConfig(shape=(32, 32, 32), spacing=6.0, modalities=("T1w", "T2w"))
    assert len(prepare(read_manifest(root), config, folder=tmp_path / "cache", progress=False)) == 2


def pretrain(*arguments):
    return cli.execute(["pretrain", "--preset", "smoke", *map(str, arguments)])


def test_pretrain_refuses_bad_data_and_leaves_no_run(tmp_path, cohort, capsys):
    data = tmp_path / "data"
    for number in (1, 2):
        shutil.copytree(cohort / f"sub-{number:03d}", data / f"sub-{number:03d}")
        for modality in ("FLAIR", "PDw"):
            (data / f"sub-{number:03d}/anat/sub-{number:03d}_{modality}.nii.gz").unlink()
    truncated(data / "sub-001/anat/sub-001_T2w.nii.gz")
    bad = data / "sub-002/anat/sub-002_T2w.nii.gz"
    truncated(bad)
    assert pretrain("--data", data, "--out", tmp_path / "run") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: sub-001: left out because no two images can be compared: T2w is left out: ")
    bad.unlink()
    (data / "sub-001/anat/sub-001_T2w.nii.gz").unlink()
    assert pretrain("--data", data, "--out", tmp_path / "run", "--modalities", "T1w,T2w") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: sub-001 in {data} has no T2w image")
    assert not (tmp_path / "run").exists()


def test_pretrain_without_data_says_how_to_get_some(tmp_path, capsys):
    assert pretrain("--data", tmp_path / "absent", "--out", tmp_path / "run") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "absent does not exist: make one with 'toposlearn cohort --out" in error
    assert not (tmp_path / "run").exists()


def test_inspect_describes_a_good_folder_on_one_page(tmp_path, capsys):
    root = bids(tmp_path / "data")
    assert cli.execute(["inspect", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{root}: 2 people",
        "layout: BIDS",
        "  T1w                PERSON_T1w.nii.gz  (2)",
        "  T2w                PERSON_T2w.nii.gz  (2)",
        "grids: size in voxels, spacing in mm, orientation",
        "  T1w                20 x 24 x 18  3 x 3 x 3 mm  RAS  (2)",
        "  T2w                20 x 24 x 18  3 x 3 x 3 mm  RAS  (2)",
        "pairs of images: 2 registered (not compared with pairs of different people: that needs 3 people)",
        "modalities that everyone has: T1w, T2w",
    ]


def test_inspect_counts_the_people_with_problems(tmp_path):
    root = bids(tmp_path / "data", "sub-01", "sub-02", "sub-03")
    constant(root / "sub-01/anat/sub-01_T1w.nii.gz")
    not_finite(root / "sub-03/anat/sub-03_T2w.nii.gz")
    inspection = inspect_folder(root)
    assert inspection.counts == {"registered": 1, "resampled": 0, "inter only": 0, "left out": 2}
    with pytest.raises(BadImageError, match=r"sub-01_T1w.* \(and 1 more files with problems\)"):
        inspection.raise_if_bad()


def test_inspect_of_an_empty_folder(tmp_path, capsys):
    assert cli.execute(["inspect", str(tmp_path)]) == 1
    assert "no image found" in capsys.readouterr().err


def test_a_good_image_is_described(tmp_path):
    facts = check_image(save(tmp_path / "sub-01_T1w.nii.gz", head(), axes="LIA"))
    assert facts.axes == "LIA"
    assert facts.shape == (20, 18, 24)
    assert facts.spacing == pytest.approx((3, 3, 3))
    assert (facts.low, facts.high) == (0, head().max())


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(BadImageError, match=r"gone.nii.gz does not exist"):
        check_image(tmp_path / "gone.nii.gz")
