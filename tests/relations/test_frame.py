from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff
from phantom import phantom, posed

from toposlearn.anatomy import LabelMap, Structure, load_donor_map, load_label_map, structure
from toposlearn.relations.frame import body_frame, centroids, frame_of
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import RELATIONS, relation_margins


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


def test_a_single_known_pair_determines_no_pitch_on_a_real_head() -> None:
    """Left and right of one name differ by noise in the sagittal plane, and noise must not turn the head over."""
    whole = load_donor_map("9861")
    names = {
        label: each if each.name == "thalamus" else Structure(label, f"my-{each.name}", each.side, "unknown")
        for label, each in whole.structures.items()
    }
    frame = frame_of(LabelMap(whole.labels, whole.affine, "own names", whole.source, names))
    assert frame.scanner_pitch
    assert frame.axes[2, 2] > 0.9


def same_relations(changed: LabelMap, honest: Layout) -> None:
    measured = layout(changed)
    for relation in RELATIONS:
        np.testing.assert_allclose(relation_margins(measured, relation), relation_margins(honest, relation), atol=1e-6)


ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((-1, 1), repeat=3)]


def test_a_wrong_affine_changes_no_relation_and_a_mirror_is_noticed() -> None:
    """Axes called by other names: the structures show where front and top are."""
    subject = load_label_map("B")
    honest = layout(subject)
    for order, signs in ORIENTATIONS:
        turn = np.eye(4)
        turn[:3, :3] = np.eye(3)[list(order)] * signs
        changed = replace(subject, affine=turn @ subject.affine)
        same_relations(changed, honest)
        assert layout(changed).mirrored == (np.linalg.det(turn) < 0)


def test_a_head_stored_in_any_of_the_48_orientations_is_the_same_person() -> None:
    """Voxels turned and the affine with them, as scanners and converters do."""
    whole = load_label_map("B")
    subject = replace(whole, labels=whole.labels[::2, ::2, ::2], affine=whole.affine @ np.diag([2.0, 2, 2, 1]))
    honest = layout(subject)
    for order, signs in ORIENTATIONS:
        ornt = np.column_stack([order, signs])
        affine = subject.affine @ inv_ornt_aff(ornt, subject.labels.shape)
        same_relations(replace(subject, labels=apply_orientation(subject.labels, ornt), affine=affine), honest)
