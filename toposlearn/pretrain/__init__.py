"""Pre-training: the loop, its run folder, and scorecard and topology profile on held-out people."""

from toposlearn.pretrain.loop import Trainer, pretrain
from toposlearn.pretrain.profile import network_profiles, profile_metrics, topology_profile
from toposlearn.pretrain.scorecard import Controls, controls, encode, error_matrix, mean_errors, scorecard

__all__ = [
    "Controls",
    "Trainer",
    "controls",
    "encode",
    "error_matrix",
    "mean_errors",
    "network_profiles",
    "pretrain",
    "profile_metrics",
    "scorecard",
    "topology_profile",
]
