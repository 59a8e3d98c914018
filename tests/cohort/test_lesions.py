"""Lesions: each kind lies where it belongs, has its parts from the inside out, and a label for each."""

import numpy as np
import pytest
import torch

from toposlearn.cohort import LESIONS
from toposlearn.cohort.contrast import ALL_TISSUES
from toposlearn.cohort.lesions import KINDS, LESION_LABELS, Lesion, draw_lesion
from toposlearn.cohort.tissue import stage_of


@pytest.fixture(scope="module")
def stage():
    return stage_of("A")


def drawn(stage, name: str, number: int = 0) -> Lesion:
    return draw_lesion(np.random.default_rng(number), name, stage.lesion_sites, stage.grid)


def test_every_kind_is_described():
    assert set(KINDS) == {"glioma", *LESIONS}
    for kind in KINDS.values():
        edges = [part.outer for part in kind.parts]
        assert edges == sorted(edges)
        assert edges[-1] == 1.0
        assert {part.tissue for part in kind.parts} <= set(ALL_TISSUES)
        assert {part.label for part in kind.parts} <= set(LESION_LABELS.values())
    assert [LESION_LABELS[name] for name in ("core", "edema", "enhancing")] == [1, 2, 3]  # BraTS 2023


@pytest.mark.parametrize("name", KINDS)
def test_foci_are_as_many_and_as_large_as_said(stage, name):
    kind = KINDS[name]
    for number in range(10):
        lesion = drawn(stage, name, number)
        assert kind.foci[0] <= len(lesion.centers) <= kind.foci[1]
        assert len(lesion.radii) == len(lesion.centers)
        assert kind.radius[0] <= lesion.radii.min() <= lesion.radii.max() <= kind.radius[1]


def at(lesion: Lesion, stage, places: np.ndarray) -> np.ndarray:
    points = torch.as_tensor(places, dtype=torch.float32)[:, None, None]
    return lesion.relative_distance(points, stage.grid)[:, 0, 0].numpy()


def test_distance_is_that_to_the_nearest_focus(stage):
    lesion = drawn(stage, "metastases")
    np.testing.assert_allclose(at(lesion, stage, lesion.centers), 0, atol=1e-5)
    steps = np.linspace(0, 200, 50)[:, None] * [1.0, 0.0, 0.0]
    assert at(lesion, stage, lesion.centers[0] + steps)[-1] > 3


def test_a_stroke_stays_on_its_side(stage):
    lesion = drawn(stage, "stroke")
    mirrored = lesion.centers * [-1, 1, 1]
    assert np.isinf(at(lesion, stage, mirrored)).all()
    assert np.isfinite(at(lesion, stage, lesion.centers)).all()


def test_lesions_of_white_matter_lie_near_the_ventricles(stage):
    head = stage.head
    ventricle = np.argwhere(head.mask("lateral-ventricle")) @ head.affine[:3, :3].T + head.affine[:3, 3]
    centers = drawn(stage, "white-matter-lesions").centers
    assert len(centers) >= KINDS["white-matter-lesions"].foci[0] > 1
    for center in centers:
        assert np.linalg.norm(ventricle - center, axis=1).min() < 16  # mm


def test_only_a_mass_pushes(stage):
    for name, kind in KINDS.items():
        length = np.linalg.norm(drawn(stage, name).velocity(stage.grid), axis=0).max()
        assert (length > 0) == (kind.push > 0)
    large = drawn(stage, "high-grade-glioma")
    expected = large.kind.push * large.radii[0]
    assert np.linalg.norm(large.velocity(stage.grid), axis=0).max() == pytest.approx(expected, rel=0.05)
