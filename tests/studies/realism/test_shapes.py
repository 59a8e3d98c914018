import numpy as np
import pytest

from toposlearn.anatomy import load_donor_map, load_label_map, structure
from toposlearn.cohort.head import load_head
from toposlearn.studies.realism import shapes


def test_volumes_add_up_both_sides_and_groups():
    volumes = shapes.group_volumes(load_label_map("A"))
    assert volumes["cerebellum"] == pytest.approx(volumes["cerebellum-cortex"] + volumes["cerebellum-white-matter"])
    assert volumes["intracranial"] == pytest.approx(volumes["brain"] + volumes["fluid"])
    label_map = load_label_map("A")
    sides = [label_map.volumes[structure("thalamus", side).label] for side in ("left", "right")]
    assert volumes["thalamus"] == pytest.approx(sum(sides))


def test_a_map_of_gray_matter_alone_has_no_brain_volume():
    volumes = shapes.group_volumes(load_donor_map("9861"))
    assert "brain" not in volumes
    assert volumes["hippocampus"] > 1


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_jacobian_of_a_turned_and_scaled_map(scale):
    affine = np.array([[0, -2, 0, 5], [2, 0, 0, -3], [0, 0, 4, 1], [0, 0, 0, 1]], dtype=float)
    voxels = np.moveaxis(np.indices((6, 7, 8)), 0, -1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    assert shapes.jacobian((scale * world).astype(np.float32), affine) == pytest.approx(scale**3, rel=1e-4)


def test_a_mirrored_map_is_folded():
    voxels = np.moveaxis(np.indices((4, 4, 4)), 0, -1).astype(np.float32)
    assert (shapes.jacobian(voxels * [-1, 1, 1], np.eye(4)) < 0).all()


def test_mass_effect_reads_rings_around_the_lesion():
    brain = np.ones((60, 20, 20), dtype=bool)
    lesion = np.zeros(brain.shape, dtype=np.uint8)
    lesion[:5] = 1
    size = np.ones(brain.shape)
    size[:5], size[5:7] = 3.0, 0.5  # 2 mm voxels: the first ring is two voxels wide
    effect = shapes.mass_effect(size, lesion, brain, np.full(3, 2.0))
    assert list(effect) == list(shapes.RINGS)
    assert list(effect.values()) == pytest.approx([3.0, 0.5, 1.0, 1.0, 1.0])


def test_the_template_is_the_same_as_itself_and_not_when_moved():
    head = load_head("A")
    part = head.labels[::4, ::4, ::4]
    voxels = np.moveaxis(np.indices(part.shape), 0, -1) * 4
    place = (voxels @ head.affine[:3, :3].T + head.affine[:3, 3]).astype(np.float32)
    assert shapes.same_as_template(part, place, head) == 1
    assert shapes.same_as_template(part, place + 8, head) < 0.8


def test_structures_touch_when_they_share_enough_faces():
    labels = np.zeros((9, 5, 5), dtype=np.int16)
    labels[:3], labels[3:6], labels[7:] = 2, 101, 3  # 2 and 101 share a wall of 25 faces, 3 lies apart
    assert shapes.touching_pairs(labels) == {frozenset({2, 101})}
    assert shapes.touching_pairs(labels[:, :5, :2]) == {frozenset({2, 101})}  # ten faces
    assert shapes.touching_pairs(labels[:, :3, :3]) == set()  # nine
    two = [{frozenset(pair) for pair in pairs} for pairs in ([(1, 2), (2, 3)], [(2, 3), (3, 4)])]
    assert shapes.pairwise_shared(two) == pytest.approx(np.array([[0, 1 / 3], [1 / 3, 0]]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbors_are_found_whichever_way_a_label_map_is_stored(dtype, order, axis):
    """Turned, in another order in memory, or in a type in which labels times labels would overflow."""
    labels = np.zeros((6, 5, 2), dtype=dtype)
    labels[:3], labels[3:] = 101, 2
    stored = np.asarray(np.flip(np.moveaxis(labels, 0, axis), axis=axis), order=order)
    assert stored.dtype == dtype
    assert shapes.touching_pairs(stored) == {frozenset({2, 101})}


def test_a_single_voxel_has_no_neighbors():
    assert shapes.touching_pairs(np.ones((1, 1, 1), dtype=np.int16)) == set()
