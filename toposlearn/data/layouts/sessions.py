"""Sessions of a person: visits or time points, of which one is used, or all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from toposlearn.data.layouts.files import natural
from toposlearn.data.source import ALL

Visits = Mapping[str, Mapping[str, Collection[str]]]  # person -> session -> modalities
USUAL = 0.5  # share of the people who have a modality that counts in the choice of a session
NAMED = 5  # people who are named in a line
_WORD = re.compile(r"^((session|sess|ses|visit|timepoint|time|tp|v)([-_ ]|(?=\d)))?0*(?=.)", re.IGNORECASE)


def choose_sessions(visits: Visits, label: str = "", modalities: Sequence[str] = ()) -> dict[str, list[str]]:
    """The sessions of each person that are used, in natural order.

    `label` is that of a session or ``all``; without it, the session with most of `modalities` (default: those that half
    of the people have), the first of several. ValueError: no person has a session of this label.
    """
    wanted = set(modalities) or _usual(visits)
    chosen = {person: list(_choose(sessions, label, wanted)) for person, sessions in visits.items()}
    if visits and not any(chosen.values()):
        known = sorted({bare(session) for sessions in visits.values() for session in sessions if session}, key=natural)
        there = f"there are {', '.join(known)}" if known else "no file names a session"
        raise ValueError(f"no person has images of session {label}: {there}")
    return chosen


def bare(session: str) -> str:
    """The label of a session without ``ses-`` or the like, and without leading zeros."""
    return _WORD.sub("", session)


def named(people: Sequence[str]) -> str:
    """The first few people, with the number of the others."""
    more = f" and {len(people) - NAMED} more" if len(people) > NAMED else ""
    return ", ".join(people[:NAMED]) + more


def describe_sessions(visits: Visits, chosen: Mapping[str, Sequence[str]], label: str) -> Iterator[str]:
    """Which sessions are used, where people have several; and who has none of the label asked for."""
    if lacking := [person for person, sessions in chosen.items() if not sessions]:
        yield f"{people_in_words(len(lacking))} without images of session {label}: {named(lacking)}"
    several = [person for person, sessions in visits.items() if len(sessions) > 1 and chosen[person]]
    if several and label == ALL:
        yield f"sessions: all are used, of {people_in_words(len(several))} with several"
    elif several and not label:
        counts = Counter(bare(chosen[person][0]) or "without a label" for person in several)
        used = ", ".join(f"{session} ({counts[session]})" for session in sorted(counts, key=natural))
        chosen_by = "--session LABEL or all chooses others"
        yield f"sessions: one is used of {people_in_words(len(several))} with several: {used}; {chosen_by}"


def _choose(sessions: Mapping[str, Collection[str]], label: str, wanted: Collection[str]) -> list[str]:
    ordered = sorted(sessions, key=natural)
    if label == ALL:
        return ordered
    if label:
        exact = [session for session in ordered if session.casefold() == label.casefold()]
        return (exact or [session for session in ordered if natural(bare(session))[0] == natural(bare(label))[0]])[:1]
    return [max(ordered, key=lambda session: len(set(sessions[session]) & set(wanted)))]


def _usual(visits: Visits) -> set[str]:
    counts = Counter(name for sessions in visits.values() for name in set().union(*sessions.values()))
    return {name for name, count in counts.items() if count >= USUAL * len(visits)}


def people_in_words(people: int) -> str:
    """A number of people in words."""
    return f"{people} {'person' if people == 1 else 'people'}"
