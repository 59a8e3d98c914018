"""Seven tasks with labels: what pre-training is worth against the same network from scratch, and simpler baselines."""

from toposlearn.studies.seven_tasks.study import run_tasks
