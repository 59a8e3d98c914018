"""The command that measures weights on people whom they were not trained on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from toposlearn.commands.app import (
    DATA,
    AllowSeenOption,
    CacheOption,
    EntityOption,
    LabelKindOption,
    LabelsOption,
    PatternOption,
    RegistrationOption,
    SessionOption,
    SourceOption,
    SourcesOption,
    app,
)
from toposlearn.commands.training import MODALITIES, with_modalities


@app.command()
def scorecard(
    weights: Annotated[list[Path], Argument(help="Weights files (.safetensors).", metavar="WEIGHTS...")],
    data: SourcesOption = None,
    labels: LabelsOption = None,
    label_kind: LabelKindOption = "",
    out: Annotated[Path | None, Option(help="Result file (JSON) to write.")] = None,
    modalities: Annotated[str | None, Option(help=MODALITIES)] = None,
    session: SessionOption = "",
    entity: EntityOption = None,
    pattern: PatternOption = None,
    cache: CacheOption = None,
    registration: RegistrationOption = True,
    allow_seen: AllowSeenOption = False,
    source: SourceOption = "",
) -> None:
    """Measure weights on held-out people: correspondence in mm and neighborhoods, beside their rivals."""
    from toposlearn.data import PointSource, Source, prepare, read_manifest
    from toposlearn.data.split import named, refuse_seen, remarks, unseen_by
    from toposlearn.models import load_readout, load_weights
    from toposlearn.pretrain.between_people import in_poses, measure_people, people_facts, registration_cache
    from toposlearn.pretrain.people_table import people_section
    from toposlearn.reproducibility import write_result

    start = time.perf_counter()
    loaded = {path: load_weights(path) for path in weights}
    names = _names({path: trained.variant for path, (_, trained) in loaded.items()})
    networks = {names[path]: (model, load_readout(path)) for path, (model, _) in loaded.items()}
    folders = Source.of_options(data or [DATA], session, entity or (), pattern or ())
    settings = with_modalities(next(iter(loaded.values()))[1], folders, modalities, minimum=1)
    grid = settings.volume.shape, settings.volume.spacing
    if other := [path for path, (_, own) in loaded.items() if (own.volume.shape, own.volume.spacing) != grid]:
        raise ValueError(f"{other[0]} reads images on another grid than {weights[0]}: measure it alone")
    people = read_manifest(folders, settings.volume.modalities)
    if not allow_seen:
        people = unseen_by(weights, people, settings.train.test_fraction)
    prepared = prepare(people, settings.volume)
    seen = refuse_seen(weights, prepared.manifest, prepared.fingerprints(), allow_seen=allow_seen)
    facts: dict[str, Any] = remarks(weights, seen)
    for name, values in facts.items():
        typer.echo(f"note: {name}: {named(values)}", err=True)
    poses = in_poses(prepared, settings, PointSource(labels, label_kind))
    metrics = measure_people(networks, poses, registration=registration, cache=registration_cache(prepared))
    shown = poses["posed"]
    typer.echo(people_section(metrics, networks, shown))
    if out is not None:
        facts |= {"labels": Path(labels or "").name, "source": source}
        facts |= {"readout": {name: vars(readout) for name, (_, readout) in networks.items()}}
        config = settings.to_dict() | facts | people_facts(prepared, shown)
        command = f"toposlearn scorecard {' '.join(map(str, weights))}"
        seconds = time.perf_counter() - start
        typer.echo(write_result(out, source=command, metrics=metrics, config=config, seconds=seconds))


def _names(variants: Mapping[Path, str]) -> dict[Path, str]:
    """A name for each weights file: its variant, where these differ, else that of the file, else its path."""
    for naming in (variants.__getitem__, lambda path: path.stem, str):
        names = {path: naming(path) for path in variants}
        if len(set(names.values())) == len(names):
            break
    return names
