"""The downstream tasks of every variant: evaluation with baselines and controls, its tables and figures."""
