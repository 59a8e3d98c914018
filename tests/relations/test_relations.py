from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from phantom import PHANTOM, phantom, posed

from toposlearn.anatomy import DONOR_IDS, LabelMap, load_donor_map, load_label_map, structure
from toposlearn.relations import relations
from toposlearn.relations.frame import template_centers
from toposlearn.relations.layout import layout
from toposlearn.relations.relations import (
    COLUMNS,
    PAIR_COLUMNS,
    RELATIONS,
    TABLE_RELATIONS,
    decisions,
    distance_table,
    relation_margin,
    relation_margins,
    topology_table,
)


def upright_margin(a: str, b: str, axis: int) -> float:
    """Expected margin from the table of the phantom, before the pitch of the body frame."""
    return float(PHANTOM[a][axis] - PHANTOM[b][axis])


@pytest.mark.parametrize("side", ["left", "right"])
def test_medial_margins_of_a_phantom_are_what_was_built(side: str) -> None:
    subject = layout(phantom())
    for a, b in (("thalamus", "putamen"), ("thalamus", "pallidum"), ("putamen", "hippocampus")):
        margin = relation_margin(subject, structure(a, side), "medial", structure(b, side))  # type: ignore[arg-type]
        assert margin == pytest.approx(upright_margin(b, a, 0), abs=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
def test_front_and_top_are_read_in_a_frame_turned_onto_mni_space(side: str) -> None:
    """The phantom as a least-squares turn of its places (front, up) onto the template's, solved in closed form."""
    here = np.array([PHANTOM[name][1:] for name in PHANTOM] * 2, dtype=float)
    there = np.array([template_centers()[name, each][1:] for each in ("left", "right") for name in PHANTOM])
    here, there = here - here.mean(axis=0), there - there.mean(axis=0)
    cos, sin = (here * there).sum(), (here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]).sum()
    cos, sin = np.array([cos, sin]) / np.hypot(cos, sin)
    subject = layout(phantom())
    a, b = structure("putamen", side), structure("hippocampus", side)  # type: ignore[arg-type]
    front, up = upright_margin("putamen", "hippocampus", 1), upright_margin("putamen", "hippocampus", 2)
    assert relation_margin(subject, a, "anterior", b) == pytest.approx(cos * front - sin * up)
    assert relation_margin(subject, a, "superior", b) == pytest.approx(sin * front + cos * up)


@pytest.mark.parametrize("degrees", [(20, 0, 0), (0, 20, 0), (0, 0, 20), (-15, 20, 10), (100, 170, -60)])
def test_a_tilted_and_shifted_head_changes_no_margin(degrees: tuple[float, float, float]) -> None:
    for label_map in (phantom(), load_label_map("B")):
        upright, tilted = layout(label_map, 30.0), layout(posed(label_map, degrees, (30, -20, 10)), 30.0)
        np.testing.assert_allclose(tilted.gaps, upright.gaps, atol=1e-6)
        for relation in RELATIONS:
            np.testing.assert_allclose(
                relation_margins(tilted, relation), relation_margins(upright, relation), atol=1e-6
            )


def test_half_the_resolution_changes_few_margins_and_no_decided_relation() -> None:
    whole = load_label_map("A")
    half = LabelMap(whole.labels[::2, ::2, ::2], whole.affine @ np.diag([2.0, 2, 2, 1]), "half", whole.source)
    fine, coarse = layout(whole), layout(half)
    for relation in ("medial", "anterior", "superior"):
        change = np.abs(relation_margins(fine, relation) - relation_margins(coarse, relation))
        assert np.quantile(change, 0.95) < 0.6
        assert change.max() < 2
        same = decisions(fine, relation) * decisions(coarse, relation)
        assert same.min() == 0  # the diagonal, and what is decided at one of the two only
        assert (same == 1).mean() > 0.85


def test_opposite_relations_have_opposite_margins() -> None:
    subject = layout(phantom())
    for relation, opposite in (("medial", "lateral"), ("anterior", "posterior"), ("superior", "inferior")):
        margins = relation_margins(subject, relation)
        np.testing.assert_allclose(relation_margins(subject, opposite), -margins)
        np.testing.assert_allclose(margins.T, -margins)


def test_touching_structures_have_no_gap_and_are_adjacent() -> None:
    measured = layout(load_label_map("A"), within=5.0)
    for side in ("left", "right"):
        a, b = structure("putamen", side), structure("pallidum", side)  # type: ignore[arg-type]
        assert measured.gaps is not None
        assert measured.gaps[measured.index(a), measured.index(b)] == 0
        assert relation_margin(measured, a, "adjacent", b) > 400
        assert decisions(measured, "adjacent")[measured.index(a), measured.index(b)] == 1


def test_a_small_margin_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = layout(phantom())
    minimum = 0.02 * subject.size
    for relation in ("medial", "anterior", "superior"):
        margins, decided = relation_margins(subject, relation), decisions(subject, relation)
        np.testing.assert_array_equal(decided == 1, margins > minimum)
        np.testing.assert_array_equal(decided, -decided.T)
    monkeypatch.setattr(relations, "UNDECIDED", 1.0)
    assert (decisions(replace(subject, size=1000.0), "medial") == 0).all()
    labels = np.zeros((9, 9, 9), dtype=np.int16)
    labels[1:4, 2:7, 2:7], labels[5:8, 2:7, 2:7], labels[4, 2, 2] = 2, 102, 3  # a voxel face on either side
    touching = decisions(layout(LabelMap(labels, np.diag([10.0, 10, 10, 1]), "t", "made up")), "adjacent")
    np.testing.assert_array_equal(touching, [[-1, 0, -1], [0, -1, 0], [-1, 0, -1]])


def test_size_is_the_root_mean_square_distance_to_the_center() -> None:
    subject = phantom()
    points = np.argwhere(subject.labels)
    expected = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert layout(subject).size == pytest.approx(expected)
    larger = LabelMap(subject.labels, np.diag([1.2, 1.2, 1.2, 1]) @ subject.affine, "larger", "made up")
    assert layout(larger).size == pytest.approx(1.2 * expected)


def test_topology_table_has_the_columns_of_the_contract() -> None:
    table = topology_table({"one": layout(phantom()), "two": layout(posed(phantom(), (0, 10, 0), (0, 0, 0)))})
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
    table = topology_table({"one": layout(phantom())}, sides="all")
    structures = 2 * len(PHANTOM)
    assert len(table) == structures * (structures - 1) * len(TABLE_RELATIONS)
    across = table[(table["side_a"] == "left") & (table["side_b"] == "right") & (table["relation"] == "medial")]
    same = across[across["structure_a"] == across["structure_b"]]
    np.testing.assert_allclose(same["margin"], 0, atol=1e-9)
    assert (same["verdict"] == "undecided").all()


def test_distance_table_ranks_the_nearest_first() -> None:
    table = distance_table({"one": layout(phantom(), within=10.0)})
    assert tuple(table.columns) == (*PAIR_COLUMNS, "center", "gap", "shared", "rank")
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
    subject = layout(load_donor_map(donor))
    for side in ("left", "right"):
        for other in ("putamen", "pallidum"):
            thalamus, outer = structure("thalamus", side), structure(other, side)  # type: ignore[arg-type]
            assert relation_margin(subject, thalamus, "medial", outer) > 5


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
    subject = layout(phantom())
    with pytest.raises(ValueError, match="choose one of medial, lateral"):
        relation_margins(subject, "nearby")
    with pytest.raises(ValueError, match="phantom has no brainstem"):
        relation_margin(subject, structure("brainstem"), "medial", structure("thalamus", "left"))
    with pytest.raises(ValueError, match="sides must be 'same' or 'all'"):
        topology_table({"one": subject}, sides="left")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty holds no labeled voxel"):
        layout(LabelMap(np.zeros((4, 4, 4), dtype=np.int16), np.eye(4), "empty", "made up"))
    with pytest.raises(ValueError, match="odd holds labels without a structure: 77"):
        layout(LabelMap(np.full((4, 4, 4), 77, dtype=np.int16), np.eye(4), "odd", "made up"))
    whole = phantom()
    one_sided = LabelMap(_only(whole.labels, 2, 4), whole.affine, "half", "made up")
    with pytest.raises(ValueError, match="no structure on both sides"):
        layout(one_sided)
