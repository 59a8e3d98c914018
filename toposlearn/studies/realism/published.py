"""What is published of real people, read from ``published.yaml``; and how a measured number compares with it."""

from __future__ import annotations

from importlib.resources import files
from math import isnan, nan
from typing import Any, NamedTuple

import yaml

_DATA: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("published.yaml").read_text(encoding="utf-8"))
SOURCES: dict[str, str] = _DATA["sources"]
ORDER: dict[str, list[str]] = _DATA["order"]  # modality -> healthy tissues from dark to bright
TYPICAL_BRAIN_ML: float = _DATA["typical_brain_ml"]
UNITS: dict[str, str] = _DATA["units"]  # of a group, or of a name up to its first comma
SHORTCOMINGS: dict[str, Any] = _DATA["shortcomings"]


class Reference(NamedTuple):
    """A range, what was published, and by whom: keys of `SOURCES`, ``templates`` or ``donors``, with spaces."""

    low: float = nan
    high: float = nan
    text: str = ""
    sources: str = ""


RANGES = {
    group: {name: Reference(*entry) for name, entry in entries.items()} for group, entries in _DATA["ranges"].items()
}


def status_of(value: float, reference: Reference, low: float = nan, high: float = nan) -> str:
    """``within``, ``outside`` and how far, or ``undecided`` where the interval [low, high] crosses an end."""
    if isnan(reference.low):
        return "not judged"
    if isnan(value):
        return "not measured"
    crossed = any(low <= end <= high for end in reference[:2])
    if crossed and reference.low < reference.high:
        return "undecided: the interval crosses the end"
    if reference.low <= value <= reference.high:
        return "within"
    end, name = (reference.low, "lower") if value < reference.low else (reference.high, "upper")
    if value * end <= 0:
        return f"outside: {abs(value - end):.2g} from the {name} end"
    return f"outside: {value / end:.2f} × the {name} end"
