"""Label maps of the user's own: turned, centered, in the vocabulary, and refused where their labels have no meaning."""

import nibabel as nib
import numpy as np
import pytest
from whole_head import SHELLS, save_whole_head

from toposlearn.anatomy import load_label_map, load_own_map, structure
from toposlearn.anatomy.own_maps import is_brain


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return save_whole_head(tmp_path_factory.mktemp("maps") / "head.nii.gz")


def test_a_head_is_turned_to_ras_and_centered_on_the_brain(file):
    head = load_own_map(file, "toposlearn")
    assert (head.name, head.source) == ("head", str(file))
    np.testing.assert_array_equal(head.affine[:3, :3], 3 * np.eye(3))
    places = np.argwhere(is_brain(head.labels)) @ head.affine[:3, :3].T + head.affine[:3, 3]
    np.testing.assert_allclose(places.min(axis=0) + places.max(axis=0), 0, atol=1e-9)
    for name in ("putamen", "hippocampus", "frontal-cortex", "cerebellum-cortex"):
        assert head.world(structure(name, "left").label)[:, 0].mean() < -10
        assert head.world(structure(name, "right").label)[:, 0].mean() > 10
    top, brain = head.world(structure("skin").label)[:, 2].max(), places[:, 2].max()
    assert top - brain == pytest.approx(SHELLS["skin"], abs=3)
    assert head.labels.any(axis=(1, 2)).all()  # no air around the head


def test_labels_are_those_of_the_file(file):
    own, source = load_own_map(file, "toposlearn").labels, load_label_map("B").labels[::2, ::2, ::2]
    for each in (structure("thalamus", "left").label, structure("insula", "right").label):
        assert (own == each).sum() == (source == each).sum()


def cubes(path, labels, affine=None):
    """A map with a cube of 8 voxels along each side for each label, side by side along x."""
    voxels = np.repeat(np.array(labels, dtype=np.int32), 8)[:, None, None] * np.ones((1, 8, 8), dtype=np.int32)
    nib.save(nib.Nifti1Image(np.pad(voxels, 2), np.eye(4) if affine is None else affine), path)
    return path


def present(head):
    return set(np.unique(head.labels).tolist()) - {0}


@pytest.mark.parametrize(
    ("table", "labels", "names"),
    [
        (
            "synthseg",
            (3, 136, 137, 25),
            ("left-cerebral-cortex", "left-lateral-ventricle", "left-cerebral-white-matter"),
        ),
        ("synthseg", (17, 515, 516, 511), ("left-hippocampus", "skull", "marrow", "skin")),
        ("synthseg", (24, 16, 530, 506), ("csf", "brainstem", "optic-nerve", "eye")),
        ("freesurfer", (1024, 2022, 49), ("left-frontal-cortex", "right-parietal-cortex", "right-thalamus")),
    ],
)
def test_labels_of_programs_become_the_vocabulary(tmp_path, table, labels, names):
    head = load_own_map(cubes(tmp_path / "head.nii.gz", labels), table)
    sided = [name.partition("-") for name in names]
    expected = {structure(rest, side).label if side in ("left", "right") else None for side, _, rest in sided} - {None}
    expected |= {structure(name).label for name in names if name.partition("-")[0] not in ("left", "right")}
    assert present(head) == expected


def test_a_vessel_takes_the_label_of_the_nearest_structure(tmp_path):
    head = load_own_map(cubes(tmp_path / "head.nii.gz", (*[12] * 20, 30, *[10] * 20)), "synthseg")
    assert present(head) == {structure("putamen", "left").label, structure("thalamus", "left").label}
    assert (head.labels > 0).sum() == 41 * 8 * 64


def test_voxels_that_are_no_cubes_are_resampled(tmp_path):
    head = load_own_map(cubes(tmp_path / "head.nii.gz", (12, 10), np.diag([1.0, 1.0, 3.0, 1.0])), "synthseg")
    assert head.spacing.tolist() == [1.0, 1.0, 1.0]
    assert (head.labels > 0).sum() == pytest.approx(16 * 64 * 3, rel=0.1)


@pytest.mark.parametrize(
    ("table", "labels", "message"),
    [
        ("synthseg", (12, 901), "does not name labels 901: choose another with --labels"),
        ("synthseg", (515,), "holds no structure of the brain"),
        ("synthseg", (0,), "is empty"),
        ("table.csv", (1,), "left-spam .label 1. is no structure of the vocabulary"),
    ],
)
def test_maps_without_a_meaning_are_refused_with_a_remedy(tmp_path, table, labels, message):
    (tmp_path / "table.csv").write_text("label,name\n1,left-spam\n")
    path = cubes(tmp_path / "head.nii.gz", labels)
    with pytest.raises(ValueError, match=message):
        load_own_map(path, tmp_path / table if table.endswith(".csv") else table)
