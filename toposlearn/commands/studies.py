"""Commands that train or judge many networks and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toposlearn.commands.app import DATA, DataOption, HeldOutOption, PresetOption, SeedsOption, app


@app.command()
def ablation(
    data: DataOption = DATA,
    held_out: HeldOutOption = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/ablation"),
    preset: PresetOption = "lab",
    seeds: SeedsOption = 3,
    variants: Annotated[
        str | None, typer.Option(help="Of the loss, with commas; those of the paper unless given.")
    ] = None,
    shipped: Annotated[Path | None, typer.Option(help="Folder for the first seed's weights and the results.")] = None,
) -> None:
    """Pre-train with and without each term of the loss, several seeds each, and compare."""
    from toposlearn import config

    settings = config.preset(preset)

    from toposlearn.studies.ablation import run_ablation

    chosen = tuple(variants.split(",")) if variants else config.VARIANTS
    metrics = run_ablation(settings, data, out, held_out=held_out, seeds=range(seeds), variants=chosen, shipped=shipped)
    if shipped is not None:
        from toposlearn.studies.ablation.figures import save_overview

        save_overview(shipped, data, metrics)
    typer.echo(out / "results.json")


@app.command()
def matchers(
    data: DataOption = DATA,
    held_out: HeldOutOption = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs; those of an ablation are used as they are.")] = Path(
        "runs/ablation"
    ),
    preset: PresetOption = "lab",
    seeds: SeedsOption = 3,
    shipped: Annotated[Path | None, typer.Option(help="Folder for a copy of the result.")] = None,
) -> None:
    """Pre-train with every way of matching two people, the truth and chance among them, and measure the topology."""
    import json

    from toposlearn import config

    settings = config.preset(preset)

    from toposlearn.studies.ablation import run_matchers
    from toposlearn.studies.ablation.tables import matchers_section

    path = run_matchers(settings, data, out, held_out=held_out, seeds=range(seeds), shipped=shipped)
    typer.echo(matchers_section(json.loads(path.read_text())))
    typer.echo(path)


@app.command()
def evaluate(
    checkpoints: Annotated[
        Path, typer.Option(help="Folder of VARIANT-seedN runs, or of VARIANT.safetensors files.")
    ] = Path("checkpoints/lab"),
    data: DataOption = DATA,
    out: Annotated[Path, typer.Option(help="Folder of the result file; what is there is kept and continued.")] = Path(
        "runs/evaluation"
    ),
    test: Annotated[
        list[Path] | None,
        typer.Option(help="BIDS folder of people never trained on; may be repeated. Else the held-out part of --data."),
    ] = None,
) -> None:
    """Downstream tasks, frozen and fine-tuned, with every subset of the modalities, beside their baselines."""
    from toposlearn.studies.tasks.evaluation import evaluate as run
    from toposlearn.studies.tasks.summary import evaluation_tables

    path = run(checkpoints, data, out, tests=test or ())
    typer.echo(evaluation_tables(path))
    typer.echo(path)


@app.command()
def shortcuts(
    data: DataOption = DATA,
    out: Annotated[Path, typer.Option(help="Folder of the result; what was read of the files is kept there.")] = Path(
        "runs/shortcuts"
    ),
    preset: PresetOption = "lab",
) -> None:
    """What tells each label without a representation: age, sex, site, size, brightness, headers, volumes."""
    from toposlearn import config

    settings = config.preset(preset)

    from toposlearn.studies.shortcuts import find_shortcuts, shortcuts_report

    path = find_shortcuts(data, out, settings.volume)
    typer.echo(shortcuts_report(path.parent))
    typer.echo(path)
