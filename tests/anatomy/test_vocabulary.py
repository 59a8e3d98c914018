import pytest

from toposlearn.anatomy import STRUCTURES, structure
from toposlearn.anatomy.vocabulary import BY_LABEL, RIGHT_OFFSET


def test_labels_are_unique_and_the_right_is_a_fixed_offset_from_the_left() -> None:
    assert len({s.label for s in STRUCTURES}) == len(STRUCTURES) == 40
    for left in (s for s in STRUCTURES if s.side == "left"):
        right = structure(left.name, "right")
        assert (right.label, right.tissue) == (left.label + RIGHT_OFFSET, left.tissue)


def test_lookups_are_inverse() -> None:
    for s in STRUCTURES:
        assert BY_LABEL[s.label] is structure(s.name, s.side) is s
    assert structure("thalamus", "left").full_name == "left-thalamus"
    assert structure("brainstem").full_name == "brainstem"


def test_unknown_names_say_what_would_be_right() -> None:
    with pytest.raises(ValueError, match="choose one of lateral-ventricle"):
        structure("thalmus", "left")
    with pytest.raises(ValueError, match="side must be one of left, right, midline"):
        structure("thalamus", "up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="thalamus has no side 'midline': it is left or right"):
        structure("thalamus")
    with pytest.raises(ValueError, match="brainstem has no side 'left': it is midline only"):
        structure("brainstem", "left")
