"""One question per folder: measure, figures and table."""
