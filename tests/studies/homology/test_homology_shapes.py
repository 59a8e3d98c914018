from dataclasses import replace

import numpy as np
import pytest

from toposlearn.anatomy import LabelMap, load_label_map, structure
from toposlearn.relations.layout import layout
from toposlearn.relations.relations import relation_margin
from toposlearn.studies.homology.shapes import (
    betti_numbers,
    changed_relations,
    count_alive,
    diagram_distance,
    drill,
    exchange_places,
    persistence_diagram,
)

THALAMUS, PUTAMEN = structure("thalamus", "left"), structure("putamen", "left")
GRID = np.stack(np.meshgrid(*[np.arange(-14.0, 15.0)] * 3, indexing="ij"))  # (3, 29, 29, 29) mm
RADIUS = np.linalg.norm(GRID, axis=0)
BALL = RADIUS <= 6
SHELL = (RADIUS <= 11) & (RADIUS >= 7)
TORUS = (np.hypot(GRID[0], GRID[1]) - 9) ** 2 + GRID[2] ** 2 <= 3**2


@pytest.fixture(scope="module")
def atlas() -> LabelMap:
    return load_label_map("A")


def test_betti_numbers_count_pieces_tunnels_and_cavities() -> None:
    ball = np.zeros((9, 9, 9), dtype=bool)
    ball[2:7, 2:7, 2:7] = True
    assert betti_numbers(ball) == (1, 0, 0)
    shell = ball.copy()
    shell[4, 4, 4] = False
    assert betti_numbers(shell) == (1, 0, 1)
    ring = ball.copy()
    ring[4, 4, :] = False
    assert betti_numbers(ring) == (1, 1, 0)
    assert betti_numbers(np.concatenate([ball, ring])) == (2, 1, 0)


def test_betti_numbers_do_not_depend_on_neighbors() -> None:
    """Thalamus and putamen under each other's name: the relation turns over, and both stay one piece without a hole."""
    head, parts = load_label_map("B"), (structure("thalamus", "left"), structure("putamen", "left"))
    thalamus, putamen = (head.labels == part.label for part in parts)
    swapped = replace(head, labels=np.select([thalamus, putamen], [parts[1].label, parts[0].label], head.labels))
    for subject, sign in ((head, 1), (swapped, -1)):
        assert sign * relation_margin(layout(subject), parts[0], "medial", parts[1]) > 10  # mm
        assert [betti_numbers(subject.labels == part.label) for part in parts] == [(1, 0, 0)] * 2


@pytest.mark.parametrize(
    ("mask", "betti"),
    [
        (BALL, (1, 0, 0)),
        (SHELL, (1, 0, 1)),
        (TORUS, (1, 1, 0)),
        (np.roll(BALL, 7, 0) | np.roll(BALL, -7, 0), (2, 0, 0)),
    ],
    ids=["ball", "shell", "torus", "two balls"],
)
def test_known_shapes_have_their_holes_and_nothing_else_lives_long(mask: np.ndarray, betti: tuple[int, ...]) -> None:
    diagram = persistence_diagram(mask)
    assert count_alive(diagram) == count_alive(diagram, longer_than=1) == betti == betti_numbers(mask)


def test_bars_are_as_long_as_the_shape_is_thick_and_its_hole_wide() -> None:
    cavity = persistence_diagram(SHELL)[2][0]
    assert cavity == pytest.approx([-2, 7], abs=1)  # the shell is 4 mm thick, its hole has a radius of 7 mm
    tunnel = persistence_diagram(TORUS)[1][0]
    assert tunnel == pytest.approx([-3, 6], abs=1)  # tube of radius 3 mm around a circle of 9 mm


def test_two_balls_are_two_pieces_until_they_meet() -> None:
    two = np.roll(BALL, 7, 0) | np.roll(BALL, -7, 0)  # their surfaces are 2 mm apart
    pieces = persistence_diagram(two)[0]
    assert np.isinf(pieces[0, 1])
    assert pieces[1] == pytest.approx([-6, 1], abs=0.6)


@pytest.mark.parametrize("spacing", [2.0, (2.0, 2.0, 2.0)])
def test_levels_are_millimeters(spacing: float) -> None:
    one, two = persistence_diagram(TORUS), persistence_diagram(TORUS, spacing)
    np.testing.assert_allclose(two[1][0], 2 * one[1][0])


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_as_many_holes_as_are_counted(seed: int) -> None:
    mask = np.random.default_rng(seed).random((9, 10, 11)) < 0.4
    assert count_alive(persistence_diagram(mask)) == betti_numbers(mask)


@pytest.mark.parametrize("name", ["thalamus", "putamen", "insula", "ventral-dc", "accumbens"])
def test_level_zero_agrees_with_the_betti_numbers_of_real_structures(atlas: LabelMap, name: str) -> None:
    part = structure(name, "left")
    mask = atlas.labels == part.label
    assert count_alive(persistence_diagram(mask, atlas.spacing)) == betti_numbers(mask)


def test_distance_of_diagrams() -> None:
    shell, ball = persistence_diagram(SHELL), persistence_diagram(BALL)
    assert diagram_distance(shell, persistence_diagram(np.roll(SHELL, 2, axis=1))) == 0
    cavity = shell[2][0]
    assert diagram_distance(ball, (*ball[:2], cavity[None])) == pytest.approx((cavity[1] - cavity[0]) / 2)


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
    after = drill(atlas, THALAMUS)
    assert betti_numbers(after.labels == THALAMUS.label) == (1, 1, 0)
    turned, _, largest = changed_relations(layout(atlas), layout(after))
    assert turned == 0
    assert 0 < largest < 0.5
    assert betti_numbers(atlas.labels == THALAMUS.label) == (1, 0, 0)


def test_structures_that_cannot_exchange_places_are_refused(atlas: LabelMap) -> None:
    with pytest.raises(ValueError, match="would overlap or leave the image"):
        exchange_places(atlas, structure("pallidum", "left"), PUTAMEN)
    with pytest.raises(ValueError, match="would overlap or leave the image"):
        exchange_places(atlas, structure("frontal-cortex", "left"), structure("cerebellum-cortex", "right"))
