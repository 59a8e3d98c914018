"""What a representation is worth: frozen probes, and the comparison of every variant with its controls."""

from toposlearn.downstream.ablation import run_ablation
from toposlearn.downstream.comparison import compare, gather_judges, measure
from toposlearn.downstream.probes import fit_probe, probe_dice

__all__ = ["compare", "fit_probe", "gather_judges", "measure", "probe_dice", "run_ablation"]
