import numpy as np
import pytest
from phantom import phantom
from scipy.spatial.transform import Rotation

from toposlearn.anatomy import LabelMap, load_donor_map
from toposlearn.relations.frame import centroids
from toposlearn.relations.layout import boundary_gaps, shared_boundaries


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 5.0)])
def test_gaps_are_between_the_nearest_faces(spacing: tuple[float, float, float]) -> None:
    whole = phantom()
    subject = LabelMap(whole.labels, np.diag([*spacing, 1.0]), "stretched", whole.source)
    labels = centroids(subject)[0]
    gaps, near = boundary_gaps(subject, labels), boundary_gaps(subject, labels, within=15.0)
    for i, a in enumerate(labels.tolist()):
        for j, b in enumerate(labels.tolist()):
            apart = np.abs(np.argwhere(subject.labels == a)[:, None] - np.argwhere(subject.labels == b)[None])
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
    subject = LabelMap(labels, turned @ steps, "blocks", "made up")
    shared = shared_boundaries(subject, np.array([2, 3, 102]))
    expected = np.array([[0, 4 * 10, 12 * 15], [4 * 10, 0, 0], [12 * 15, 0, 0]])
    np.testing.assert_allclose(shared, expected)


def test_thick_slices_hide_no_gap() -> None:
    """The nearest faces need not belong to the nearest centers, nor to those that a first look finds."""
    donor = load_donor_map("9861")
    thick = LabelMap(donor.labels[:, :, ::6], donor.affine @ np.diag([1, 1, 6, 1]), "thick", donor.source)
    mirrored = LabelMap(thick.labels[::-1], thick.affine @ np.diag([-1, 1, 1, 1]), "mirrored", donor.source)
    labels = np.array(sorted(thick.volumes))
    gaps = boundary_gaps(thick, labels)
    assert (gaps[shared_boundaries(thick, labels) > 0] == 0).all()
    np.testing.assert_allclose(boundary_gaps(mirrored, labels), gaps, atol=1e-6)
