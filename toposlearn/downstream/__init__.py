"""What a representation is worth for a task: frozen probes and readers, fine-tuning, missing modalities."""

from toposlearn.downstream.probes import fit_probe, probe_dice

__all__ = ["fit_probe", "probe_dice"]
