"""Separate splits: the same subject must not be in training and in evaluation."""

from collections.abc import Mapping

from toposlearn.data import Manifest, Record


def identity(record: Record, manifest: Manifest) -> tuple[str, ...]:
    """The identity of a subject: of a simulated one the draw it was made from, of others the place of their files."""
    if record.info.get("seed") and record.info.get("anatomy"):
        return "simulated", record.info["anatomy"], record.info["seed"], record.subject
    return str(manifest.root.resolve()), record.subject


def check_splits(parts: Mapping[str, Manifest]) -> None:
    """Raise ValueError when a subject is in two of the named parts."""
    seen: dict[tuple[str, ...], str] = {}
    for name, manifest in parts.items():
        for record in manifest.records:
            other = seen.setdefault(identity(record, manifest), name)
            if other != name:
                raise ValueError(f"{record.subject} is in both {other} and {name}: people must not be shared")
