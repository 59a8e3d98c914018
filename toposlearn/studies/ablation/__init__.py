"""What each term of the loss contributes: every variant trained, and judged beside its controls."""

from toposlearn.studies.ablation.ablation import run_ablation
from toposlearn.studies.ablation.comparison import compare, gather_judges, measure

__all__ = ["compare", "gather_judges", "measure", "run_ablation"]
