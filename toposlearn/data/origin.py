"""Where the scans of a run come from: name and license of their data set, for the cards of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toposlearn.anatomy import SOURCES


def read_description(root: Path) -> dict[str, Any]:
    """``dataset_description.json`` of a data folder; empty where there is none."""
    path = root / "dataset_description.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def data_set_name(root: Path) -> str:
    """The name in the description of a data set, or else that of its folder."""
    return str(read_description(root).get("Name") or root.resolve().name)


def origin_of(root: Path) -> str:
    """Name and license of a data folder, for the cards of weights trained on it."""
    description = read_description(root)
    recipe = description.get("Recipe", {})
    if recipe.get("Generator") == "toposlearn cohort":
        source = SOURCES[recipe["Anatomy"]]
        return (
            f"simulated people made from label map {recipe['Anatomy']} ({source.origin}; {source.licence}), as shipped "
            f"by the package {source.package}. The Apache-2.0 license of the code does not cover the label map"
        )
    return f"{data_set_name(root)}; license: {description.get('License', 'not stated in the data set')}"
