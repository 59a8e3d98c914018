"""Simulated people beside real ones: measured, looked at, and where they fall short, on one page."""
