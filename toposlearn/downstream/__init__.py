"""Downstream tasks: frozen readers and probes, fine-tuning, missing modalities."""

from toposlearn.downstream.readers import fit_probe, probe_dice
