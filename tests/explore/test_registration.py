"""Pictures of registration: a moved image is seen in the joint histogram, and in where it shares most."""

import numpy as np
import pytest

from toposlearn.data.gate.alignment import coarse_head, pair_evidence
from toposlearn.explore.registration import plot_joint_histograms, plot_shifts, shift_curve

SHIFTS = list(range(-16, 17, 2))


@pytest.fixture(scope="module")
def images():
    """A head of uneven tissue, and the same with brightness turned upside down: (40, 44, 40), 4 mm."""
    random = np.random.default_rng(0)
    blocks = np.kron(random.uniform(0.3, 1, (10, 11, 10)), np.ones((4, 4, 4)))
    grid = np.indices(blocks.shape) - (np.array(blocks.shape) - 1)[:, None, None, None] / 2
    inside = np.linalg.norm(grid, axis=0) < 17
    return np.where(inside, blocks, 0), np.where(inside, 1.3 - blocks, 0)


def affine(shift=(0, 0, 0)):
    result = np.diag([4.0, 4.0, 4.0, 1.0])
    result[:3, 3] = shift
    return result


def head(images, shift=(0, 0, 0)):
    first, second = (image.astype(np.float32) for image in images)
    return coarse_head({"T1w": (first, affine()), "T2w": (second, affine(shift))})


def test_the_maximum_is_at_zero_where_images_are_registered(images):
    for axis in range(3):
        values = shift_curve(head(images), ("T1w", "T2w"), axis, SHIFTS)
        assert SHIFTS[int(values.argmax())] == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_moved_image_agrees_when_it_is_moved_back(images, axis):
    shift = np.zeros(3)
    shift[axis] = 8.0
    values = shift_curve(head(images, shift), ("T1w", "T2w"), axis, SHIFTS)
    assert SHIFTS[int(values.argmax())] == -8


def test_curves_and_their_dots(images):
    figure = plot_shifts({"right": head(images), "wrong": head(images, (0, 8, 0))}, ("T1w", "T2w"), SHIFTS)
    for ax, best in zip(figure.axes, (0, -8), strict=True):
        assert len(ax.lines) == 6
        assert ax.lines[3].get_xdata()[0] == best  # moved front
        assert ax.lines[3].get_ydata()[0] == max(ax.lines[2].get_ydata())


def test_joint_histograms_say_how_alike_the_images_are(images):
    first, second = images
    pairs = {"as they are": images, "moved": (first, np.roll(second, 2, axis=1))}
    heads = {"as they are": head(images), "moved": head(images, (0, 8, 0))}
    figure = plot_joint_histograms(pairs, heads, ("T1w", "T2w"))
    joint = [ax.images[0].get_array() for ax in figure.axes[2:]]
    stated = [float(ax.get_title().split()[-1]) for ax in figure.axes[2:]]
    assert stated[0] > stated[1] + 0.2
    assert joint[1].count() > 3 * joint[0].count()  # a cloud instead of a line
    assert [ax.get_title() for ax in figure.axes[:2]] == ["as they are", "moved"]


def test_a_pair_has_one_mutual_information_in_the_picture_and_in_the_assessment(images):
    moved = head(images, (0, 8, 0))
    figure = plot_joint_histograms({"moved": images}, {"moved": moved}, ("T1w", "T2w"))
    nmi = pair_evidence(moved)["T1w", "T2w"].nmi
    assert figure.axes[1].get_title() == f"normalized mutual information {nmi:.3f}"
    assert shift_curve(moved, ("T1w", "T2w"), 0, [0]) == pytest.approx(nmi, abs=0.01)


def test_brightness_across_and_up_are_those_of_the_first_and_second_image():
    first = np.zeros((8, 8, 8))
    first[2:6, 2:6, 2:6] = 1.0
    second = np.where(first > 0, np.linspace(0.2, 1, 8), 0)
    ax = plot_joint_histograms({"": (first, second)}, {"": head((first, second))}, ("T1w", "T2w")).axes[1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("brightness in T1w", "brightness in T2w")
    filled = np.argwhere(~np.ma.getmaskarray(ax.images[0].get_array()))
    assert len(set(filled[:, 1])) == 1  # the first image is constant: one column
    assert len(set(filled[:, 0])) == 4
