"""The quality gate: which images are usable, and which pairs are registered."""
