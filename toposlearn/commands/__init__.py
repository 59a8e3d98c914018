"""The commands of ``toposlearn``: each a thin shell that imports what it needs only when it runs."""

# ruff: noqa: I001 - the order of ``--help``: from people to networks to their comparison to the course
from toposlearn.commands import people, topology, realism, presets, training, studies, notebooks
from toposlearn.commands.app import app

__all__ = ["app", "notebooks", "people", "presets", "realism", "studies", "topology", "training"]
