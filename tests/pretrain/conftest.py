"""A short run on the six people, prepared once."""

from pathlib import Path

import pytest

from toposlearn.config import TacoConfig
from toposlearn.data import Cache


@pytest.fixture(scope="session")
def config(smoke: TacoConfig) -> TacoConfig:
    return smoke.replace(train={"steps": 7, "checkpoint_every": 3, "score_every": 7, "score_people": 2})


@pytest.fixture(scope="session")
def cache(subjects: Cache) -> Path:
    """Where the six people are kept prepared."""
    return subjects.folder.parent
