"""Made-up heads with label maps, and a network that is small enough to be fine-tuned in a second."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from labeled_heads import TINY, write_heads
from shared_folder import make_once

from toposlearn.config import TacoConfig
from toposlearn.data import Cache, prepare, read_manifest
from toposlearn.downstream.settings import SEGMENTATION, TaskConfig
from toposlearn.downstream.targets import labeled
from toposlearn.models import Taco, save_weights


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people, P1 to P8, with T1w, T2w, a label map and a table. Copy what you change."""
    return make_once(tmp_path_factory, "heads", write_heads)


@pytest.fixture(scope="session")
def tiny() -> TacoConfig:
    return TacoConfig.from_dict(TINY)


@pytest.fixture(scope="session")
def tiny_weights(tiny: TacoConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network that was not trained on anyone."""

    def make(folder: Path) -> None:
        torch.manual_seed(3)
        save_weights(folder / "tiny.safetensors", Taco(tiny.model), tiny)

    return make_once(tmp_path_factory, "tiny", make) / "tiny.safetensors"


@pytest.fixture(scope="module")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """People are prepared once for all tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOPOSLEARN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def prepared_heads(heads: Path, tiny: TacoConfig, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """The eight people on the grid of the tiny network, with their label maps."""
    people, _ = labeled(read_manifest(heads), TaskConfig(SEGMENTATION))

    def make(folder: Path) -> Cache:
        return prepare(people, tiny.volume, folder=folder, unpaired=True, progress=False)

    return make(make_once(tmp_path_factory, "prepared heads", make))
