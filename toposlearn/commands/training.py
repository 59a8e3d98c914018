"""Commands on networks: show presets, train, and compare many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from toposlearn import config
from toposlearn.commands.app import (
    CHECKPOINTS,
    DATA,
    AllowSeenOption,
    CacheOption,
    DataOption,
    EntityOption,
    HeldOutOption,
    LabelKindOption,
    LabelsOption,
    PatternOption,
    PresetOption,
    RealOption,
    RegistrationOption,
    SeedsOption,
    SessionOption,
    SourceOption,
    SourcesOption,
    app,
    listed,
)

if TYPE_CHECKING:
    from toposlearn.data import Source
    from toposlearn.studies.ablation import RealPeople

MODALITIES = "Comma-separated modalities (default: the preset's, else those that all people have)."
WORKERS = "Processes that read images while the network trains (default: the preset's)."
HASHED = "Keep the names of people as salted hashes: in the run, in the weights and in their card."
UNPAIRED = "Also train on people without two images to compare: on one image, in two poses (needs --modalities)."
TEST = "BIDS folder of held-out people; repeatable (default: held-out part of --data)."


@app.command("config")
def show_config(
    preset: Annotated[str | None, Argument(help="Preset: smoke, lab, gpu or paper (default: all).")] = None,
) -> None:
    """Show presets side by side, with the cost of their networks; or every setting of one preset, as JSON."""
    if preset is not None:
        typer.echo(json.dumps(config.preset(preset).to_dict(), indent=2))
        return
    from toposlearn.models import preset_table

    typer.echo(preset_table(), nl=False)


@app.command()
def pretrain(
    preset: PresetOption = "lab",
    variant: Annotated[str, Option(help="Loss variant, such as intra or full (an unknown name lists all).")] = "full",
    data: SourcesOption = None,
    out: Annotated[Path, Option(help="Folder of history, checkpoints and weights.")] = Path("runs/pretrain"),
    modalities: Annotated[str | None, Option(help=MODALITIES)] = None,
    session: SessionOption = "",
    entity: EntityOption = None,
    pattern: PatternOption = None,
    cache: CacheOption = None,
    workers: Annotated[int | None, Option(min=0, help=WORKERS)] = None,
    labels: LabelsOption = None,
    label_kind: LabelKindOption = "",
    unpaired: Annotated[bool, Option("--unpaired", help=UNPAIRED)] = False,
    hash_names: Annotated[bool, Option("--hash-names", help=HASHED)] = False,
    steps: Annotated[int | None, Option(help="Number of steps (default: the preset's).")] = None,
    seed: Annotated[int, Option(help="Seed of weights, pairs and augmentation.")] = 0,
    resume: Annotated[bool, Option("--resume", help="Continue from the last checkpoint in --out.")] = False,
) -> None:
    """Pre-train an encoder."""
    if unpaired and modalities is None:
        raise ValueError("--unpaired needs --modalities: name those of which people may have one only, such as T1w,T2w")
    chosen = {"seed": seed, "steps": steps, "workers": workers, "unpaired": unpaired}
    train = {name: value for name, value in chosen.items() if value is not None}
    settings = config.with_variant(config.preset(preset), variant).replace(train=train)
    from toposlearn.data import PointSource, Source
    from toposlearn.pretrain import pretrain as run_pretraining

    source = Source.of_options(data or [DATA], session, entity or (), pattern or ())
    settings = with_modalities(settings, source, modalities, minimum=1)
    settings = _for_few(settings, source)
    typer.echo(f"modalities: {', '.join(settings.volume.modalities)}")
    points = PointSource(labels, label_kind)
    typer.echo(run_pretraining(settings, source, out, resume=resume, hash_names=hash_names, points=points))


def _for_few(settings: config.TacoConfig, source: Source) -> config.TacoConfig:
    """The settings with fewer people per step where there are not as many, which is reported."""
    from toposlearn.data import read_manifest

    count = len(read_manifest(source, settings.volume.modalities).people)
    wanted = settings.train.subjects_per_step
    if count >= wanted:
        return settings
    alone = ": nothing is compared across people" if count == 1 else ""
    typer.echo(f"note: a step takes {count} instead of {wanted} people, because there are no more{alone}", err=True)
    return settings.replace(train={"subjects_per_step": count})


def with_modalities(
    settings: config.TacoConfig, source: Source, modalities: str | None, minimum: int = 2
) -> config.TacoConfig:
    """The settings with the modalities of the user, or with those that people have, `minimum` or more."""
    from toposlearn.data import config_for, read_manifest

    if modalities is not None:
        return settings.replace(volume={"modalities": listed(modalities)})
    return config_for(settings, read_manifest(source, settings.volume.modalities), minimum=minimum)


@app.command()
def ablation(
    data: DataOption = DATA,
    held_out: HeldOutOption = None,
    real: RealOption = None,
    labels: LabelsOption = None,
    label_kind: LabelKindOption = "",
    source: SourceOption = "",
    registration: RegistrationOption = True,
    out: Annotated[Path, Option(help="Folder of the runs.")] = Path("runs/ablation"),
    preset: PresetOption = "lab",
    seeds: SeedsOption = 3,
    variants: Annotated[str | None, Option(help="Comma-separated loss variants (default: those of the paper).")] = None,
    shipped: Annotated[Path | None, Option(help="Folder for the first seed's weights and the results.")] = None,
    cache: CacheOption = None,
) -> None:
    """Pre-train with and without each term of the loss, with several seeds each, and compare."""
    settings = config.preset(preset)
    from toposlearn.studies.ablation import run_ablation

    chosen = listed(variants) or config.VARIANTS
    metrics = run_ablation(
        settings,
        data,
        out,
        held_out=held_out,
        seeds=range(seeds),
        variants=chosen,
        real=_real_people(real, labels, label_kind, source),
        registration=registration,
        shipped=shipped,
    )
    if shipped is not None:
        from toposlearn.studies.ablation.figures import save_overview

        save_overview(shipped, data, metrics)
    typer.echo(out / "results.json")


@app.command()
def matchers(
    data: DataOption = DATA,
    held_out: HeldOutOption = None,
    real: RealOption = None,
    labels: LabelsOption = None,
    label_kind: LabelKindOption = "",
    source: SourceOption = "",
    registration: RegistrationOption = True,
    out: Annotated[Path, Option(help="Folder of the runs; runs of an ablation are reused.")] = Path("runs/ablation"),
    preset: PresetOption = "lab",
    seeds: SeedsOption = 3,
    shipped: Annotated[Path | None, Option(help="Folder for a copy of the result.")] = None,
    cache: CacheOption = None,
) -> None:
    """Pre-train with every way of matching two people, also true and random matches, and measure the topology."""
    from toposlearn.studies.ablation import run_matchers
    from toposlearn.studies.ablation.tables import matchers_section

    path = run_matchers(
        config.preset(preset),
        data,
        out,
        held_out=held_out,
        seeds=range(seeds),
        real=_real_people(real, labels, label_kind, source),
        registration=registration,
        shipped=shipped,
    )
    typer.echo(matchers_section(json.loads(path.read_text())))
    typer.echo(path)


def _real_people(data: Path | None, labels: str | None, label_kind: str, source: str) -> RealPeople | None:
    from toposlearn.data import PointSource
    from toposlearn.studies.ablation import RealPeople

    return None if data is None else RealPeople(data, PointSource(labels, label_kind), source)


@app.command()
def evaluate(
    checkpoints: Annotated[Path, Option(help="Folder of VARIANT-seedN runs or VARIANT.safetensors.")] = CHECKPOINTS,
    data: DataOption = DATA,
    out: Annotated[Path, Option(help="Folder of the result file; it is kept and continued.")] = Path("runs/evaluation"),
    test: Annotated[list[Path] | None, Option(help=TEST)] = None,
    session: SessionOption = "",
    entity: EntityOption = None,
    pattern: PatternOption = None,
    cache: CacheOption = None,
    allow_seen: AllowSeenOption = False,
) -> None:
    """Measure downstream tasks, frozen and fine-tuned, with every subset of the modalities, beside baselines."""
    from toposlearn.data import Source
    from toposlearn.studies.tasks.evaluation import evaluate as run_evaluation
    from toposlearn.studies.tasks.summary import evaluation_tables

    source, *tests = (Source.of_options([each], session, entity or (), pattern or ()) for each in (data, *(test or ())))
    path = run_evaluation(checkpoints, source, out, tests=tests, allow_seen=allow_seen)
    typer.echo(evaluation_tables(path))
    typer.echo(path)
