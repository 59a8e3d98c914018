import sys

import numpy as np
import pytest

from toposlearn.anatomy import LabelMap, load_label_map, structure
from toposlearn.studies.homology.homology import betti_numbers
from toposlearn.studies.homology.persistence import (
    Diagram,
    diagram_distance,
    persistence_diagram,
    signed_distance,
    structure_diagram,
)

GRID = np.stack(np.meshgrid(*[np.arange(-14.0, 15.0)] * 3, indexing="ij"))  # (3, 29, 29, 29) mm
RADIUS = np.linalg.norm(GRID, axis=0)
BALL = RADIUS <= 6
SHELL = (RADIUS <= 11) & (RADIUS >= 7)
TORUS = (np.hypot(GRID[0], GRID[1]) - 9) ** 2 + GRID[2] ** 2 <= 3**2


@pytest.fixture(scope="module")
def atlas() -> LabelMap:
    return load_label_map("A")


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
    assert diagram.alive() == diagram.alive(longer_than=1) == betti == betti_numbers(mask)


def test_bars_are_as_long_as_the_shape_is_thick_and_its_hole_wide() -> None:
    cavity = persistence_diagram(SHELL).cavities[0]
    assert cavity == pytest.approx([-2, 7], abs=1)  # the shell is 4 mm thick, its hole has a radius of 7 mm
    tunnel = persistence_diagram(TORUS).tunnels[0]
    assert tunnel == pytest.approx([-3, 6], abs=1)  # tube of radius 3 mm around a circle of 9 mm


def test_two_balls_are_two_pieces_until_they_meet() -> None:
    two = np.roll(BALL, 7, 0) | np.roll(BALL, -7, 0)  # their surfaces are 2 mm apart
    pieces = persistence_diagram(two).pieces
    assert np.isinf(pieces[0, 1])
    assert pieces[1] == pytest.approx([-6, 1], abs=0.6)


@pytest.mark.parametrize("spacing", [2.0, (2.0, 2.0, 2.0)])
def test_levels_are_millimeters(spacing: float) -> None:
    one, two = persistence_diagram(TORUS), persistence_diagram(TORUS, spacing)
    np.testing.assert_allclose(two.tunnels[0], 2 * one.tunnels[0])


def test_the_sign_of_the_distance_is_the_mask() -> None:
    level = signed_distance(SHELL, (1.0, 1.5, 0.5))
    assert level.shape == (25, 25, 25)  # the box of 23 voxels and one around it
    assert np.array_equal(level < 0, SHELL[2:27, 2:27, 2:27])
    assert np.abs(level).min() == 0.25  # half of the smallest voxel


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_as_many_holes_as_are_counted(seed: int) -> None:
    mask = np.random.default_rng(seed).random((9, 10, 11)) < 0.4
    assert persistence_diagram(mask).alive() == betti_numbers(mask)


@pytest.mark.parametrize("name", ["thalamus", "putamen", "insula", "ventral-dc", "accumbens"])
def test_level_zero_agrees_with_the_betti_numbers_of_real_structures(atlas: LabelMap, name: str) -> None:
    part = structure(name, "left")
    assert structure_diagram(atlas, part).alive() == betti_numbers(atlas.labels == part.label)


def test_distance_of_diagrams() -> None:
    shell, ball = persistence_diagram(SHELL), persistence_diagram(BALL)
    assert diagram_distance(shell, persistence_diagram(np.roll(SHELL, 2, axis=1))) == 0
    cavity = shell.cavities[0]
    one = Diagram(ball.pieces, ball.tunnels, ball.cavities)
    with_cavity = Diagram(ball.pieces, ball.tunnels, cavity[None])
    assert diagram_distance(one, with_cavity) == pytest.approx((cavity[1] - cavity[0]) / 2)


def test_what_cannot_be_followed_is_refused(atlas: LabelMap, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="three axes"):
        persistence_diagram(np.ones((3, 3), dtype=bool))
    with pytest.raises(ValueError, match="at least one voxel"):
        persistence_diagram(np.zeros((3, 3, 3), dtype=bool))
    empty = LabelMap(np.zeros_like(atlas.labels), atlas.affine, "nobody", "made up")
    with pytest.raises(ValueError, match="nobody has no left-thalamus"):
        structure_diagram(empty, structure("thalamus", "left"))
    monkeypatch.setitem(sys.modules, "gudhi", None)
    with pytest.raises(ModuleNotFoundError, match=r"gudhi is not installed: pip install 'toposlearn\[homology\]'"):
        persistence_diagram(BALL)
