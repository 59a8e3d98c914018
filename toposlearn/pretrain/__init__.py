"""Pre-training: the loop, checkpoints, and the scorecard on people never trained on."""

from toposlearn.pretrain.loop import Trainer, pretrain
from toposlearn.pretrain.scorecard import Controls, controls, encode, error_matrix, mean_errors, scorecard

__all__ = ["Controls", "Trainer", "controls", "encode", "error_matrix", "mean_errors", "pretrain", "scorecard"]
