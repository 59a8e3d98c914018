import numpy as np
import pytest

from toposlearn.anatomy import LabelMap, load_label_map, structure
from toposlearn.relations.layout import layout
from toposlearn.relations.relations import relation_margin
from toposlearn.studies.homology.homology import betti_numbers
from toposlearn.studies.homology.reshape import changed_relations, drill, exchange_places

THALAMUS, PUTAMEN = structure("thalamus", "left"), structure("putamen", "left")


@pytest.fixture(scope="module")
def atlas() -> LabelMap:
    return load_label_map("A")


def cropped(head: LabelMap, label: int) -> np.ndarray:
    voxels = np.argwhere(head.labels == label)
    return voxels - voxels.min(axis=0)


def test_exchanged_structures_keep_their_shape_and_turn_their_relation_over(atlas: LabelMap) -> None:
    after = exchange_places(atlas, THALAMUS, PUTAMEN)
    for part in (THALAMUS, PUTAMEN):
        np.testing.assert_array_equal(cropped(atlas, part.label), cropped(after, part.label))
    before, changed = layout(atlas), layout(after)
    assert relation_margin(before, THALAMUS, "medial", PUTAMEN) > 10
    assert relation_margin(changed, THALAMUS, "medial", PUTAMEN) < -10
    turned, relations, _ = changed_relations(before, changed)
    assert relations == 3 * 40 * 39 // 2
    assert 0 < turned < 0.1 * relations


def test_a_drilled_structure_gets_one_tunnel_and_no_relation_notices(atlas: LabelMap) -> None:
    for axis in range(3):
        after = drill(atlas, THALAMUS, 2.5, axis)
        assert betti_numbers(after.labels == THALAMUS.label) == (1, 1, 0)
        turned, _, most = changed_relations(layout(atlas), layout(after))
        assert turned == 0
        assert 0 < most < 0.5
    assert betti_numbers(atlas.labels == THALAMUS.label) == (1, 0, 0)


def test_what_cannot_be_done_is_refused(atlas: LabelMap) -> None:
    with pytest.raises(ValueError, match="would overlap"):
        exchange_places(atlas, structure("pallidum", "left"), PUTAMEN)
    with pytest.raises(ValueError, match="would leave the image"):
        exchange_places(atlas, structure("frontal-cortex", "left"), structure("cerebellum-cortex", "right"))
    with pytest.raises(ValueError, match="axis must be 0"):
        drill(atlas, THALAMUS, axis=3)
    for radius in (-1.0, 100.0):
        with pytest.raises(ValueError, match="radius must remove some of left-thalamus"):
            drill(atlas, THALAMUS, radius)
    bare = LabelMap(np.zeros_like(atlas.labels), atlas.affine, "nobody", "made up")
    with pytest.raises(ValueError, match="nobody has no left-thalamus"):
        drill(bare, THALAMUS)
