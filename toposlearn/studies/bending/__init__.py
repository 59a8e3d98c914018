"""How far spatial relations hold as a head is changed (notebook 14, ``benchmarks/deformation.py``)."""

from toposlearn.studies.bending.breaking import first_to_break, kept_curves, what_predicts
from toposlearn.studies.bending.changes import CHANGES, Scene, grow
from toposlearn.studies.bending.kept import study, without_fluid
