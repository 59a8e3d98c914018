"""Pre-training: the loop, its run folder, and scorecard and topology profile on held-out subjects."""

from toposlearn.pretrain.loop import Trainer, pretrain
from toposlearn.pretrain.profile import network_profiles
from toposlearn.pretrain.scorecard import Controls, controls, encode, error_matrix, mean_errors, scorecard
