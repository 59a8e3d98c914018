"""The encoder's weights for MONAI's `SwinUNETR`, and the lines of Python that load them there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from monai.networks.nets import SwinUNETR
from monai.networks.utils import pixelunshuffle
from safetensors.torch import save_file
from torch import Tensor

from toposlearn.config import ModelConfig
from toposlearn.models.key_report import KeyReport, load_reported
from toposlearn.models.taco import Taco
from toposlearn.reproducibility import atomic_path
from toposlearn.validation import require

PREFIX = "swinViT."  # of the encoder within MONAI's network
KERNEL = "patch_embed.proj.weight"  # (F, C, p, p, p)
UNTRAINED = ("encoder", "decoder", "out.")  # what else MONAI's network has: convolutions around the encoder
PATCH, MULTIPLE = 2, 12  # MONAI's network runs with this patch size, and is made with feature sizes of this multiple
ENDINGS = (".safetensors", ".pt", ".pth")


class MonaiExport(NamedTuple):
    """What `export_to_monai` wrote."""

    report: KeyReport
    difference: float  # largest absolute difference between features of MONAI's network and of ours
    lines: str  # of Python, which build the network and load the file


def monai_state(model: Taco, channels: int = 1, unshuffle: int = 1) -> dict[str, Tensor]:
    """The encoder's tensors under their names in MONAI's `SwinUNETR`, for images of `channels` channels.

    The kernel of the patch embedding (F, 1, p, p, p) is repeated over the channels and divided by their number: an
    image that is the same in all channels has the same features as with one.

    With `unshuffle` = r > 1 the network reads `pixelunshuffle(image, 3, r)`, (B, C r³, D/r, H/r, W/r), and has patch
    size p/r: its features are the same. MONAI's network as a whole runs with patch size 2 only.
    """
    require(channels >= 1, f"channels must be at least 1, got {channels}")
    state = {name: tensor.detach().cpu() for name, tensor in model.encoder.state_dict().items()}
    kernel = state[KERNEL].repeat(1, channels, 1, 1, 1) / channels  # (F, C, p, p, p)
    state[KERNEL] = pixelunshuffle(kernel, 3, unshuffle)  # (F, C r³, p/r, p/r, p/r)
    return {PREFIX + name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}


def swin_unetr_arguments(
    config: ModelConfig, channels: int = 1, out_channels: int = 2, unshuffle: int = 1
) -> dict[str, Any]:
    """The arguments with which MONAI's `SwinUNETR` takes `monai_state`; ValueError where there are none."""
    fits = config.feature_size % MULTIPLE == 0
    wrong = f"model.feature_size is {config.feature_size}, but MONAI's SwinUNETR takes multiples of {MULTIPLE}"
    require(fits, f"{wrong}: this encoder fits its SwinTransformer only")
    require(config.patch_size % unshuffle == 0, f"unshuffle must divide {config.patch_size}, got {unshuffle}")
    return {
        "in_channels": channels * unshuffle**3,
        "out_channels": out_channels * unshuffle**3,
        "patch_size": config.patch_size // unshuffle,
        **{name: getattr(config, name) for name in ("feature_size", "window_size", "depths", "num_heads", "use_v2")},
        "downsample": "mergingv2",
    }


def export_to_monai(
    model: Taco, path: str | Path, *, channels: int = 1, out_channels: int = 2, unshuffle: int = 1
) -> MonaiExport:
    """Write `monai_state` to `path` (.safetensors, .pt or .pth), after loading it into MONAI's network.

    ValueError: another ending, or a network that MONAI cannot build.
    """
    path = Path(path)
    require(path.suffix in ENDINGS, f"{path} must end with {', '.join(ENDINGS)}")
    arguments = swin_unetr_arguments(model.config, channels, out_channels, unshuffle)
    state = monai_state(model, channels, unshuffle)
    network = SwinUNETR(**arguments).eval()
    report = load_reported(network, state, allow_missing=UNTRAINED)
    difference = _difference(model, network, channels, unshuffle)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        if path.suffix == ENDINGS[0]:
            save_file(state, partial, metadata={"format": "pt"})
        else:
            torch.save(state, partial)
    return MonaiExport(report, difference, loading_lines(path, arguments, unshuffle))


def loading_lines(path: Path, arguments: dict[str, Any], unshuffle: int = 1) -> str:
    """Lines of Python that build MONAI's network, load the file of `monai_state` and say how to call it."""
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    safe = path.suffix == ENDINGS[0]
    imported = "from safetensors.torch import load_file" if safe else "import torch"
    tensors = f"load_file({str(path)!r})" if safe else f"torch.load({str(path)!r}, weights_only=True)"
    lines = [
        imported,
        "from monai.networks.nets import SwinUNETR",
        *(["from monai.networks.utils import pixelshuffle, pixelunshuffle"] if unshuffle > 1 else []),
        "",
        f"network = SwinUNETR({given})",
        f"missing, unexpected = network.load_state_dict({tensors}, strict=False)",
        f"assert not unexpected and not any(name.startswith({PREFIX!r}) for name in missing)",
        *_calls(arguments["patch_size"], unshuffle),
    ]
    return "\n".join(lines)


def _calls(patch: int, unshuffle: int) -> list[str]:
    """How the network is called, as comments."""
    image = f"pixelunshuffle(image, 3, {unshuffle})" if unshuffle > 1 else "image"
    features = f"# features: network.swinViT({image}), of an image (B, C, D, H, W) with values in [0, 1]"
    if patch != PATCH:
        return [features, f"# network(image) needs patch size {PATCH}: export with --unshuffle for the whole network"]
    output = f"pixelshuffle(network({image}), 3, {unshuffle})" if unshuffle > 1 else "network(image)"
    step = PATCH**5 * unshuffle
    return [features, f"# segmentation, once trained: {output}; sides are multiples of {step}, {2 * step} or more"]


@torch.no_grad()
def _difference(model: Taco, network: SwinUNETR, channels: int, unshuffle: int) -> float:
    """Largest absolute difference of the features of one image of random numbers, the same in all channels."""
    side, device = model.config.stage_strides[-1], next(model.parameters()).device
    image = torch.rand(1, 1, side, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    several = pixelunshuffle(image.repeat(1, channels, 1, 1, 1), 3, unshuffle)
    pairs = zip(model.encoder(image), network.to(device).swinViT(several), strict=True)
    return max(float((ours - theirs).abs().max()) for ours, theirs in pairs)
