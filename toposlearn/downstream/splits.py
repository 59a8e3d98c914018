"""Nobody may be learned from and judged on: training people, readers' people and test people are kept apart.

Nor may a site be, when the question is whether what was learned holds on a scanner never seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from toposlearn.data import Manifest, Record


def identity(record: Record, manifest: Manifest) -> tuple[str, ...]:
    """Who a record is: for simulated people the draw they were made from, for others their files' place."""
    if record.info.get("seed") and record.info.get("anatomy"):
        return "simulated", record.info["anatomy"], record.info["seed"], record.subject
    return str(manifest.root.resolve()), record.subject


def check_splits(parts: Mapping[str, Manifest]) -> None:
    """Raise ValueError when a person is in two of the named parts."""
    seen: dict[tuple[str, ...], str] = {}
    for name, manifest in parts.items():
        for record in manifest.records:
            other = seen.setdefault(identity(record, manifest), name)
            if other != name:
                raise ValueError(f"{record.subject} is in both {other} and {name}: people must not be shared")


def leave_one_site_out(manifest: Manifest) -> dict[str, tuple[Manifest, Manifest]]:
    """Site -> people of all other sites, and the people of this one. Whose site is not known (n/a) is in none.

    Raises:
        ValueError: participants.tsv tells fewer than two sites.
    """
    subjects: dict[str, list[str]] = {}
    for record in manifest.records:
        if record.info.get("site", "n/a") not in ("", "n/a"):
            subjects.setdefault(record.info["site"], []).append(record.subject)
    if len(subjects) < 2:
        raise ValueError(
            f"{manifest.root}/participants.tsv tells {len(subjects)} sites: a column site with at least two is needed"
        )
    return {
        site: (
            manifest.select([name for other in subjects if other != site for name in subjects[other]]),
            manifest.select(here),
        )
        for site, here in sorted(subjects.items())
    }
