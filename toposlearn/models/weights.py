"""Weights on disk: safetensors with the configuration inside, and a card that describes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from toposlearn.config import TacoConfig
from toposlearn.models.taco import Taco
from toposlearn.reproducibility import atomic_path

HUB_FILE = "model.safetensors"  # in a folder as the Hugging Face hub lays it out
_MORE = ("split", "readout")  # in the one entry beside the settings: of two entries the order is not fixed


@dataclass(frozen=True)
class Readout:
    """How places are read below a token: by `toposlearn.topology.soft_argmax`, and its neighbors' by `fit_weights`."""

    temperature: float = 0.04
    chosen: str = "the default, because none was chosen on training people"
    reach: float = 24.0  # mm

    def __str__(self) -> str:
        return f"temperature {self.temperature:g}, reach {self.reach:g} mm: {self.chosen}"


def save_weights(
    path: str | Path,
    model: Taco,
    config: TacoConfig,
    *,
    half: bool = False,
    split: Mapping[str, Any] | None = None,
    readout: Readout | None = None,
) -> Path:
    """Write ``path`` (.safetensors), with the people of `split`; with `half` in 16 bits, half as large."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if half:
        tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    more = {"split": split, "readout": readout and asdict(readout)}
    stored = config.to_dict() | {name: part for name, part in more.items() if part is not None}
    with atomic_path(path) as partial:
        save_file(tensors, partial, metadata={"config": json.dumps(stored)})
    return path


def load_weights(path: str | Path) -> tuple[Taco, TacoConfig]:
    """The model and the configuration of a weights file, in evaluation mode; ValueError for another kind of file.

    A folder as `toposlearn.models.save_pretrained` writes it stands for the file in it.
    """
    path = _file_of(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights {path} do not exist: pre-train first, or use a file from checkpoints/")
    try:
        with safe_open(path, framework="pt") as file:
            stored = json.loads((file.metadata() or {})["config"])
            config = TacoConfig.from_dict({name: part for name, part in stored.items() if name not in _MORE})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a weights file written by toposlearn ({error})") from None
    model = Taco(config.model)
    try:
        model.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()})
    except RuntimeError:  # its message lists every weight
        raise ValueError(f"{path} is not a weights file written by toposlearn (weights of another network)") from None
    return model.eval(), config


def load_readout(path: str | Path) -> Readout:
    """The readout stored in a file that `load_weights` has read; the default where it holds none."""
    with safe_open(_file_of(path), framework="pt") as file:
        return Readout(**json.loads(file.metadata()["config"]).get("readout", {}))


def _file_of(path: str | Path) -> Path:
    path = Path(path)
    return path / HUB_FILE if path.is_dir() else path


def model_card(
    name: str, config: TacoConfig, facts: Mapping[str, Any], origin: str, untrained: Iterable[str] = ()
) -> str:
    """A card in Markdown: settings, measured facts, training data (``origin``), weights that got no gradient."""
    loss = config.loss
    weights = {"reconstruction": loss.weight_reconstruction, "intra": loss.weight_intra, "inter": loss.weight_inter}
    terms = ", ".join(f"{term} x {weight:g}" for term, weight in weights.items() if weight > 0)
    measured = "".join(f"- {key}: {value}\n" for key, value in facts.items())
    run = f"seed {config.train.seed}, {config.train.steps} steps"
    return f"""# {name}

TACO, preset `{config.preset}`, variant `{config.variant}`: {terms}; {run}.

For teaching and exploration. Not a medical device.

{measured}- weights that no loss term reached: {", ".join(untrained) or "none"}
- trained on: {origin}
"""
