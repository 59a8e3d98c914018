"""No setting of the loss is ignored: each one, changed from where it is read, changes what `TacoLoss` gives."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from draws import generator

from toposlearn.config import LossConfig, TacoConfig
from toposlearn.losses import TacoLoss

CONFIG = TacoConfig().replace(model={"token_strides": (16, 32)})  # 64 and 8 tokens
CHANGES = {  # setting -> where it is read, another value
    "weight_reconstruction": ({}, 2.0),
    "weight_intra": ({}, 2.0),
    "weight_inter": ({}, 2.0),
    "k": ({}, 3),
    "margin_intra": ({}, 0.3),
    "margin_inter": ({}, 0.3),
    "form": ({}, "cross"),
    "radius": ({"form": "listwise"}, 40.0),
    "softness": ({"form": "listwise"}, 0.5),
    "metric": ({}, "euclidean"),
    "negatives": ({}, "semi_hard"),
    "token_levels": ({}, (16,)),
    "max_tokens": ({}, 20),
    "matcher": ({}, "nearest"),
    "min_similarity": ({}, 0.5),
    "ratio": ({}, 0.9),
    "max_distance": ({}, 60.0),
    "inter_start": ({}, 10),
    "temperature": ({"matcher": "sinkhorn"}, 0.5),
    "dustbin": ({"matcher": "sinkhorn"}, 0.9),
    "foreground": ({}, False),
    "scrambled": ({}, True),
    "directions": ({}, "sum"),
    "released": ({}, True),
}


def output(seed):
    levels, s = {16: 64, 32: 8}, generator(seed)
    tokens = {stride: torch.randn(3, n, 8, generator=s) for stride, n in levels.items()}
    masks = {16: torch.rand(3, 64, generator=generator(9)) > 0.2, 32: torch.ones(3, 8, dtype=torch.bool)}
    volume, prediction = (torch.randn(3, 1, 8, 8, 8, generator=s) for _ in range(2))
    return SimpleNamespace(tokens=tokens, masks=masks, reconstruction=prediction, volume=volume)


def total(loss):
    return float(TacoLoss(CONFIG.replace(loss=loss))(output(0), output(1), step=5, generator=generator(1)).total)


def test_every_setting_is_here():
    assert set(CHANGES) == {field.name for field in dataclasses.fields(LossConfig)}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_changes_the_loss(name):
    read, value = CHANGES[name]
    assert abs(total(read | {name: value}) - total(read)) > 1e-4
