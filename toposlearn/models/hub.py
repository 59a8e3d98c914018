"""A folder of weights as the Hugging Face hub lays it out: model.safetensors, config.json, README.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from toposlearn.config import TacoConfig
from toposlearn.models.taco import Taco
from toposlearn.models.weights import HUB_FILE, Readout, load_weights, model_card, save_weights
from toposlearn.reproducibility import write_json, write_text

CONFIG, CARD = "config.json", "README.md"
SPLIT = "split.json"  # where a run keeps its people, too
TAGS = ("medical-imaging", "mri", "3d", "self-supervised-learning", "monai")


def save_pretrained(
    folder: str | Path,
    model: Taco,
    config: TacoConfig,
    *,
    card: str = "",
    license: str = "other",
    split: Mapping[str, Any] | None = None,
    readout: Readout | None = None,
) -> Path:
    """Write a folder that `from_pretrained` and `load_weights` read, and that can be uploaded as it is.

    `card` is the text of the model card (default: `model_card` of the settings), `license` the hub's name of the
    license of the weights, `split` the people trained on, as in `save_weights`.
    """
    folder = Path(folder)
    origin = "not stated: these weights were saved without their card"
    text = card or model_card(f"TACO {config.preset}, {config.variant}", config, {}, origin)
    write_text(folder / CARD, _header(license) + text + _usage())
    write_json(folder / CONFIG, config.to_dict())
    if split is not None:
        write_json(folder / SPLIT, split)
    save_weights(folder / HUB_FILE, model, config, split=split, readout=readout)
    return folder


def from_pretrained(folder: str | Path) -> tuple[Taco, TacoConfig]:
    """The model and the configuration of a folder on this machine, as `load_weights` returns them.

    Nothing is downloaded, and the package huggingface_hub is not needed: fetch a repository of the hub with
    ``hf download NAME --local-dir FOLDER`` or ``git clone``. ValueError: another kind of file, or a ``config.json``
    that contradicts the settings within the weights. FileNotFoundError: no folder, or an incomplete one.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"{folder} has no {CONFIG}: give a folder with {HUB_FILE} and {CONFIG}")
    model, config = load_weights(folder / HUB_FILE)
    try:
        same = TacoConfig.from_dict(json.loads((folder / CONFIG).read_text(encoding="utf-8"))) == config
    except (ValueError, TypeError, AttributeError):
        same = False
    if not same:
        raise ValueError(f"{folder / CONFIG} contradicts the settings within {HUB_FILE}: write both anew together")
    return model, config


def _header(license: str) -> str:
    """What the hub reads of a card."""
    facts = {
        "license": license,
        "library_name": "toposlearn",
        "pipeline_tag": "image-feature-extraction",
        "tags": list(TAGS),
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False)}---\n\n"


def _usage() -> str:
    return """
## Use

```python
from toposlearn.models import from_pretrained

model, config = from_pretrained("FOLDER")  # this folder
```
"""
