"""A fine-tuned network on disk: safetensors, with its settings and what it predicts inside."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from toposlearn.downstream.networks import PersonReader, Segmenter, build_network
from toposlearn.downstream.settings import FinetuneConfig
from toposlearn.downstream.targets import Target
from toposlearn.models import Taco
from toposlearn.reproducibility import atomic_path

NETWORK = "network.safetensors"  # in the folder of a run


def save_network(path: Path, network: nn.Module, config: FinetuneConfig, target: Target) -> Path:
    """Write a network, complete or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    stored = json.dumps({"config": config.to_dict(), "target": target.to_dict()})
    with atomic_path(path) as partial:
        save_file(tensors, partial, metadata={"finetuned": stored})
    return path


def load_network(path: str | Path) -> tuple[Segmenter | PersonReader, FinetuneConfig, Target]:
    """The network of a file, or of the folder of a run, on the GPU if there is one, in evaluation mode.

    ValueError: another kind of file, or a folder of several runs.
    """
    given, path = Path(path), Path(path)
    path = path / NETWORK if path.is_dir() else path
    if inside := sorted(given.glob(f"*/{NETWORK}")) if not path.is_file() else []:
        several = ", ".join(each.parent.name for each in inside)
        raise ValueError(f"{given} holds the networks of several runs: give one of its folders {several}")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: make it with 'toposlearn finetune'")
    try:
        with safe_open(path, framework="pt") as file:
            stored = json.loads((file.metadata() or {})["finetuned"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        config, target = FinetuneConfig.from_dict(stored["config"]), Target.from_dict(stored["target"])
        network = build_network(Taco(config.model), config, target.outputs)
        network.load_state_dict(tensors)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:100]
        raise ValueError(f"{path} is not a network of 'toposlearn finetune' ({reason}): give its {NETWORK}") from None
    if torch.accelerator.is_available():
        network.to(torch.accelerator.current_accelerator())
    return network.eval(), config, target
