"""Where the scans of a run come from: name and license of their data set, for the cards of weights."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

from toposlearn.anatomy import SOURCES
from toposlearn.data.layouts.tables import read_description


def described_name(root: Path) -> str:
    """The name in the description of a data set; "" where there is none, or a damaged one."""
    file = root / "dataset_description.json"
    return _name_in(root, file.stat().st_mtime_ns) if file.is_file() else ""


@lru_cache
def _name_in(root: Path, _modified: int) -> str:
    return str(read_description(root)[0].get("Name") or "")


@cache
def folder_of(root: Path) -> str:
    """The name of the folder of a data set."""
    return root.resolve().name


def origin_of(root: Path) -> str:
    """Name and license of a data folder, for the cards of weights trained on it; a damaged description is no error."""
    description, _ = read_description(root)
    recipe = description.get("Recipe")
    anatomy = str(recipe.get("Anatomy")) if isinstance(recipe, dict) else ""
    if isinstance(recipe, dict) and recipe.get("Generator") == "toposlearn cohort" and anatomy in SOURCES:
        source = SOURCES[anatomy]
        return (
            f"simulated people made from label map {anatomy} ({source.origin}; {source.licence}), as shipped "
            f"by the package {source.package}. The Apache-2.0 license of the code does not cover the label map"
        )
    licence = description.get("License") or "not stated in the data set"
    return f"{described_name(root) or folder_of(root)}; license: {licence}"
