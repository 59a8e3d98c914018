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
def predict_head(network: Segmenter | PersonReader, example: Example, config: FinetuneConfig) -> Tensor:
    """Scores (C, D, H, W) at every voxel of one person, or outputs (C,) of a pooled head."""
    device = next(network.parameters()).device
    network.eval()
    volumes, present, foreground = (example[name][None].to(device) for name in ("volumes", "present", "foreground"))
    output: Tensor
    if isinstance(network, PersonReader):
        output = network(volumes, present, foreground)
    elif config.patch == config.volume.shape:
        output = network(volumes, present)
    else:  # one window at a time, since all windows share `present`
        scores = partial(network, present=present)
        windows = sliding_window_inference(volumes, config.patch, 1, scores, OVERLAP, "gaussian")
        assert isinstance(windows, Tensor)
        output = windows
    return output[0].float()
