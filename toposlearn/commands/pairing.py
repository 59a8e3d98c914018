"""The command that asks when the inter-instance term pays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from toposlearn import config
from toposlearn.commands.app import DATA, CacheOption, DataOption, PresetOption, SeedsOption, app, listed

SHARES = "Comma-separated shares of the people trained on who keep both modalities."
COMPARED = "Comma-separated loss variants, compared with intra (default: intra and full with four matchers)."


@app.command()
def pairing(
    data: DataOption = DATA,
    out: Annotated[Path, Option(help="Folder of the runs.")] = Path("runs/pairing"),
    preset: PresetOption = "lab",
    steps: Annotated[int | None, Option(help="Number of steps of a run (default: the preset's).")] = None,
    shares: Annotated[str, Option(help=SHARES)] = "1,0.25,0.05,0",
    variants: Annotated[str | None, Option(help=COMPARED)] = None,
    seeds: SeedsOption = 3,
    shipped: Annotated[Path | None, Option(help="Folder for a copy of the result.")] = None,
    cache: CacheOption = None,
) -> None:
    """Pre-train on people of whom all, few or none have both T1w and T2w, with and without the inter term; compare."""
    settings = config.preset(preset)
    if steps is not None:
        settings = settings.replace(train={"steps": steps})
    from toposlearn.studies.pairing import run_pairing
    from toposlearn.studies.pairing.study import VARIANTS
    from toposlearn.studies.pairing.tables import pairing_section

    chosen = listed(variants) or VARIANTS
    asked = [_share(text) for text in listed(shares)]
    path = run_pairing(settings, data, out, shares=asked, variants=chosen, seeds=range(seeds), shipped=shipped)
    typer.echo(pairing_section(json.loads(path.read_text())))
    typer.echo(path)


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--shares {text!r} is no number: write shares between 0 and 1, such as 1,0.25,0") from None
