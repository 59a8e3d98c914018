"""The loss terms of TACO. Pure functions give one direction of one term; `TacoLoss` holds the settings of the total."""

from toposlearn.losses.inter import inter_instance_loss, match_pairs, ordered_pairs
from toposlearn.losses.intra import intra_instance_loss
from toposlearn.losses.reconstruction import reconstruction_loss
from toposlearn.losses.total import TacoLoss, TacoOutput, TacoTerms

__all__ = [
    "TacoLoss",
    "TacoOutput",
    "TacoTerms",
    "inter_instance_loss",
    "intra_instance_loss",
    "match_pairs",
    "ordered_pairs",
    "reconstruction_loss",
]
