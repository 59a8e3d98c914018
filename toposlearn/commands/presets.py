"""The command that shows presets: side by side, or the settings of one."""

from __future__ import annotations

from typing import Annotated

import typer

from toposlearn.commands.app import app


@app.command("config")
def show_config(
    preset: Annotated[
        str | None, typer.Argument(help="smoke, lab, gpu or paper; all side by side unless given.")
    ] = None,
) -> None:
    """Presets side by side, with the cost of their networks; or every setting of one preset, as JSON."""
    import json

    from toposlearn import config

    if preset is not None:
        typer.echo(json.dumps(config.preset(preset).to_dict(), indent=2))
        return

    from toposlearn.models import preset_table

    typer.echo(preset_table(), nl=False)
