"""Checks of settings: each raises ValueError with the name of the setting, its value and what would be right."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args, get_origin, get_type_hints


def require(condition: bool, message: str) -> None:
    """Raise ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_read(settings: Any, section: str, names: tuple[str, ...], read: bool, reader: str) -> None:
    """Raise ValueError for a changed setting that nothing would read."""
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        advice = f"is read with {reader} only: leave it at {one.default!r}, or choose that (got {value!r})"
        require(read or one.name not in names or value == one.default, f"{section}.{one.name} {advice}")


def require_min(settings: Any, section: str, minimum: int, *names: str) -> None:
    """Raise ValueError for a value below the minimum."""
    for name in names:
        value = getattr(settings, name)
        require(value >= minimum, f"{section}.{name} must be >= {minimum}, got {value}")


def require_known(settings: Any, section: str) -> None:
    """Raise ValueError for a value that is not among the choices of its setting."""
    for name, hint in get_type_hints(type(settings)).items():
        known, value = get_args(hint), getattr(settings, name)
        chosen = get_origin(hint) is not Literal or value in known
        require(chosen, f"{section}.{name} must be one of {', '.join(map(str, known))}, got {value!r}")


def require_different(name: str, values: tuple[Any, ...]) -> None:
    """Raise ValueError when a value comes twice."""
    require(len(set(values)) == len(values), f"{name} must differ from each other, got {values}")
