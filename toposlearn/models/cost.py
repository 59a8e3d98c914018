"""The size of a network: weights and multiply-adds of each of its parts, and presets side by side."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from toposlearn.config import PRESETS, TacoConfig
from toposlearn.models.taco import Taco
from toposlearn.tables import markdown_table

PARTS = {"encoder": "encoder", "pyramid": "top-down path", "decoder": "decoder", "": "all"}  # path in `Taco` -> words


class Cost(NamedTuple):
    """Size of a part of the network."""

    parameters: int  # number of weights
    macs: int  # multiply-adds of a forward pass over one volume


def network_cost(config: TacoConfig) -> dict[str, Cost]:
    """Cost of each of `PARTS`, by its words. A part that the network does not have costs nothing.

    Multiply-adds are those of matrix products and convolutions, counted by `torch.utils.flop_counter` on shapes alone.
    Operations value by value (softmax, normalization, activation, bias, interpolation) and the losses are left out.
    """
    network = Taco(config.model).eval().to("meta")
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.empty(1, 1, *config.volume.shape, device="meta"))
    operations = {path: sum(kinds.values()) for path, kinds in counter.get_flop_counts().items()}
    cost = {}
    for path, words in PARTS.items():
        weights = sum(w.numel() for name, w in network.named_parameters() if name.startswith(path))
        cost[words] = Cost(weights, operations.get(f"Taco.{path}".rstrip("."), 0) // 2)  # two operations each
    return cost


def preset_table() -> str:
    """Markdown table with one column per preset: volume, tokens, steps, and `network_cost`."""
    columns = [_column(config) for config in PRESETS.values()]
    rows = [[words, *(column[words] for column in columns)] for words in columns[0]]
    return markdown_table(["", *(f"preset `{name}`" for name in PRESETS)], rows) + "\n"


def _column(config: TacoConfig) -> dict[str, str]:
    volume, train, cost = config.volume, config.train, network_cost(config)
    steps = config.model.token_strides
    levels = [f"{_sides(side // step for side in volume.shape)} of {step * volume.spacing:g} mm" for step in steps]
    return {
        "voxels": f"{_sides(volume.shape)} of {volume.spacing:g} mm",
        "tokens of each level": "; ".join(levels),
        **{f"parameters (M), {words}": _number(part.parameters / 1e6) for words, part in cost.items()},
        **{f"multiply-adds per volume (G), {words}": _number(part.macs / 1e9) for words, part in cost.items()},
        "training": f"{train.steps} steps of {2 * train.subjects_per_step} volumes",
    }


def _sides(sides: Iterable[int]) -> str:
    return " x ".join(map(str, sides))


def _number(value: float) -> str:
    return f"{value:.3g}" if value else "none"
