"""Commands on weights: give them to other programs, take them from there, and embed scans with them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from toposlearn import config
from toposlearn.commands.app import (
    FOLDER,
    CacheOption,
    EntityOption,
    PatternOption,
    PresetOption,
    app,
    listed,
)


class Target(StrEnum):
    """Programs that `export` writes for."""

    MONAI = "monai"
    HUB = "hub"


class Layout(StrEnum):
    """Files that `embed` writes."""

    PLAIN = "plain"
    FOMO = "fomo"


WEIGHTS = "Weights file (.safetensors), or a folder that 'export --to hub' wrote."
TO = "monai: state dict of MONAI's SwinUNETR (.safetensors, .pt); hub: folder as the Hugging Face hub lays it out."
CHANNELS = "Channels of the images that MONAI's network will read."
CLASSES = "Channels that MONAI's network will write; no weight that is exported depends on them."
UNSHUFFLE = "Rearrange voxels into channels: a network of patch size 4 runs as a whole only so (the report shows how)."
LICENSE = "License of the weights in the card for the hub, by the hub's name of it, such as apache-2.0."
LAYOUT = "plain: vectors.csv and tokens/*.npz; fomo: also the files of the linear probe of the FOMO26 challenge."
EMBEDDED = "Comma-separated modalities (default: those that the weights were trained on)."
SESSION = "Session (visit, time point) of each person, or 'all'."


@app.command()
def export(
    weights: Annotated[Path, Argument(help=WEIGHTS)],
    to: Annotated[Target, Option("--to", help=TO)],
    out: Annotated[Path, Option(help="File (monai) or folder (hub) to write.")],
    channels: Annotated[int, Option(min=1, help=CHANNELS)] = 1,
    out_channels: Annotated[int, Option(min=1, help=CLASSES)] = 2,
    unshuffle: Annotated[bool, Option("--unshuffle", help=UNSHUFFLE)] = False,
    license: Annotated[str, Option(help=LICENSE)] = "other",
) -> None:
    """Write weights for MONAI's SwinUNETR, with a report on every tensor, or as a folder for the Hugging Face hub."""
    _refuse_same(weights, out)
    from toposlearn.models import export_to_monai, load_weights

    if to is Target.HUB:
        _export_to_hub(weights, out, license)
        return
    model, settings = load_weights(weights)
    step = max(settings.model.patch_size // 2, 1) if unshuffle else 1
    made = export_to_monai(model, out, channels=channels, out_channels=out_channels, unshuffle=step)
    typer.echo(f"{out}\n{made.report}\nlargest difference of features: {made.difference:.1g}\n\n{made.lines}")


def _refuse_same(read: Path, written: Path) -> None:
    if read.resolve() == written.resolve():
        raise ValueError(f"--out {written} is the file that is read: choose another")


def _export_to_hub(weights: Path, out: Path, license: str) -> None:
    from toposlearn.data import Split
    from toposlearn.models import load_readout, load_weights, save_pretrained

    split, cards = Split.load(weights), (weights.with_suffix(".card.md"), weights.parent / "card.md")
    card = next((file.read_text(encoding="utf-8") for file in cards if file.is_file()), "")
    stored = None if split is None else split.to_dict()
    model, settings = load_weights(weights)
    readout = load_readout(weights)
    typer.echo(save_pretrained(out, model, settings, card=card, license=license, split=stored, readout=readout))
    if not card:
        typer.echo(f"note: {weights} has no card beside it: write into {out / 'README.md'} what is known", err=True)
    if split is not None and not split.salt:
        named = f"the names of the {len(split.train)} people trained on are part of the folder"
        typer.echo(f"note: {named} (pre-train with --hash-names to hide them)", err=True)


@app.command("import-weights")
def import_weights(
    file: Annotated[Path, Argument(help="Checkpoint of another program: .safetensors, .pt, .pth or .ckpt.")],
    out: Annotated[Path, Option(help="Weights file to write (.safetensors); its card is written beside it.")],
    preset: PresetOption = "lab",
) -> None:
    """Make a weights file of the Swin encoder in a checkpoint of another program, with a report on every tensor."""
    _refuse_same(file, out)
    settings = config.preset(preset)
    from toposlearn.models import import_weights as run_import

    typer.echo(f"{run_import(file, settings, out)}\n{out}")


@app.command()
def embed(
    data: Annotated[Path, Argument(help=FOLDER)],
    weights: Annotated[Path, Option(help=WEIGHTS)],
    out: Annotated[Path, Option(help="Folder to write.")],
    modalities: Annotated[str | None, Option(help=EMBEDDED)] = None,
    layout: Annotated[Layout, Option(help=LAYOUT)] = Layout.PLAIN,
    session: Annotated[str, Option(help=SESSION)] = "all",
    entity: EntityOption = None,
    pattern: PatternOption = None,
    cache: CacheOption = None,
) -> None:
    """Write one vector and one token map per scan, of each person, session and modality."""
    import torch

    from toposlearn.data import Source, read_manifest
    from toposlearn.downstream.embedding import embed_people
    from toposlearn.models import load_weights

    model, settings = load_weights(weights)
    asked = listed(modalities)
    people = read_manifest(Source.of_options(data, session, entity or (), pattern or ()), asked)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    named = str(weights)
    typer.echo(embed_people(people, model, settings, out, modalities=asked, layout=layout, weights=named))
