"""Encoders of other programs: files with their usual wrappers, prefixes and old names, loaded with a report."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from toposlearn.config import TacoConfig
from toposlearn.models.export import KERNEL
from toposlearn.models.key_report import KeyReport, load_reported
from toposlearn.models.taco import Taco
from toposlearn.models.weights import save_weights
from toposlearn.reproducibility import write_text

CONTAINERS = ("state_dict", "model_state_dict", "network_weights", "model", "teacher", "student")  # first come first
PREFIXES = re.compile(r"^((module|model|net|network|encoder|backbone|swinViT|swin_vit|_orig_mod|teacher|student)\.)+")
RENAMED = (  # old names -> MONAI's present ones, as its `SwinUNETR.load_from` and `filter_swinunetr` do
    (re.compile(r"\.mlp\.fc([12])\."), r".mlp.linear\1."),
    (re.compile(r"^(layers\d)\.0\.0\."), r"\1.0."),
)
CONSTANT = "relative_position_index"  # follows from the window size; some files leave it out
MERGING = (
    "patches are merged by 'mergingv2'; weights trained with MONAI's default 'merging' fit but give other features"
)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file by name: safetensors, or what `torch.save` wrote, also nested as in `CONTAINERS`.

    No code of the file is run. FileNotFoundError: no file. ValueError: it is damaged, or holds Python objects or no
    tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist: give a .safetensors, .pt, .pth or .ckpt file")
    content = _content(path)
    while isinstance(content, Mapping):
        inner = next((content[key] for key in CONTAINERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    named = content if isinstance(content, Mapping) else {}
    tensors = {str(name): value.detach() for name, value in named.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"{path} holds no tensors by name: store the state_dict of the network")
    return tensors


def _content(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        reason = f"{path} holds Python objects beside its tensors, whose loading may run code of the file"
        raise ValueError(
            f"{reason}: where you trust it, store its state_dict alone with torch.save(state_dict, NEW_FILE)"
        ) from None
    except Exception:  # torch has many errors for damage
        raise ValueError(f"{path} is damaged or no file of weights: copy or download it again") from None


def encoder_name(name: str) -> str:
    """The name that a tensor has in our encoder, if it belongs to one."""
    name = PREFIXES.sub("", name)
    for pattern, present in RENAMED:
        name = pattern.sub(present, name)
    return name


def load_encoder(encoder: nn.Module, tensors: Mapping[str, Tensor]) -> KeyReport:
    """Load the tensors of another program into `Taco.encoder`; names in the report are those of the encoder.

    A patch embedding of several channels is summed over them: the features are those of an image that is the same in
    all channels. ValueError: see `load_reported`; also where two tensors have the same place.
    """
    own = encoder.state_dict()
    origin: dict[str, str] = {}
    for name in tensors:
        short = encoder_name(name)
        if short in own and short in origin:
            raise ValueError(f"the file holds {origin[short]} and {name}, for one place: store one of the two alone")
        origin.setdefault(short, name)
    found = {short: tensors[name] for short, name in origin.items()}
    notes = [MERGING]
    kernel = found.get(KERNEL)
    if kernel is not None and kernel.ndim == own[KERNEL].ndim and kernel.shape[1] > own[KERNEL].shape[1] == 1:
        found[KERNEL] = kernel.float().sum(dim=1, keepdim=True)  # (F, C, p, p, p) -> (F, 1, p, p, p)
        notes.append(f"the patch embedding is summed over the {kernel.shape[1]} channels of the file")
    report = load_reported(encoder, found, allow_missing=[name for name in own if name.endswith(CONSTANT)])
    return replace(report, notes=tuple(notes))


def import_encoder(path: str | Path, config: TacoConfig) -> tuple[Taco, TacoConfig, KeyReport]:
    """A network of this configuration with the encoder of a file of another program; the rest is random.

    Whether the encoder has residual convolutions, `model.use_v2`, is as in the file. Errors: those of
    `read_checkpoint` and `load_encoder`, with the name of the file.
    """
    tensors = read_checkpoint(path)
    use_v2 = _has_convolutions(tensors)
    imported = config.replace(variant="imported", model={"use_v2": use_v2})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        model = Taco(imported.model)
    try:
        report = load_encoder(model.encoder, tensors)
    except ValueError as error:
        raise ValueError(f"{path} does not fit preset {config.preset}: {error}") from None
    if use_v2 != config.model.use_v2:
        has = "has" if use_v2 else "has no"
        report = replace(
            report, notes=(*report.notes, f"model.use_v2 is {use_v2}: the file {has} layers1c to layers4c")
        )
    return model.eval(), imported, report


def _has_convolutions(names: Iterable[str]) -> bool:
    return any(re.match(r"layers\dc\.", encoder_name(name)) for name in names)


def import_weights(path: str | Path, config: TacoConfig, out: str | Path) -> KeyReport:
    """Write a weights file of `import_encoder`, and beside it a card (.card.md) that says where it came from."""
    model, imported, report = import_encoder(path, config)
    out = save_weights(out, model, imported)
    write_text(out.with_suffix(".card.md"), _card(Path(path), imported, report))
    return report


def _card(path: Path, config: TacoConfig, report: KeyReport) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    facts = "".join(f"- {line}\n" for line in str(report).splitlines())
    return f"""# TACO {config.preset}, imported encoder

The encoder is that of the file `{path.name}` (SHA-256 {digest}), in the network of preset `{config.preset}`.
The rest of the network is random, and toposlearn has trained none of it. The license is that of the file.

For teaching and exploration. Not a medical device.

{facts}"""
