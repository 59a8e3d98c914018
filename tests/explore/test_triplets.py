import math

import pytest
import torch
from matplotlib.colors import to_hex

from toposlearn.explore.triplets import ANCHOR, HINGE, NEGATIVE, POSITIVE, anchor_triplets, plot_triplets
from toposlearn.losses import inter_instance_loss, intra_instance_loss, ordered_pairs
from toposlearn.topology import mutual_matches, nearest_neighbors, random_matches, sample_negatives

SHAPE, STRIDE, N, K = (8, 8, 8), 2, 64, 4


def draw(seed):
    return torch.Generator().manual_seed(seed)


def two_people(seed=0):
    """Tokens (2, N, F) of two people in two modalities that half agree, and masks (2, N)."""
    tokens_a, change = torch.randn(2, 2, N, 6, generator=draw(seed))
    return tokens_a, tokens_a + 0.8 * change, torch.rand(2, N, generator=draw(seed + 1)) < 0.8


@pytest.mark.parametrize("form", ["within", "cross"])
@pytest.mark.parametrize("way", ["given", "semi_hard"])
def test_intra_loss_is_the_mean_of_its_anchors(form, way):
    a, b, mask = two_people()
    negatives = sample_negatives(nearest_neighbors(a, K, mask), N, K, mask, draw(2)) if way == "given" else way
    subjects = []
    for s in range(2):
        settings = {"k": K, "margin": 0.3, "mask_a": mask[s], "mask_b": mask[s], "form": form}
        given = way if way == "semi_hard" else negatives[s]
        each = [anchor_triplets(a[s], b[s], i, negatives=given, **settings).value for i in range(N)]
        assert [math.isnan(value) for value in each] == (~mask[s]).tolist()
        subjects.append(torch.tensor(each).nanmean())
    loss = intra_instance_loss(a, b, k=K, margin=0.3, mask=mask, negatives=negatives, form=form)
    assert torch.stack(subjects).mean() == pytest.approx(float(loss), abs=1e-5)
    assert loss > 0


@pytest.mark.parametrize("matcher", ["mutual", "random"])
@pytest.mark.parametrize("way", ["given", "semi_hard"])
def test_inter_loss_is_the_mean_of_its_anchors(matcher, way):
    a, b, mask = two_people()
    q = [1, 0]
    mutual = mutual_matches(a, b, mask, mask, pairs=ordered_pairs(2))
    triplets = mutual if matcher == "mutual" else random_matches(mask, mask[q], draw(5))
    given = torch.randint(N, (2, N, K), generator=draw(6))
    given[:, :, 0] = -1  # a triplet that is left out
    pairs = []
    for p in range(2):
        settings = {"matches": triplets[p], "k": K, "margin": 0.3, "mask_a": mask[p], "mask_b": mask[q[p]]}
        chosen = way if way == "semi_hard" else given[p]
        each = [anchor_triplets(a[p], b[q[p]], i, negatives=chosen, **settings).value for i in range(N)]
        pairs.append(torch.tensor(each).nanmean())
    settings = {"k": K, "margin": 0.3, "mask_a": mask, "mask_b": mask}
    loss = inter_instance_loss(a, b, matches=triplets, negatives=way if way == "semi_hard" else given, **settings)
    assert torch.stack(pairs).mean() == pytest.approx(float(loss), abs=1e-5)
    assert loss > 0


def test_a_seed_gives_the_triplets_that_the_loss_draws_with_it():
    a, b, _ = two_people()
    each = [anchor_triplets(a[0], b[0], i, k=K, margin=0.3, generator=draw(7)).value for i in range(N)]
    loss = intra_instance_loss(a[:1], b[:1], k=K, margin=0.3, generator=draw(7))
    assert torch.tensor(each).mean() == pytest.approx(float(loss), abs=1e-5)


def test_uniform_negatives_are_neither_anchor_nor_positive_nor_air():
    a, b, mask = two_people()
    for seed in range(30):
        triplets = anchor_triplets(a[0], b[0], 7, k=K, mask_a=mask[0], mask_b=mask[0], generator=draw(seed))
        taken = {7, *triplets.positives.tolist()} if mask[0, 7] else set()
        assert not taken & set(triplets.negatives.tolist())
        assert mask[0, triplets.negatives].all()


def test_the_hinge_of_each_triplet_is_known_by_hand():
    angle = torch.tensor([0.0, 0.2, 0.5, 1.5, 3.0])
    tokens = torch.stack([angle.cos(), angle.sin()], dim=1)
    triplets = anchor_triplets(tokens, tokens, 0, k=2, margin=1.0, negatives=torch.tensor([3, 4]).expand(5, 2))
    assert triplets.neighbors.tolist() == triplets.positives.tolist() == [1, 2]
    near, far = 1 - angle[1:3].cos(), 1 - angle[3:].cos()
    torch.testing.assert_close(triplets.hinge, torch.relu(near - far + 1))
    assert triplets.hinge[1] == 0  # the farthest token is farther by more than the margin
    assert triplets.value == pytest.approx(float(triplets.hinge.mean()))


def test_neighbors_and_anchors_without_a_match_are_left_out():
    a, b, _ = two_people()
    matches = torch.arange(N)
    first, *rest = anchor_triplets(a[0], b[0], 7, k=K).neighbors.tolist()
    matches[first] = -1
    triplets = anchor_triplets(a[0], b[0], 7, k=K, matches=matches)
    assert triplets.valid.tolist() == [False, *[True] * len(rest)]
    matches[7] = -1
    assert math.isnan(anchor_triplets(a[0], b[0], 7, k=K, matches=matches).value)


def test_an_unknown_way_to_choose_negatives_is_refused():
    a, b, _ = two_people()
    with pytest.raises(ValueError, match="negatives must be"):
        anchor_triplets(a[0], b[0], 0, negatives="hard")


def colors(patches):
    return {to_hex(patch.get_edgecolor()).upper() for patch in patches}


def test_figure_shows_who_is_pulled_who_is_pushed_and_each_hinge_as_a_bar():
    a, b, _ = two_people()
    triplets = anchor_triplets(a[0], b[0], 21, k=K, margin=0.5, generator=draw(0))
    figure = plot_triplets(
        torch.ones(SHAPE), torch.ones(SHAPE), triplets, stride=STRIDE, spacing=3.0, names=("T1w", "T2w")
    )
    *planes, bars = figure.axes
    assert len(planes) == 6
    assert colors(planes[0].patches) == {ANCHOR, POSITIVE}
    assert colors(planes[3].patches) == {ANCHOR, POSITIVE, NEGATIVE}
    heights = [bar.get_height() for bar in bars.patches if to_hex(bar.get_facecolor()).upper() == HINGE]
    assert heights == pytest.approx(triplets.hinge.tolist(), abs=1e-6)
    assert bars.lines[0].get_ydata()[0] == pytest.approx(triplets.value)
    states = [label.get_text().split("\n")[1] for label in bars.get_xticklabels()]
    assert states == ["pushes" if value > 0 else "rests" for value in triplets.hinge.tolist()]
    assert (
        figure.get_suptitle()
        == f"{states.count('pushes')} of {K} triplets push; the anchor's loss is {triplets.value:.3f}"
    )


@pytest.mark.parametrize(
    ("matches", "mask", "words"),
    [
        (torch.full((N,), -1), None, "has no match"),
        (torch.full((N,), -1).index_fill(0, torch.tensor([21]), 3), None, "no neighbor"),
        (torch.arange(N), torch.arange(N) != 21, "is air"),
    ],
    ids=["anchor", "neighbors", "air"],
)
def test_figure_says_why_the_loss_leaves_an_anchor_out(matches, mask, words):
    a, b, _ = two_people()
    triplets = anchor_triplets(a[0], b[1], 21, k=K, matches=matches, mask_a=mask, mask_b=mask)
    figure = plot_triplets(torch.ones(SHAPE), torch.ones(SHAPE), triplets, stride=STRIDE, spacing=3.0, names=("a", "b"))
    assert words in figure.get_suptitle()
    assert not any(bar.get_height() for bar in figure.axes[-1].patches)
