"""Which structure each token holds, on grids over a head and in blocks of voxels."""

import numpy as np
import pytest
import torch

from toposlearn.anatomy import LabelMap, load_donor_map, structure
from toposlearn.anatomy.vocabulary import BY_LABEL
from toposlearn.relations.frame import centroids
from toposlearn.studies.resolution.tokens import TokenStructures, head_points, tokens_of_blocks, tokens_on_box

THALAMUS, PUTAMEN = structure("thalamus", "left"), structure("putamen", "left")


def head_of(labels: np.ndarray, spacing: float = 2.0) -> LabelMap:
    return LabelMap(labels.astype(np.int16), np.diag([spacing, spacing, spacing, 1.0]), "toy", "test")


@pytest.fixture
def toy() -> LabelMap:
    """8³ voxels of 2 mm: thalamus fills the left half, putamen a quarter of the right one."""
    labels = np.zeros((8, 8, 8))
    labels[:4], labels[4:, :4, :4] = THALAMUS.label, PUTAMEN.label
    return head_of(labels)


def naive_shares(labels: torch.Tensor, stride: int, wanted: list[int]) -> np.ndarray:
    rows = []
    for i in range(0, labels.shape[0], stride):
        for j in range(0, labels.shape[1], stride):
            for k in range(0, labels.shape[2], stride):
                block = labels[i : i + stride, j : j + stride, k : k + stride]
                rows.append([float((block == label).float().mean()) for label in wanted])
    return np.array(rows)


def test_shares_of_blocks_equal_a_loop() -> None:
    wanted = [2, 3, 105]
    labels = torch.tensor([0, *wanted])[torch.randint(4, (4, 6, 8), generator=torch.Generator().manual_seed(0))]
    tokens = tokens_of_blocks(labels, 2, 3.0, [BY_LABEL[label] for label in wanted])
    assert [each.label for each in tokens.structures] == wanted
    np.testing.assert_allclose(tokens.shares, naive_shares(labels, 2, wanted))
    assert tokens.positions[0].tolist() == [-3.0, -6.0, -9.0]


def test_structures_can_be_chosen_and_others_count_as_none() -> None:
    labels = torch.zeros(2, 2, 2, dtype=torch.int16)
    labels[0], labels[1] = THALAMUS.label, 204
    tokens = tokens_of_blocks(labels, 2, 1.0, [PUTAMEN, THALAMUS])
    assert tokens.shares.tolist() == [[0.0, 0.5]]
    assert tokens.homes.tolist() == [-1, 0]


def test_on_a_box_as_in_blocks(toy: LabelMap) -> None:
    boxed = tokens_on_box(head_points(toy), 2, box=16.0)
    blocks = tokens_of_blocks(torch.from_numpy(toy.labels), 4, 2.0, [THALAMUS, PUTAMEN])
    np.testing.assert_allclose(boxed.shares, blocks.shares)
    np.testing.assert_allclose(boxed.positions, blocks.positions)
    np.testing.assert_allclose(boxed.shares[:, 0], [1, 1, 1, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(boxed.shares[4], [0, 1])


def test_dominant_home_and_mixing() -> None:
    shares = np.array([[0.5, 0.5, 0.0], [0.1, 0.3, 0.2], [0.0, 0.0, 0.0], [0.4, 0.0, 0.1]])
    parts = (THALAMUS, PUTAMEN, structure("pallidum", "left"))
    tokens = TokenStructures(parts, shares, (4, 1, 1), 1.0)
    values = np.arange(12.0).reshape(4, 3)
    assert tokens.dominant.tolist() == [0, 1, -1, 0]
    assert tokens.homes.tolist() == [0, 0, 1]
    assert tokens.mixing[0] == pytest.approx(2)
    assert np.isnan(tokens.mixing[2])
    assert tokens.same_home()[0].tolist() == [True, True, False]
    np.testing.assert_allclose(tokens.read(values, "home")[2], [3, 4, 5])
    np.testing.assert_allclose(tokens.read(values, "mean")[2], [5, 6, 7])  # (2 x 4 + 1 x 10) / 3 = 6 in y


def test_fine_tokens_give_the_centroid_and_the_volume_back() -> None:
    donor = load_donor_map("10021")
    head = head_points(donor, step=1.0)
    labels, _, world = centroids(donor)
    assert [each.label for each in head.structures] == labels.tolist()
    np.testing.assert_allclose(head.centers + head.middle, world, atol=1e-6)
    tokens = tokens_on_box(head, 48)
    assert np.abs(tokens.read(tokens.positions, "mean") - head.centers).max() < 1  # mm, of tokens of 4 mm
    volumes = tokens.shares.sum(axis=0) * 4.0**3 / 1000
    np.testing.assert_allclose(volumes, [donor.volumes[label] for label in labels.tolist()])


def test_a_pose_moves_the_head_and_keeps_its_shape(toy: LabelMap) -> None:
    head = head_points(toy)
    turn = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0]])  # posed -> original: a quarter turn
    turned = tokens_on_box(head.posed(turn), 2, 16.0)
    back = turned.shares[:, 0].reshape(2, 2, 2)[:, 0]  # what was left
    np.testing.assert_allclose(back, 1)
    shift = np.eye(3, 4)
    shift[0, 3] = -8  # what was at 0 now lies at 8: the right half leaves the box
    moved = tokens_on_box(head.posed(shift), 2, 16.0)
    assert moved.homes.tolist() == [4, -1]
    assert np.isnan(moved.read(moved.positions)[1]).all()
    large = head.posed(np.eye(3, 4) / 2)
    np.testing.assert_allclose(large.points, 2 * head.points)
    assert large.volume == pytest.approx(8 * head.volume)


def test_the_middle_stays_when_structures_are_left_out(toy: LabelMap) -> None:
    head = head_points(toy)
    only = head.of([PUTAMEN])
    np.testing.assert_array_equal(only.middle, head.middle)
    np.testing.assert_allclose(only.centers[0], head.centers[1])
