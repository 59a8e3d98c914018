"""Spatial relations between structures: who is next to whom."""
