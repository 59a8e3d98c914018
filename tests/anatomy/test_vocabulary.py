import pytest

from toposlearn.anatomy import STRUCTURES, TISSUES, labels_of_tissue, structure, structure_of
from toposlearn.anatomy.label_maps import read_names
from toposlearn.anatomy.name_tables import DESIKAN_KILLIANY, NEUROMORPHOMETRICS, canonical_name
from toposlearn.anatomy.vocabulary import RIGHT_OFFSET


def test_labels_are_unique_and_the_right_is_a_fixed_offset_from_the_left() -> None:
    assert len({s.label for s in STRUCTURES}) == len(STRUCTURES) == 40
    for left in (s for s in STRUCTURES if s.side == "left"):
        right = structure(left.name, "right")
        assert (right.label, right.tissue) == (left.label + RIGHT_OFFSET, left.tissue)


def test_lookups_are_inverse() -> None:
    for s in STRUCTURES:
        assert structure_of(s.label) is structure(s.name, s.side) is s
    assert structure("thalamus", "left").full_name == "left-thalamus"
    assert structure("brainstem").full_name == "brainstem"


def test_every_structure_has_one_tissue() -> None:
    assert sorted(label for tissue in TISSUES for label in labels_of_tissue(tissue)) == [s.label for s in STRUCTURES]


def test_unknown_names_say_what_would_be_right() -> None:
    with pytest.raises(ValueError, match="choose one of lateral-ventricle"):
        structure("thalmus", "left")
    with pytest.raises(ValueError, match="side must be one of left, right, midline"):
        structure("thalamus", "up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="thalamus has no side 'midline': it is left or right"):
        structure("thalamus")
    with pytest.raises(ValueError, match="brainstem has no side 'left': it is midline only"):
        structure("brainstem", "left")
    with pytest.raises(ValueError, match="no structure has label 99"):
        structure_of(99)
    with pytest.raises(ValueError, match="choose one of csf"):
        labels_of_tissue("bone")


@pytest.mark.parametrize(
    ("raw", "table", "expected"),
    [
        ("Left-Thalamus-Proper", DESIKAN_KILLIANY, ("thalamus", "left")),
        ("ctx-rh-precuneus", DESIKAN_KILLIANY, ("parietal-cortex", "right")),
        ("Brain-Stem", DESIKAN_KILLIANY, ("brainstem", None)),
        ("CC_Central", DESIKAN_KILLIANY, ("cerebral-white-matter", None)),
        ("Right_Cun_cuneus", NEUROMORPHOMETRICS, ("occipital-cortex", "right")),
        ("Left_CO_central_operculum", NEUROMORPHOMETRICS, ("frontal-cortex", "left")),
        ("3rd_Ventricle", NEUROMORPHOMETRICS, ("third-ventricle", None)),
        ("lh-insula", DESIKAN_KILLIANY, ("insula", "left")),
    ],
)
def test_atlas_names_find_their_structure(raw: str, table: dict[str, str], expected: tuple[str, str | None]) -> None:
    assert canonical_name(raw, table) == expected


@pytest.mark.parametrize(
    ("names", "table"),
    [("A-names", DESIKAN_KILLIANY), ("B-names", NEUROMORPHOMETRICS), ("donor-names", DESIKAN_KILLIANY)],
)
def test_no_atlas_name_is_left_out(names: str, table: dict[str, str]) -> None:
    found = [canonical_name(raw, table)[0] for raw in read_names(names).values()]
    assert set(found) - {"nearest"} <= {each.name for each in STRUCTURES}  # some voxels join what lies nearest
    assert {"thalamus", "putamen", "frontal-cortex"} <= set(found)


def test_an_unknown_atlas_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'Left-Spleen' belongs to no structure"):
        canonical_name("Left-Spleen", DESIKAN_KILLIANY)
