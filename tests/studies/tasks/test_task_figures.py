"""Figures of downstream tasks show the given numbers."""

import numpy as np
import pytest
import torch

from toposlearn.anatomy.vocabulary import BY_LABEL
from toposlearn.explore import slices
from toposlearn.studies.tasks import figures


def test_segmentations_show_the_image_then_each_reading():
    labels = torch.zeros(8, 8, 8, dtype=torch.long)
    labels[2:5] = 3
    figure = figures.plot_segmentations(torch.rand(8, 8, 8), {"truth": labels, "mask": labels > 0}, columns=3)
    assert [ax.get_title() for ax in figure.axes] == ["image", "truth", "mask"]
    assert [len(ax.images) for ax in figure.axes] == [1, 2, 2]


def test_a_segmentation_names_its_largest_structures_in_their_colors():
    labels = torch.zeros(8, 8, 8, dtype=torch.long)
    labels[:2], labels[2:], labels[7:] = 102, 2, 1
    figure = figures.plot_segmentations(torch.rand(8, 8, 8), {"truth": labels, "mask": labels > 0})
    (legend,) = figure.legends
    names = [BY_LABEL[label].name.replace("-", " ") for label in (2, 1)]
    assert [text.get_text() for text in legend.get_texts()] == names  # both sides are one entry
    color = slices.label_overlay(np.array([2]), alpha=1)[0]
    assert legend.get_patches()[0].get_facecolor()[:3] == pytest.approx(tuple(color[:3]))


def test_structures_are_sorted_by_the_last_network_and_named():
    first, last = np.array([[0.9, 0.1]]), np.array([[0.2, 0.7]])
    figure = figures.plot_structure_dice({"untrained": first, "full": last}, [1, 101], ceiling=last + 0.1)
    (ax,) = figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [figures.structure_name(101), figures.structure_name(1)]
    assert list(ax.lines[1].get_xdata()) == [0.7, 0.2]
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([0.8, 0.3])


def test_subsets_show_means_and_what_is_present():
    values = {"full": {"T1w+T2w": np.array([0.4, 0.6]), "T1w": np.array([0.2, 0.4]), "T2w": np.array([0.1, np.nan])}}
    upper, lower = figures.plot_subsets(values).axes
    assert list(upper.lines[0].get_ydata()) == pytest.approx([0.5, 0.3, 0.1])
    present = [list(line.get_xdata()) for line in lower.lines[::2]]
    assert present == [[0, 1], [0, 2]]


def test_transfer_writes_every_number():
    figure = figures.plot_transfer({"full": np.array([[0.5, 0.25], [0.125, 0.75]])}, ("T1w", "T2w"))
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.50", "0.25", "0.12", "0.75"}


def test_effects_have_one_row_each_and_the_null():
    rows = {"a": {"value": 0.2, "low": 0.1, "high": 0.3}, "b": {"value": -0.1, "low": -0.2, "high": 0.05}}
    (ax,) = figures.plot_effects(rows, null=0, xlabel="difference").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert list(ax.lines[-1].get_xdata()) == [0, 0]


def test_center_of_a_mask_is_in_millimeters():
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[8:, 4:6, 0] = True
    assert slices.center_of(mask, 2.0) == pytest.approx((8.0, 0.0, -9.0))
