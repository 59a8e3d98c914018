"""The output of a fine-tuned network for a whole head: at once, or window by window where the head is larger."""

from __future__ import annotations

from functools import partial

import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor

from toposlearn.downstream.examples import Example
from toposlearn.downstream.networks import PersonReader, Segmenter
from toposlearn.downstream.settings import FinetuneConfig

OVERLAP = 0.5  # of two windows


@torch.no_grad()
def predict_head(
    network: Segmenter | PersonReader, example: Example, config: FinetuneConfig, device: torch.device | None = None
) -> Tensor:
    """Scores (C, D, H, W) at every voxel of one person, or outputs (C,) of a pooled head."""
    inputs = {name: part[None].to(device or part.device) for name, part in example.items() if name != "truth"}
    if isinstance(network, PersonReader):
        output: Tensor = network(inputs["volumes"], inputs["present"], inputs["foreground"])
        return output[0]
    scores = partial(network, present=inputs["present"])
    if config.patch == config.volume.shape:
        return scores(inputs["volumes"])[0].float()
    # one window at a time: windows of one person share `present`
    windows = sliding_window_inference(inputs["volumes"], config.patch, 1, scores, OVERLAP, "gaussian")
    assert isinstance(windows, Tensor)
    return windows[0].float()
