from itertools import permutations, product

import numpy as np
import numpy.typing as npt
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff
from scipy.spatial.transform import Rotation

from toposlearn.anatomy import DONOR_IDS, LabelMap, Structure, load_donor_map, load_label_map, structure
from toposlearn.topology.boundaries import boundary_gaps, shared_boundaries
from toposlearn.topology.frame import body_frame, centroids, frame_of, template_centers
from toposlearn.topology.layout import layout
from toposlearn.topology.relations import (
    COLUMNS,
    DISTANCE_COLUMNS,
    RELATIONS,
    TABLE_RELATIONS,
    distance_table,
    relation_margin,
    relation_margins,
    topology_table,
    verdicts,
)

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
def test_front_and_top_are_read_in_a_frame_turned_onto_mni_space(side: str) -> None:
    """The phantom as a least-squares turn of its places (front, up) onto the template's, solved in closed form."""
    here = np.array([PHANTOM[name][1:] for name in PHANTOM] * 2, dtype=float)
    there = np.array([template_centers()[name, each][1:] for each in ("left", "right") for name in PHANTOM])
    here, there = here - here.mean(axis=0), there - there.mean(axis=0)
    cos, sin = (here * there).sum(), (here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]).sum()
    cos, sin = np.array([cos, sin]) / np.hypot(cos, sin)
    person = layout(phantom())
    a, b = structure("putamen", side), structure("hippocampus", side)  # type: ignore[arg-type]
    front, up = upright_margin("putamen", "hippocampus", 1), upright_margin("putamen", "hippocampus", 2)
    assert relation_margin(person, a, "anterior", b) == pytest.approx(cos * front - sin * up)
    assert relation_margin(person, a, "superior", b) == pytest.approx(sin * front + cos * up)


@pytest.mark.parametrize("degrees", [(20, 0, 0), (0, 20, 0), (0, 0, 20), (-15, 20, 10), (100, 170, -60)])
def test_a_tilted_and_shifted_head_changes_no_margin(degrees: tuple[float, float, float]) -> None:
    for label_map in (phantom(), load_label_map("B")):
        upright, tilted = layout(label_map, 30.0), layout(posed(label_map, degrees, (30, -20, 10)), 30.0)
        np.testing.assert_allclose(tilted.gaps, upright.gaps, atol=1e-6)
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
    _, structures, centers = centroids(posed(phantom(), (5, 12, -9), (4, 5, 6)))
    own = body_frame(structures, centers).coordinates(centers)
    half = len(structures) // 2
    np.testing.assert_allclose(own[:half] * (-1, 1, 1), own[half:], atol=1e-9)
    assert (own[:half, 0] < 0).all()


def test_without_structures_known_in_mni_space_front_and_top_are_the_scanners() -> None:
    unknown = [Structure(1, "claustrum", "left", "unknown"), Structure(2, "claustrum", "right", "unknown")]
    frame = body_frame(unknown, np.array([[-8.0, 0, 0], [8.0, 0, 0]]))
    assert frame.scanner_pitch
    np.testing.assert_allclose(frame.axes, np.eye(3), atol=1e-12)
    pair = [structure("thalamus", "left"), structure("thalamus", "right")]  # one place seen from the side: no turn
    assert body_frame(pair, np.array([[-8.0, 0, 0], [8.0, 0, 0]])).scanner_pitch


def test_a_single_known_pair_tells_no_pitch_on_a_real_head() -> None:
    """Left and right of one name differ by noise in the sagittal plane, and noise must not turn the head over."""
    whole = load_donor_map("9861")
    names = {
        label: each if each.name == "thalamus" else Structure(label, f"my-{each.name}", each.side, "unknown")
        for label, each in whole.structures.items()
    }
    frame = frame_of(LabelMap(whole.labels, whole.affine, "own names", whole.source, names))
    assert frame.scanner_pitch
    assert frame.axes[2, 2] > 0.9


def test_a_lying_affine_changes_no_relation() -> None:
    """Axes called by other names, mirrored too: the structures tell where front and top are."""
    person = load_label_map("B")
    honest = layout(person, 30.0)
    for order in permutations(range(3)):
        for signs in product((-1, 1), repeat=3):
            lie = np.eye(4)
            lie[:3, :3] = np.eye(3)[list(order)] * signs
            told = layout(LabelMap(person.labels, lie @ person.affine, "lie", person.source))
            for relation in RELATIONS:
                np.testing.assert_allclose(
                    relation_margins(told, relation), relation_margins(honest, relation), atol=1e-6
                )


def test_a_head_stored_in_any_of_the_48_orientations_is_the_same_person() -> None:
    """Voxels turned and affine with them, as scanners and converters do."""
    whole = load_label_map("B")
    person = LabelMap(whole.labels[::2, ::2, ::2], whole.affine @ np.diag([2.0, 2, 2, 1]), "B", whole.source)
    honest = layout(person)
    for code in product((-1, 1), repeat=3):
        for order in permutations(range(3)):
            ornt = np.column_stack([order, code])
            voxels = apply_orientation(person.labels, ornt)
            affine = person.affine @ inv_ornt_aff(ornt, person.labels.shape)
            told = layout(LabelMap(voxels, affine, "turned", person.source))
            for relation in RELATIONS:
                np.testing.assert_allclose(
                    relation_margins(told, relation), relation_margins(honest, relation), atol=1e-6
                )


def test_half_the_resolution_changes_few_margins_and_no_decided_relation() -> None:
    whole = load_label_map("A")
    half = LabelMap(whole.labels[::2, ::2, ::2], whole.affine @ np.diag([2.0, 2, 2, 1]), "half", whole.source)
    fine, coarse = layout(whole), layout(half)
    for relation in ("medial", "anterior", "superior"):
        change = np.abs(relation_margins(fine, relation) - relation_margins(coarse, relation))
        assert np.quantile(change, 0.95) < 0.6
        assert change.max() < 2
        assert (verdicts(fine, relation) * verdicts(coarse, relation)).min() >= 0


def test_opposite_relations_have_opposite_margins() -> None:
    person = layout(phantom())
    for relation, opposite in (("medial", "lateral"), ("anterior", "posterior"), ("superior", "inferior")):
        margins = relation_margins(person, relation)
        np.testing.assert_allclose(relation_margins(person, opposite), -margins)
        np.testing.assert_allclose(margins.T, -margins)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 5.0)])
def test_gaps_are_between_the_nearest_faces(spacing: tuple[float, float, float]) -> None:
    whole = phantom()
    person = LabelMap(whole.labels, np.diag([*spacing, 1.0]), "stretched", whole.source)
    labels = centroids(person)[0]
    gaps, near = boundary_gaps(person, labels), boundary_gaps(person, labels, within=15.0)
    for i, a in enumerate(labels.tolist()):
        for j, b in enumerate(labels.tolist()):
            apart = np.abs(np.argwhere(person.labels == a)[:, None] - np.argwhere(person.labels == b)[None])
            expected = np.linalg.norm(np.maximum(apart - 1, 0) * spacing, axis=-1).min() if i != j else 0.0
            assert gaps[i, j] == pytest.approx(expected), (a, b)
            assert near[i, j] == (gaps[i, j] if gaps[i, j] <= 15 else np.inf), (a, b)
    assert np.isinf(near).any()


def test_shared_boundaries_are_the_faces_between_two_structures() -> None:
    labels = np.zeros((6, 6, 6), dtype=np.int16)
    labels[1:3, 1:4, 1:5], labels[3:5, 1:4, 1:5], labels[1:3, 4, 1:3] = 2, 102, 3
    steps = np.diag([2.0, 3.0, 5.0, 1.0])
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("xyz", (20, 30, 40), degrees=True).as_matrix()
    person = LabelMap(labels, turned @ steps, "blocks", "made up")
    shared = shared_boundaries(person, np.array([2, 3, 102]))
    expected = np.array([[0, 4 * 10, 12 * 15], [4 * 10, 0, 0], [12 * 15, 0, 0]])
    np.testing.assert_allclose(shared, expected)


def test_touching_structures_have_no_gap_and_are_adjacent() -> None:
    measured = layout(load_label_map("A"), within=5.0)
    for side in ("left", "right"):
        a, b = structure("putamen", side), structure("pallidum", side)  # type: ignore[arg-type]
        assert measured.gaps is not None
        assert measured.gaps[measured.index(a), measured.index(b)] == 0
        assert relation_margin(measured, a, "adjacent", b) > 400
        assert verdicts(measured, "adjacent")[measured.index(a), measured.index(b)] == 1


def test_a_small_margin_decides_nothing() -> None:
    person = layout(phantom())
    least = 0.02 * person.size
    for relation in ("medial", "anterior", "superior"):
        margins, told = relation_margins(person, relation), verdicts(person, relation)
        np.testing.assert_array_equal(told == 1, margins > least)
        np.testing.assert_array_equal(told, -told.T)
    assert (verdicts(person, "medial", undecided=10.0) == 0).all()
    labels = np.zeros((9, 9, 9), dtype=np.int16)
    labels[1:4, 2:7, 2:7], labels[5:8, 2:7, 2:7], labels[4, 2, 2] = 2, 102, 3  # a voxel face on either side
    touching = verdicts(layout(LabelMap(labels, np.diag([10.0, 10, 10, 1]), "t", "made up")), "adjacent", undecided=1.0)
    np.testing.assert_array_equal(touching, [[-1, 0, -1], [0, -1, 0], [-1, 0, -1]])


def test_size_is_the_root_mean_square_distance_to_the_center() -> None:
    person = phantom()
    points = np.argwhere(person.labels)
    expected = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert layout(person).size == pytest.approx(expected)
    larger = LabelMap(person.labels, np.diag([1.2, 1.2, 1.2, 1]) @ person.affine, "larger", "made up")
    assert layout(larger).size == pytest.approx(1.2 * expected)


def test_topology_table_has_the_columns_of_the_contract() -> None:
    table = topology_table({"one": phantom(), "two": posed(phantom(), (0, 10, 0), (0, 0, 0))})
    assert tuple(table.columns) == COLUMNS
    pairs_per_side = len(PHANTOM) * (len(PHANTOM) - 1)
    assert len(table) == 2 * 2 * pairs_per_side * 4
    assert (table["holds"] == (table["margin"] > 0)).all()
    assert set(table["relation"]) == set(TABLE_RELATIONS)
    assert not (table["holds"] & (table["verdict"] == "does not hold")).any()
    assert not ((table["side_a"] == "left") & (table["side_b"] == "right")).any()
    one, two = (table[table["person"] == name]["margin"].to_numpy() for name in ("one", "two"))
    np.testing.assert_allclose(one, two, atol=1e-9)


def test_all_sides_pair_left_with_right() -> None:
    table = topology_table({"one": phantom()}, sides="all")
    structures = 2 * len(PHANTOM)
    assert len(table) == structures * (structures - 1) * len(TABLE_RELATIONS)
    across = table[(table["side_a"] == "left") & (table["side_b"] == "right") & (table["relation"] == "medial")]
    same = across[across["structure_a"] == across["structure_b"]]
    np.testing.assert_allclose(same["margin"], 0, atol=1e-9)
    assert (same["verdict"] == "undecided").all()


def test_distance_table_ranks_the_nearest_first() -> None:
    table = distance_table({"one": layout(phantom(), within=10.0)})
    assert tuple(table.columns) == DISTANCE_COLUMNS
    thalamus = table[(table["structure_a"] == "thalamus") & (table["side_a"] == "left")]
    assert thalamus["rank"].tolist() == list(range(1, 2 * len(PHANTOM)))
    assert thalamus["center"].is_monotonic_increasing
    nearest = thalamus.iloc[0]
    assert (nearest["structure_b"], nearest["side_b"]) == ("pallidum", "left")
    assert nearest["center"] == pytest.approx(10)
    assert nearest["gap"] == pytest.approx(np.hypot(4, 2))
    assert table["gap"].isna().any()


@pytest.mark.parametrize("donor", DONOR_IDS)
def test_the_thalamus_is_medial_to_putamen_and_pallidum_in_every_donor(donor: str) -> None:
    person = layout(load_donor_map(donor))
    for side in ("left", "right"):
        for other in ("putamen", "pallidum"):
            thalamus, outer = structure("thalamus", side), structure(other, side)  # type: ignore[arg-type]
            assert relation_margin(person, thalamus, "medial", outer) > 5


def _only(labels: npt.NDArray[np.int16], *kept: int) -> npt.NDArray[np.int16]:
    return np.where(np.isin(labels, kept), labels, 0).astype(np.int16)


def test_a_person_with_fewer_structures_keeps_the_frame_and_the_size() -> None:
    whole = layout(phantom(), within=50.0)
    chosen = [structure("putamen", "right"), structure("thalamus", "left")]
    part = whole.only(chosen)
    assert part.structures == tuple(chosen)
    assert part.size == whole.size
    for relation in RELATIONS:
        expected = relation_margin(whole, chosen[0], relation, chosen[1])
        assert relation_margin(part, chosen[0], relation, chosen[1]) == expected
    assert part.gaps is not None
    assert part.gaps.shape == (2, 2)
    with pytest.raises(ValueError, match="phantom has no brainstem"):
        whole.only([structure("brainstem")])


def test_mistakes_are_named() -> None:
    person = layout(phantom())
    with pytest.raises(ValueError, match="choose one of medial, lateral"):
        relation_margins(person, "nearby")
    with pytest.raises(ValueError, match="phantom has no brainstem"):
        relation_margin(person, structure("brainstem"), "medial", structure("thalamus", "left"))
    with pytest.raises(ValueError, match="people is empty"):
        topology_table({})
    with pytest.raises(ValueError, match="sides must be 'same' or 'all'"):
        topology_table({"one": person}, sides="left")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty holds no labeled voxel"):
        layout(LabelMap(np.zeros((4, 4, 4), dtype=np.int16), np.eye(4), "empty", "made up"))
    with pytest.raises(ValueError, match="odd holds labels that mean no structure: 77"):
        layout(LabelMap(np.full((4, 4, 4), 77, dtype=np.int16), np.eye(4), "odd", "made up"))
    whole = phantom()
    one_sided = LabelMap(_only(whole.labels, 2, 4), whole.affine, "half", "made up")
    with pytest.raises(ValueError, match="no structure on both sides"):
        layout(one_sided)
