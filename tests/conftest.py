"""What several test files share: six simulated people, written once."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from shared_folder import make_once

from toposlearn.cohort import recipe_named, write_cohort
from toposlearn.config import TacoConfig, preset
from toposlearn.data import Cache, Manifest, prepare, read_manifest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Every test draws the same numbers, whichever ran before it in its process."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BIDS folder of six people of family A, seed 0. Copy what you change; `prepare` keeps files in it."""
    return make_once(
        tmp_path_factory, "cohort", lambda folder: write_cohort(folder, subjects=6, workers=1, progress=False)
    )


@pytest.fixture(scope="session")
def full_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people of recipe full, seed 0, all seven modalities, each scan on its own grid. Read only."""
    recipe = recipe_named("full", voxels=48)
    return make_once(
        tmp_path_factory,
        "full",
        lambda folder: write_cohort(folder, subjects=8, recipe=recipe, workers=1, progress=False),
    )


@pytest.fixture(scope="session")
def manifest(cohort: Path) -> Manifest:
    return read_manifest(cohort)


@pytest.fixture(scope="session")
def smoke() -> TacoConfig:
    return preset("smoke")


@pytest.fixture(scope="session")
def subjects(manifest: Manifest, smoke: TacoConfig, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """The six people on the grid of the smoke preset."""

    def make(folder: Path) -> Cache:
        return prepare(manifest, smoke.volume, folder=folder, progress=False)

    return make(make_once(tmp_path_factory, "cache", make))
