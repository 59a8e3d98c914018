"""Tokens of one posed volume, read at the places of the tokens of another posed volume of the same subject."""

from dataclasses import replace

from torch import Tensor

from toposlearn.config import VolumeConfig
from toposlearn.data import apply_pose
from toposlearn.models import TacoOutput
from toposlearn.topology import tokens_from_map

INSIDE = 0.5  # share of a moved token that must be foreground


def read_at_same_places(output: TacoOutput, a_to_b: Tensor, volume: VolumeConfig) -> TacoOutput:
    """The output of b, read at the places of a's tokens; `a_to_b` (B, 3, 4) maps posed mm of a to those of b."""

    def moved(tokens: Tensor, stride: int) -> Tensor:
        grid = [side // stride for side in volume.shape]
        features = tokens.mT.reshape(len(tokens), -1, *grid)  # (B, N, F) -> (B, F, d, h, w)
        return tokens_from_map(apply_pose(features, a_to_b, volume.spacing * stride))

    masks = {
        stride: None if mask is None else moved(mask[..., None].float(), stride)[..., 0] >= INSIDE
        for stride, mask in output.masks.items()
    }
    tokens = {stride: moved(tokens.float(), stride) for stride, tokens in output.tokens.items()}
    return replace(output, tokens=tokens, masks=masks)
