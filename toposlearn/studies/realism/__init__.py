"""How real the simulated people look, measured beside templates, donors and published values."""

from toposlearn.studies.realism.page import write_realism
