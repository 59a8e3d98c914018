import numpy as np
import pytest
from nibabel.orientations import aff2axcodes

from toposlearn import anatomy
from toposlearn.anatomy import DONOR_IDS, FAMILIES, STRUCTURES, LabelMap, load_donor_map, load_label_map, load_parcels
from toposlearn.anatomy.atlases import load_raw_labels
from toposlearn.relations.frame import centroids

SUBJECTS = (*FAMILIES, *DONOR_IDS)
DEEP = ("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "accumbens")


@pytest.fixture(scope="module")
def subjects() -> dict[str, LabelMap]:
    maps = [load_label_map(family) for family in FAMILIES] + [load_donor_map(donor) for donor in DONOR_IDS]
    return {label_map.name.removeprefix("donor-"): label_map for label_map in maps}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_axes_are_ras_and_the_affine_keeps_handedness(subjects: dict[str, LabelMap], subject: str) -> None:
    label_map = subjects[subject]
    assert aff2axcodes(label_map.affine) == ("R", "A", "S")
    assert np.linalg.det(label_map.affine) > 0
    assert label_map.labels.dtype == np.int16


@pytest.mark.parametrize("subject", SUBJECTS)
def test_left_is_left(subjects: dict[str, LabelMap], subject: str) -> None:
    label_map = subjects[subject]
    present = set(np.unique(label_map.labels).tolist())
    left = [s for s in STRUCTURES if s.side == "left" and s.label in present]
    assert len(left) >= 13
    for structure in left:
        right = anatomy.structure(structure.name, "right")
        x_left, x_right = label_map.world(structure.label)[:, 0].mean(), label_map.world(right.label)[:, 0].mean()
        assert x_left < 0 < x_right, structure.name


@pytest.mark.parametrize("subject", SUBJECTS)
def test_frontal_is_in_front_and_parietal_is_above_temporal(subjects: dict[str, LabelMap], subject: str) -> None:
    centers = {
        name: subjects[subject].world(anatomy.structure(f"{name}-cortex", "left").label).mean(axis=0)
        for name in ("frontal", "parietal", "temporal", "occipital")
    }
    assert centers["frontal"][1] > centers["parietal"][1] > centers["occipital"][1]
    assert centers["parietal"][2] > centers["temporal"][2]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_voxel_belongs_to_the_vocabulary(subjects: dict[str, LabelMap], subject: str) -> None:
    known = {anatomy.BACKGROUND, *(structure.label for structure in STRUCTURES)}
    assert set(np.unique(subjects[subject].labels).tolist()) <= known


@pytest.mark.parametrize("family", FAMILIES)
def test_whole_brain_maps_hold_every_structure(subjects: dict[str, LabelMap], family: str) -> None:
    assert set(subjects[family].volumes) == {structure.label for structure in STRUCTURES}


# Milliliters, generous bounds around adult values.
PLAUSIBLE = {
    "thalamus": (4, 16),
    "caudate": (2, 7),
    "putamen": (3, 10),
    "pallidum": (0.8, 3.5),
    "hippocampus": (2.5, 8),
    "amygdala": (0.8, 3.5),
    "frontal-cortex": (50, 180),
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_volumes_are_those_of_an_adult(subjects: dict[str, LabelMap], subject: str) -> None:
    volumes = subjects[subject].volumes
    for name, (low, high) in PLAUSIBLE.items():
        for side in ("left", "right"):
            assert low < volumes[anatomy.structure(name, side).label] < high, (name, side)


def test_volumes_count_voxels_in_milliliters() -> None:
    labels = np.zeros((4, 4, 4), dtype=np.int16)
    labels[:2, :2, :2] = 2
    label_map = LabelMap(labels, np.diag([2.0, 2.0, 2.5, 1.0]), "toy", "made up")
    assert label_map.volumes == pytest.approx({2: 8 * 10 / 1000})
    np.testing.assert_allclose(label_map.spacing, [2, 2, 2.5])
    np.testing.assert_allclose(label_map.world(2).max(axis=0), [2, 2, 2.5])


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize(("name", "minimum"), [("thalamus", 0.7), ("putamen", 0.7), ("hippocampus", 0.6)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_families_agree_where_their_definitions_do(
    subjects: dict[str, LabelMap], name: str, side: str, minimum: float
) -> None:
    label = anatomy.structure(name, side).label
    a, b = subjects["A"], subjects["B"]
    points = np.argwhere(np.ones(a.labels.shape, bool)) @ a.affine[:3, :3].T + a.affine[:3, 3]
    voxels = np.rint((points - b.affine[:3, 3]) / b.spacing).astype(int)
    inside = ((voxels >= 0) & (voxels < b.labels.shape)).all(axis=1)
    resampled = np.zeros(a.labels.size, dtype=np.int16)
    resampled[inside] = b.labels[tuple(voxels[inside].T)]
    assert _dice(a.labels.ravel() == label, resampled == label) > minimum


def test_raw_labels_keep_the_fine_parcels() -> None:
    raw, affine = load_raw_labels("A")
    assert raw.shape == load_label_map("A").labels.shape
    assert len(np.unique(raw)) == 113
    assert aff2axcodes(affine) == ("R", "A", "S")


@pytest.mark.parametrize("family", FAMILIES)
def test_left_is_left_in_the_parcels_of_both_atlases(family: str) -> None:
    _, structures, centers = centroids(load_parcels(family))
    assert len(structures) > 100
    for each, center in zip(structures, centers, strict=True):
        if each.side != "midline":
            assert (center[0] < 0) == (each.side == "left"), each.full_name


def test_parcels_lie_in_the_lobes_that_the_vocabulary_makes_of_them() -> None:
    parcels, whole = load_parcels("A"), load_label_map("A")
    insula = next(label for label, each in parcels.structures.items() if each.full_name == "left-insula")
    assert ((parcels.labels == insula) <= (whole.labels == anatomy.structure("insula", "left").label)).all()


@pytest.mark.parametrize("name", anatomy.TEMPLATES)
def test_templates_are_ras_and_scaled_to_one(name: str) -> None:
    volume = anatomy.load_template(name)
    assert aff2axcodes(volume.affine) == ("R", "A", "S")
    assert volume.data.dtype == np.float32
    assert (volume.data.min(), volume.data.max()) == (0.0, 1.0)


def test_white_matter_of_the_label_map_is_white_in_the_template(subjects: dict[str, LabelMap]) -> None:
    white = anatomy.load_template("ICBM152-2009a-white")
    points = subjects["A"].world(anatomy.structure("cerebral-white-matter", "left").label)
    voxels = np.rint(points - white.affine[:3, 3]).astype(int)
    assert white.data[tuple(voxels.T)].mean() > 0.6


def test_the_six_donors() -> None:
    donors = anatomy.load_donors()
    assert tuple(donor.id for donor in donors) == DONOR_IDS
    assert [donor.age for donor in donors] == [24, 39, 57, 31, 49, 55]
    assert "".join(donor.sex for donor in donors) == "MMMMFM"


def test_unknown_names_list_the_choices() -> None:
    with pytest.raises(ValueError, match="choose one of A, B"):
        load_label_map("C")
    with pytest.raises(ValueError, match="choose one of A, B"):
        load_raw_labels("C")
    with pytest.raises(ValueError, match="choose one of 9861, 10021"):
        load_donor_map("1")
    with pytest.raises(ValueError, match="choose one of ICBM152-2009a"):
        anatomy.load_template("T1")
