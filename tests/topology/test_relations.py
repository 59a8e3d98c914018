import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from toposlearn.anatomy import DONOR_IDS, LabelMap, load_donor_map, load_label_map, structure
from toposlearn.topology.boundaries import boundary_gaps
from toposlearn.topology.frame import FRONTAL_RISE, body_frame, centroids, frame_of
from toposlearn.topology.relations import COLUMNS, RELATIONS, layout, relation_margin, relation_margins, topology_table

# Centers in mm, right side; the left mirrors them. Each structure is a cube of 4 mm.
PHANTOM = {
    "thalamus": (8, 0, 0),
    "pallidum": (16, 6, 0),
    "putamen": (24, 8, 2),
    "hippocampus": (24, -10, -12),
    "frontal-cortex": (20, 40, 6),
    "occipital-cortex": (20, -40, 6),
}


def phantom(name: str = "phantom") -> LabelMap:
    labels = np.zeros((64, 96, 48), dtype=np.int16)
    origin = np.array([-32.0, -48.0, -24.0])
    for structure_name, center in PHANTOM.items():
        for side, sign in (("left", -1), ("right", 1)):
            low = (np.array(center) * (sign, 1, 1) - 2 - origin).astype(int)
            labels[tuple(slice(a, a + 4) for a in low)] = structure(structure_name, side).label  # type: ignore[arg-type]
    affine = np.eye(4)
    affine[:3, 3] = origin + 0.5  # voxel centers, so that cubes are centered where the table says
    return LabelMap(labels, affine, name, "made up")


def posed(label_map: LabelMap, degrees: tuple[float, float, float], shift: tuple[float, float, float]) -> LabelMap:
    """The same head held differently: only the affine moves."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    pose[:3, 3] = shift
    return LabelMap(label_map.labels, pose @ label_map.affine, label_map.name, label_map.source)


def upright_margin(a: str, b: str, axis: int) -> float:
    """Expected margin from the table of the phantom, before the pitch of the body frame."""
    return float(PHANTOM[a][axis] - PHANTOM[b][axis])


@pytest.mark.parametrize("side", ["left", "right"])
def test_medial_margins_of_a_phantom_are_what_was_built(side: str) -> None:
    person = layout(phantom())
    for a, b in (("thalamus", "putamen"), ("thalamus", "pallidum"), ("putamen", "hippocampus")):
        margin = relation_margin(person, structure(a, side), "medial", structure(b, side))  # type: ignore[arg-type]
        assert margin == pytest.approx(upright_margin(b, a, 0), abs=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
def test_front_and_top_are_read_in_a_frame_pitched_by_the_frontal_rise(side: str) -> None:
    person = layout(phantom())
    a, b = structure("putamen", side), structure("hippocampus", side)  # type: ignore[arg-type]
    front, up = upright_margin("putamen", "hippocampus", 1), upright_margin("putamen", "hippocampus", 2)
    cos, sin = np.cos(FRONTAL_RISE), np.sin(FRONTAL_RISE)
    assert relation_margin(person, a, "anterior", b) == pytest.approx(cos * front - sin * up)
    assert relation_margin(person, a, "superior", b) == pytest.approx(sin * front + cos * up)


@pytest.mark.parametrize("degrees", [(20, 0, 0), (0, 20, 0), (0, 0, 20), (-15, 20, 10)])
def test_a_tilted_and_shifted_head_changes_no_margin(degrees: tuple[float, float, float]) -> None:
    for label_map in (phantom(), load_label_map("B")):
        upright, tilted = layout(label_map), layout(posed(label_map, degrees, (30, -20, 10)))
        for relation in RELATIONS:
            np.testing.assert_allclose(
                relation_margins(tilted, relation), relation_margins(upright, relation), atol=1e-6
            )


def test_the_frame_of_a_real_head_is_right_handed_and_nearly_upright() -> None:
    for label_map in (load_label_map("A"), load_label_map("B")):
        axes = frame_of(label_map).axes
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(axes) == pytest.approx(1)
        assert np.rad2deg(np.arccos(np.diag(axes))).max() < 3


def test_the_frame_mirrors_left_onto_right() -> None:
    labels, centers = centroids(posed(phantom(), (5, 12, -9), (4, 5, 6)))
    own = body_frame(labels, centers).coordinates(centers)
    half = len(labels) // 2
    np.testing.assert_allclose(own[:half] * (-1, 1, 1), own[half:], atol=1e-9)
    assert (own[:half, 0] < 0).all()


def test_without_lobes_the_pitch_is_the_scanners() -> None:
    labels = np.array([2, 102])
    frame = body_frame(labels, np.array([[-8.0, 0, 0], [8.0, 0, 0]]))
    np.testing.assert_allclose(frame.axes, np.eye(3), atol=1e-12)


def test_opposite_relations_have_opposite_margins() -> None:
    person = layout(phantom())
    for relation, opposite in (("medial", "lateral"), ("anterior", "posterior"), ("superior", "inferior")):
        margins = relation_margins(person, relation)
        np.testing.assert_allclose(relation_margins(person, opposite), -margins)
        np.testing.assert_allclose(margins.T, -margins)


def test_gaps_are_those_of_all_boundary_voxels() -> None:
    person = phantom()
    labels, _ = centroids(person)
    gaps = boundary_gaps(person, labels)
    for i, a in enumerate(labels.tolist()):
        for j, b in enumerate(labels.tolist()):
            distance = np.linalg.norm(person.world(a)[:, None] - person.world(b)[None], axis=-1).min()
            expected = 0.0 if i == j else distance - 1
            assert gaps[i, j] == pytest.approx(expected), (a, b)


def test_touching_structures_have_no_gap_and_are_adjacent() -> None:
    person = load_label_map("A")
    measured = layout(person)
    for side in ("left", "right"):
        a, b = structure("putamen", side), structure("pallidum", side)  # type: ignore[arg-type]
        assert measured.gaps[measured.index(a), measured.index(b)] == 0
        assert relation_margin(measured, a, "adjacent", b) == 3.0


def test_topology_table_has_the_columns_of_the_contract() -> None:
    table = topology_table({"one": phantom(), "two": posed(phantom(), (0, 10, 0), (0, 0, 0))})
    assert tuple(table.columns) == COLUMNS
    pairs_per_side = len(PHANTOM) * (len(PHANTOM) - 1)
    assert len(table) == 2 * 2 * pairs_per_side * 4
    assert (table["holds"] == (table["margin"] > 0)).all()
    assert not ((table["side_a"] == "left") & (table["side_b"] == "right")).any()
    one, two = (table[table["person"] == name]["margin"].to_numpy() for name in ("one", "two"))
    np.testing.assert_allclose(one, two, atol=1e-9)


@pytest.mark.parametrize("donor", DONOR_IDS)
def test_the_thalamus_is_medial_to_putamen_and_pallidum_in_every_donor(donor: str) -> None:
    person = layout(load_donor_map(donor))
    for side in ("left", "right"):
        for other in ("putamen", "pallidum"):
            thalamus, outer = structure("thalamus", side), structure(other, side)  # type: ignore[arg-type]
            assert relation_margin(person, thalamus, "medial", outer) > 5


def _only(labels: npt.NDArray[np.int16], *kept: int) -> npt.NDArray[np.int16]:
    return np.where(np.isin(labels, kept), labels, 0).astype(np.int16)


def test_mistakes_are_named() -> None:
    person = layout(phantom())
    with pytest.raises(ValueError, match="choose one of medial, lateral"):
        relation_margins(person, "nearby")
    with pytest.raises(ValueError, match="phantom has no brainstem"):
        relation_margin(person, structure("brainstem"), "medial", structure("thalamus", "left"))
    with pytest.raises(ValueError, match="people is empty"):
        topology_table({})
    whole = phantom()
    one_sided = LabelMap(_only(whole.labels, 2, 4), whole.affine, "half", "made up")
    with pytest.raises(ValueError, match="no structure on both sides"):
        layout(one_sided)
