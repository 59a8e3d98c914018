"""Any subset of the modalities: which there are, and their mean."""

import pytest
import torch

from toposlearn.config import MODALITIES
from toposlearn.data import pose_subjects
from toposlearn.downstream.tasks import features_of, fuse, subsets
from toposlearn.models import Taco
from toposlearn.pretrain.scorecard import encode


def test_four_modalities_have_fifteen_subsets_the_largest_first():
    listed = subsets(MODALITIES)
    assert len(listed) == len(set(listed)) == 15
    assert listed[0] == MODALITIES
    assert [len(subset) for subset in listed] == [4] + [3] * 4 + [2] * 6 + [1] * 4
    assert listed[5] == ("T1w", "T2w")


def test_tokens_are_the_mean_of_those_that_are_present():
    tokens = torch.randn(2, 3, 5, 4)
    torch.testing.assert_close(fuse(tokens, ("a", "b", "c"), ("c",)), tokens[:, 2])
    torch.testing.assert_close(fuse(tokens, ("a", "b", "c"), ("c", "a")), (tokens[:, 0] + tokens[:, 2]) / 2)


@pytest.mark.parametrize("present", [(), ("d",), ("a", "d")])
def test_nothing_present_or_unknown_is_refused(present):
    with pytest.raises(ValueError, match="present must name at least one of a, b, c"):
        fuse(torch.zeros(1, 3, 5, 4), ("a", "b", "c"), present)


def test_every_modality_goes_through_the_same_encoder(subjects, smoke):
    posed, model = pose_subjects(subjects, smoke).take([0, 1]), Taco(smoke.model).eval()
    tokens = features_of(model, posed).tokens
    assert tokens.shape[:2] == (2, 4)
    torch.testing.assert_close(tokens[:, 2], encode(model, posed, "FLAIR")[4])
