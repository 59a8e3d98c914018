"""The benchmark of the losses: loops, plain form and library agree, and its rows hold both ratios from one run."""

import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from toposlearn.losses import inter_instance_loss, intra_instance_loss, plain_inter_loss, plain_intra_loss

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # as python does for a script

import losses
from loops import MARGIN, K, loop_inter, loop_intra

FORMS = {
    "intra": (intra_instance_loss, plain_intra_loss, loop_intra),
    "inter": (inter_instance_loss, plain_inter_loss, loop_inter),
}


@pytest.mark.parametrize("term", FORMS)
def test_plain_form_and_library_have_the_value_and_gradient_of_loops_written_from_the_equation(term):
    ours, plain, loops = FORMS[term]
    a, b = (losses.tokens(3, 40, 16, "cpu", seed).double() for seed in (0, 1))
    negatives = torch.randint(40, (3 if term == "intra" else 6, 40, K))
    values, gradients = [], []
    for form in (partial(ours, k=K, margin=MARGIN), partial(plain, k=K, margin=MARGIN), loops):
        leaf = b.clone().requires_grad_()
        value = form(a, leaf, negatives=negatives)
        value.backward()
        values.append(value.detach())
        gradients.append(leaf.grad)
    assert 0.01 < values[0] < 2 * MARGIN
    for value, gradient in zip(values[1:], gradients[1:], strict=True):
        torch.testing.assert_close(value, values[0], atol=1e-9, rtol=0)
        torch.testing.assert_close(gradient, gradients[0])


def test_the_rows_hold_time_and_ratio_of_library_plain_form_and_loops():
    rows = {row.name: row for row in losses.speed((2, 32, 8), 1, "cpu")}
    for term in losses.TERMS:
        ours = rows[f"{term} (2 x 32 x 8)"].value
        for way in ("plain", "loops"):
            ratio = rows[f"{term}, {way} (2 x 32 x 8)"].value / ours
            assert rows[f"{term}: times faster than {way} (2 x 32 x 8)"].value == pytest.approx(ratio)


def test_the_listwise_form_is_compared_with_loops_in_time_and_value():
    rows = {row.name: row for row in losses.listwise((2, 32, 8), 1, "cpu")}
    ratio = rows["listwise, loops (2 x 32 x 8)"].value / rows["listwise (2 x 32 x 8)"].value
    assert rows["listwise: times faster than loops (2 x 32 x 8)"].value == pytest.approx(ratio)
    assert rows["listwise: difference from the loops (2 x 32 x 8)"].value < 1e-5


def test_bounds_are_set_where_they_are_promised():
    assert losses.bounds("intra", 1728, "cpu") == {"plain": 1, "loops": 10}
    assert losses.bounds("inter", 216, "cpu") == {"plain": None, "loops": 5}
    assert losses.bounds("inter", 216, "cuda") == {"plain": None, "loops": 50}


def test_the_largest_sizes_are_in_the_table_with_the_memory_of_both_and_a_bound_on_the_library():
    costs = {"intra": [(27, 1.0, 2.0), (8000, 3.0, 4.0), (13824, 5.0, 6.0)], "intra, plain": [(27, 1, 2), (8000, 7, 8)]}
    rows = {row.name: (row.value, row.bound) for row in losses.size_rows(costs)}
    assert rows == {
        "intra: 2 x 8000 x 192": (3.0, None),
        "intra: memory beyond the inputs (2 x 8000 x 192)": (4.0, "<= 244"),
        "intra: 2 x 13824 x 192": (5.0, None),
        "intra: memory beyond the inputs (2 x 13824 x 192)": (6.0, "<= 729"),
        "intra, plain: 2 x 8000 x 192": (7, None),
        "intra, plain: memory beyond the inputs (2 x 8000 x 192)": (8, None),
    }


def test_the_figure_shows_time_and_memory_of_both(tmp_path):
    costs = {name: [(27, 0.1, 1.0), (216, 0.2, 2.0)] for name in ("intra", "inter", "intra, plain", "inter, plain")}
    losses.draw(costs, "cpu", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
