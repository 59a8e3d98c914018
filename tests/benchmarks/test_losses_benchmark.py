"""The benchmark of the losses: its other forms are exact, and its rows say both ratios from one run."""

import sys
from pathlib import Path

import pytest
import torch

from toposlearn.losses import inter_instance_loss, intra_instance_loss

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # as python does for a script

import losses
from loops import MARGIN, K, loop_inter, loop_intra
from plain import drawn_outside, plain_inter, plain_intra

FORMS = {
    "intra": (intra_instance_loss, plain_intra, loop_intra),
    "inter": (inter_instance_loss, plain_inter, loop_inter),
}


@pytest.mark.parametrize("term", FORMS)
def test_every_form_gives_one_value_and_one_gradient_for_given_negatives(term):
    ours, plain, loops = FORMS[term]
    a, b = (losses.tokens(3, 40, 16, "cpu", seed).double() for seed in (0, 1))
    negatives = torch.randint(40, (3, 40, K) if term == "intra" else (3, 3, 40, K))
    values, gradients = [], []
    for form in (lambda *x, **y: ours(*x, k=K, margin=MARGIN, **y), plain, loops):
        leaf = b.clone().requires_grad_()
        value = form(a, leaf, negatives=negatives)
        value.backward()
        values.append(value.detach())
        gradients.append(leaf.grad)
    assert 0.01 < values[0] < 2 * MARGIN
    for value, gradient in zip(values[1:], gradients[1:], strict=True):
        torch.testing.assert_close(value, values[0], atol=1e-9, rtol=0)
        torch.testing.assert_close(gradient, gradients[0])


def test_the_plain_form_draws_every_allowed_token_alike_and_no_other():
    excluded = torch.tensor([[0, 3, 3]]).expand(1, 20_000, 3)
    found = torch.bincount(drawn_outside(excluded, 6).flatten(), minlength=6) / (20_000 * K)
    torch.testing.assert_close(found, torch.tensor([0, 0.25, 0.25, 0, 0.25, 0.25]), atol=0.01, rtol=0)


def test_the_rows_hold_time_and_ratio_of_library_plain_form_and_loops():
    rows = {row.name: row for row in losses.speed((2, 32, 8), 1, "cpu")}
    for term in losses.TERMS:
        ours = rows[f"{term} (2 x 32 x 8)"].value
        for way in ("plain", "loops"):
            ratio = rows[f"{term}, {way} (2 x 32 x 8)"].value / ours
            assert rows[f"{term}: times faster than {way} (2 x 32 x 8)"].value == pytest.approx(ratio)


def test_bounds_are_set_where_they_are_promised():
    assert losses.bounds("intra", 1728, "cpu") == {"plain": 1, "loops": 10}
    assert losses.bounds("inter", 216, "cpu") == {"plain": None, "loops": 5}
    assert losses.bounds("inter", 216, "cuda") == {"plain": None, "loops": 50}


def test_the_largest_sizes_stand_in_the_table_with_the_memory_of_both_and_a_bound_on_the_library():
    found = {"intra": [(27, 1.0, 2.0), (8000, 3.0, 4.0), (13824, 5.0, 6.0)], "intra, plain": [(27, 1, 2), (8000, 7, 8)]}
    rows = {row.name: (row.value, row.bound) for row in losses.size_rows(found)}
    assert rows == {
        "intra: 2 x 8000 x 192": (3.0, None),
        "intra: memory beyond the inputs (2 x 8000 x 192)": (4.0, "<= 244"),
        "intra: 2 x 13824 x 192": (5.0, None),
        "intra: memory beyond the inputs (2 x 13824 x 192)": (6.0, "<= 729"),
        "intra, plain: 2 x 8000 x 192": (7, None),
        "intra, plain: memory beyond the inputs (2 x 8000 x 192)": (8, None),
    }


def test_the_figure_shows_time_and_memory_of_both(tmp_path):
    found = {name: [(27, 0.1, 1.0), (216, 0.2, 2.0)] for name in ("intra", "inter", "intra, plain", "inter, plain")}
    losses.draw(found, "cpu", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
