import numpy as np
import pytest

from toposlearn.anatomy import load_donor_map, load_label_map, structure
from toposlearn.cohort.head import load_head
from toposlearn.studies.realism import measure
from toposlearn.studies.realism.published import PUBLISHED

LEFT, RIGHT = (structure("thalamus", side).label for side in ("left", "right"))
APART, WHITE = structure("amygdala", "left").label, structure("cerebral-white-matter", "left").label


def test_volumes_add_up_both_sides_and_groups():
    volumes = measure.group_volumes(load_label_map("A"))
    assert volumes["cerebellum"] == pytest.approx(volumes["cerebellum-cortex"] + volumes["cerebellum-white-matter"])
    assert volumes["intracranial"] == pytest.approx(volumes["brain"] + volumes["fluid"])
    label_map = load_label_map("A")
    sides = [label_map.volumes[structure("thalamus", side).label] for side in ("left", "right")]
    assert volumes["thalamus"] == pytest.approx(sum(sides))


def test_a_map_of_gray_matter_alone_has_no_brain_volume():
    volumes = measure.group_volumes(load_donor_map("9861"))
    assert "brain" not in volumes
    assert volumes["hippocampus"] > 1


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_jacobian_of_a_turned_and_scaled_map(scale):
    affine = np.array([[0, -2, 0, 5], [2, 0, 0, -3], [0, 0, 4, 1], [0, 0, 0, 1]], dtype=float)
    voxels = np.moveaxis(np.indices((6, 7, 8)), 0, -1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    assert measure.jacobian((scale * world).astype(np.float32), affine) == pytest.approx(scale**3, rel=1e-4)


def test_a_mirrored_map_is_folded():
    voxels = np.moveaxis(np.indices((4, 4, 4)), 0, -1).astype(np.float32)
    assert (measure.jacobian(voxels * [-1, 1, 1], np.eye(4)) < 0).all()


def test_mass_effect_reads_rings_around_the_lesion():
    brain = np.ones((60, 20, 20), dtype=bool)
    lesion = np.zeros(brain.shape, dtype=np.uint8)
    lesion[:5] = 1
    size = np.ones(brain.shape)
    size[:5], size[5:7] = 3.0, 0.5  # 2 mm voxels: the first ring is two voxels wide
    effect = measure.mass_effect(size, lesion, brain, np.full(3, 2.0))
    rings = PUBLISHED["rows"]["local size around a mass"]
    assert effect == pytest.approx(dict(zip(rings, [3.0, 0.5, 1.0, 1.0, 1.0], strict=True)))
    assert measure.mass_effect(size, 0 * lesion, brain, np.full(3, 2.0)) == {}


def test_the_template_is_the_same_as_itself_and_not_when_moved():
    head = load_head("A")
    part = head.labels[::4, ::4, ::4]
    voxels = np.moveaxis(np.indices(part.shape), 0, -1) * 4
    place = (voxels @ head.affine[:3, :3].T + head.affine[:3, 3]).astype(np.float32)
    assert measure.same_as_template(part, place, head) == 1
    assert measure.same_as_template(part, place + 8, head) < 0.8


def touching(labels):
    """Pairs of labels that touch."""
    numbers = [number for _, numbers in measure.touching_pairs(labels) for number in numbers.values()]
    return [divmod(int(number), 1000) for number in numbers]


def test_structures_touch_when_they_share_enough_faces():
    labels = np.zeros((9, 5, 5), dtype=np.int16)
    labels[:3], labels[3:6], labels[7:] = LEFT, RIGHT, APART  # left and right share a wall of 25 faces
    assert touching(labels) == [(LEFT, RIGHT)]
    assert touching(labels[:, :5, :2]) == [(LEFT, RIGHT)]  # ten faces
    assert touching(labels[:, :3, :3]) == []  # nine
    labels[3:6] = WHITE  # which the donors do not have
    assert touching(labels) == []


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbors_are_found_whichever_way_a_label_map_is_stored(dtype, order, axis):
    """Turned, in another order in memory, or in a type in which labels times labels would overflow."""
    labels = np.zeros((6, 5, 2), dtype=dtype)
    labels[:3], labels[3:] = RIGHT, LEFT
    stored = np.asarray(np.flip(np.moveaxis(labels, 0, axis), axis=axis), order=order)
    assert stored.dtype == dtype
    assert touching(stored) == [(LEFT, RIGHT)]


def test_a_single_voxel_has_no_neighbors():
    assert touching(np.full((1, 1, 1), LEFT, dtype=np.int16)) == []
