"""The commands of ``toposlearn``: each a thin shell that imports what it needs only when it runs."""

# ruff: noqa: I001 - the order of ``--help``: from data to networks to the course
from toposlearn.commands import data, training, downstream, weights, scorecard, pairing, notebooks
from toposlearn.commands.app import app
