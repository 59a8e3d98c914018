"""Tables and descriptions beside the images."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def read_participants(root: Path) -> dict[str, dict[str, str]]:
    """Subject -> its row of ``participants.tsv``."""
    path = root / "participants.tsv"
    if not path.exists():
        return {}
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if "participant_id" not in table:
        raise ValueError(f"{path} has no column participant_id: add it, with the names of the people's folders")
    rows = [{str(name): str(value) for name, value in row.items()} for row in table.to_dict(orient="records")]
    return {row["participant_id"]: row for row in rows}
