"""Commands that train a network and judge it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toposlearn.commands.app import DATA, DataOption, PresetOption, app


@app.command()
def pretrain(
    preset: PresetOption = "lab",
    variant: Annotated[
        str, typer.Option(help="reconstruction, intra, inter, full, … (a wrong name lists all).")
    ] = "full",
    data: DataOption = DATA,
    out: Annotated[Path, typer.Option(help="Folder of history, checkpoints and weights.")] = Path("runs/pretrain"),
    modalities: Annotated[
        str | None,
        typer.Option(help="Modalities, e.g. T1w,FLAIR; unless given, the preset's or all that everyone has."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, instead of the preset's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, pairs and augmentation.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint in --out.")] = False,
) -> None:
    """Pre-train an encoder."""
    from toposlearn import config

    given = {"seed": seed} | ({} if steps is None else {"steps": steps})
    settings = config.with_variant(config.preset(preset), variant).replace(train=given)
    from toposlearn.data import config_for, read_manifest

    if modalities is not None:
        settings = settings.replace(volume={"modalities": tuple(modalities.split(","))})
    else:
        settings = config_for(settings, read_manifest(data))
    typer.echo(f"modalities: {', '.join(settings.volume.modalities)}")

    from toposlearn.pretrain import pretrain as train

    typer.echo(train(settings, data, out, resume=resume))


@app.command()
def scorecard(
    weights: Annotated[Path, typer.Argument(help="Weights file (.safetensors).")],
    data: DataOption = DATA,
    out: Annotated[Path | None, typer.Option(help="Result file (JSON) to write.")] = None,
) -> None:
    """Judge weights on the people that were held out: correspondence in mm, neighborhoods, with their baselines."""
    import time

    from toposlearn.data import config_for, pose_subjects, prepare, read_manifest, split_subjects
    from toposlearn.models.weights import load_weights
    from toposlearn.pretrain import scorecard as score
    from toposlearn.reproducibility import write_result

    start = time.perf_counter()
    model, config = load_weights(weights)
    manifest = read_manifest(data)
    config = config_for(config, manifest)
    _, held_out = split_subjects(manifest, test_fraction=config.train.test_fraction)
    metrics = score(model, pose_subjects(prepare(held_out, config.volume), config))
    for name, metric in metrics.items():
        typer.echo(f"{name:<36} " + "  ".join(f"{part} {_number(value)}" for part, value in metric.items()))
    if out is not None:
        seconds = time.perf_counter() - start
        command = f"toposlearn scorecard {weights}"
        typer.echo(write_result(out, source=command, metrics=metrics, config=config.to_dict(), seconds=seconds))


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
