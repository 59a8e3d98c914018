"""The contribution of each term of the loss, and of each matcher: every variant trained and measured with controls."""

from toposlearn.studies.ablation.ablation import run_ablation, run_matchers
from toposlearn.studies.ablation.people import RealPeople
