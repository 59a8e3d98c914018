"""Mutual information in closed form, and offsets that are known because they were made."""

import dataclasses

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from toposlearn.data.gate.alignment import (
    SIDE,
    SPACING,
    coarse_head,
    joint_histogram,
    nmi_at,
    normalized_mutual_information,
    pair_evidence,
    peak,
    shrink,
)
from toposlearn.data.gate.assessment import read_subject


def nmi(*images, **options):
    return normalized_mutual_information(joint_histogram(*images, **options))


def test_mutual_information_in_closed_form():
    generator = np.random.default_rng(0)
    a = np.repeat([0, 1, 2, 3], 1000)
    assert nmi(a, a, bins=4) == pytest.approx(2)
    assert nmi(a, np.array([9, 3, 6, 0])[a], bins=4) == pytest.approx(2)  # any relation
    assert nmi(a, np.tile([0, 1], 2000), bins=4) == pytest.approx(1)
    half = np.where(generator.random(4000) < 0.5, a, generator.permutation(a))
    assert 1.1 < nmi(a, half, bins=4) < 1.4
    assert nmi(a // 2, a, bins=4) == pytest.approx(3 / 2)  # (1 + 2) bits / 2 bits
    assert nmi(np.zeros(9), np.zeros(9)) == 1


def test_a_mask_chooses_and_order_and_scale_do_not_matter():
    generator = np.random.default_rng(1)
    a = generator.random((6, 7, 8))
    b = a + 0.3 * generator.random(a.shape)
    mask = a > 0.4
    value = nmi(a, b, mask=mask)
    assert value == pytest.approx(nmi(a[mask], b[mask]))
    assert value == pytest.approx(nmi(-3 * b + 7, a, mask=mask))
    for other, where in ((b[1:], None), (b, np.zeros_like(mask))):
        with pytest.raises(ValueError, match="one shape, and a place in the mask"):
            joint_histogram(a, other, where)


def test_the_joint_histogram_counts_pairs():
    joint = joint_histogram([0, 0, 1, 1], [5, 9, 9, 9], bins=2)
    np.testing.assert_allclose(joint, [[0.25, 0.25], [0, 0.5]])


def test_the_peak_of_a_parabola():
    top = np.array([1.0, -2, 0.5, 0, 3, -1])
    at = np.concatenate([np.zeros((1, 6)), 6 * np.eye(6), -6 * np.eye(6)])
    np.testing.assert_allclose(peak(-((at - top) ** 2).sum(1), 6.0), top)
    np.testing.assert_allclose(peak(at[:, 2], 6.0), [0, 0, 6, 0, 0, 0])  # uphill all the way: one step


@pytest.fixture(scope="module")
def subject(manifest):
    return manifest.records[0]


@pytest.fixture(scope="module")
def head(subject):
    return read_subject(subject, ("T1w", "T2w", "FLAIR")).head


def test_a_person_on_the_coarse_grid(head, subject):
    assert head.volumes.shape == head.inside.shape == head.foreground.shape == (3, SIDE, SIDE, SIDE)
    brain = np.asarray(nib.load(subject.images["T1w"]).dataobj) > 100
    voxel = np.prod(nib.load(subject.images["T1w"]).header.get_zooms())
    assert 1 < head.foreground[0].sum() * SPACING**3 / (brain.sum() * voxel) < 1.3  # its rim is part air
    middle = np.argwhere(head.foreground[0]).mean(0)
    np.testing.assert_allclose(middle, [(SIDE - 1) / 2] * 3, atol=1)
    assert not head.inside.all()
    assert head.inside[head.foreground].all()


def test_registered_images_have_their_maximum_where_they_lie(head):
    for evidence in pair_evidence(head).values():
        assert evidence.displacement < 0.7
        assert evidence.overlap > 0.9
        assert evidence.coverage > 0.9
        assert evidence.null is None
    shifts = np.zeros((7, 6))
    shifts[:, 1] = np.arange(-9, 10, 3)
    assert nmi_at(head, "T1w", "T2w", shifts).argmax() == 3


@pytest.mark.parametrize(
    ("shift", "turn"),
    [((3, 0, 0), (0, 0, 0)), ((0, -8, 6), (0, 0, 0)), ((0, 0, 0), (0, 5, 0)), ((-12, 9, 15), (9, -12, 8))],
)
def test_a_known_offset_is_found(subject, shift, turn):
    """The second image's affine lies by a rigid motion about the head's center."""
    images = {name: (image.get_fdata(), image.affine) for name, image in loaded(subject).items()}
    center = nib.affines.apply_affine(images["T1w"][1], np.argwhere(images["T1w"][0] > 100).mean(0))
    linear = Rotation.from_rotvec(turn, degrees=True).as_matrix()
    lie = nib.affines.from_matvec(linear, center + shift - linear @ center)
    images["T2w"] = (images["T2w"][0], lie @ images["T2w"][1])
    evidence = pair_evidence(coarse_head({name: shrink(*image) for name, image in images.items()}))["T1w", "T2w"]
    assert evidence.shift == pytest.approx(np.linalg.norm(shift), abs=1)
    assert evidence.turn == pytest.approx(np.linalg.norm(turn), abs=1)
    assert evidence.displacement > 1.5
    middle = nmi_at(coarse_head({n: shrink(*i) for n, i in images.items()}), "T1w", "T2w", [[0] * 6, [*shift, *turn]])
    assert middle[1] > middle[0]


def loaded(subject):
    return {name: nib.load(subject.images[name]) for name in ("T1w", "T2w")}


def test_a_crop_is_no_offset(subject):
    images = {name: (image.get_fdata(), image.affine) for name, image in loaded(subject).items()}
    data, affine = images["T2w"]
    cut = nib.affines.from_matvec(np.eye(3), (0, 0, 25))
    images["T2w"] = (data[:, :, 25:70], affine @ cut)
    evidence = pair_evidence(coarse_head({name: shrink(*image) for name, image in images.items()}))["T1w", "T2w"]
    assert evidence.displacement < 1
    assert 0.3 < evidence.coverage < 0.9
    assert evidence.overlap > 0.9


def test_thick_slices_and_other_axes_are_no_offset(subject):
    images = {name: (image.get_fdata(), image.affine) for name, image in loaded(subject).items()}
    data, affine = images["T2w"]
    thick = ndimage.zoom(data, (1, 1, 0.4), order=1, grid_mode=True, mode="nearest")
    scale = np.diag([1, 1, data.shape[2] / thick.shape[2], 1])
    middle = nib.affines.from_matvec(np.eye(3), (0, 0, (scale[2, 2] - 1) / 2 / scale[2, 2]))
    image = nib.Nifti1Image(thick, affine @ scale @ middle).as_reoriented([[1, -1], [2, 1], [0, 1]])
    images["T2w"] = (image.get_fdata(), image.affine)
    evidence = pair_evidence(coarse_head({name: shrink(*image) for name, image in images.items()}))["T1w", "T2w"]
    assert evidence.displacement < 1


def test_fields_of_view_that_share_nothing_say_nothing(head):
    inside = head.inside.copy()
    inside[1, :, :, SIDE // 2 :], inside[0, :, :, : SIDE // 2] = False, False
    apart = dataclasses.replace(head, inside=inside, foreground=head.foreground & inside)
    evidence = pair_evidence(apart)["T1w", "T2w"]
    assert evidence.coverage < 0.1
    assert evidence.displacement == np.inf


def test_other_people_make_the_null(head, manifest):
    others = [read_subject(record, ("T1w", "T2w")).head for record in manifest.records[1:4]]
    all_pairs = pair_evidence(head, others)
    evidence = all_pairs["T1w", "T2w"]
    assert 1 < evidence.null < evidence.nmi - 0.05
    assert evidence.null == max(pair_evidence(head, [other])["T1w", "T2w"].null for other in others)
    assert all_pairs["T1w", "FLAIR"].null is None  # they have none
