"""Folders that hold the files of many people, whose names are in the files' names: T1/ANNA.nii, Berlin/ANNA_T1.nii."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from toposlearn.data.layouts.names import Meaning, meaning_of, split_name
from toposlearn.data.layouts.tree import Folders, Place, is_kind, names_images
from toposlearn.data.layouts.visits import is_visit, perhaps_visit, visit_by_scheme, without_visit

_INITIALS = re.compile(r"[A-Za-z]{2}[-_ ]?(?=\d)")
_MANY = 6  # more files of one modality in a folder are not of one person
_SERIES = re.compile(r"(?i)(s|ser|series|im|img)?[-_]?\d{1,4}")  # 3_t1_mprage: no person within a person's folder


def crowded_folders(leaves: Mapping[Folders, Sequence[Place]]) -> set[Folders]:
    """Those of these folders, each with the images directly in it, that hold the files of many people."""
    names = {folders: {in_file(place)[0] for place in inside} - {""} for folders, inside in leaves.items()}
    shared, beside = _shared(names), _shared_beside(names)
    return {folders for folders, inside in leaves.items() if _is_crowd(folders, inside, shared, beside[folders[:-1]])}


def in_file(place: Place) -> tuple[str, str]:
    """Person and other words of a file's name; all of it is the person where only the folder names a modality."""
    name, words = split_name(place.stem)
    around = next((meaning_of(folder) for folder in reversed(place.folders) if names_images(folder)), None)
    initials = _INITIALS.match(place.stem)  # T1/MD_0001.nii.gz is a T1w of MD_0001
    if around and initials and around != meaning_of(words) and not split_name(place.stem[initials.end() :])[1]:
        return place.stem, ""
    return (name, words) if words or around else ("", place.stem)


def _shared(names: Mapping[Folders, set[str]]) -> set[str]:
    """Names in files that occur in several folders, as those of series do."""
    counts = Counter(name for inside in names.values() for name in inside)
    return {name for name, count in counts.items() if count > 1}


def _shared_beside(names: Mapping[Folders, set[str]]) -> defaultdict[Folders, set[str]]:
    """For each folder, the names that occur in several folders directly in it."""
    together: defaultdict[Folders, Counter[str]] = defaultdict(Counter)
    for folders, inside in names.items():
        together[folders[:-1]].update(inside)
    shared = {folders: {name for name, count in counts.items() if count > 1} for folders, counts in together.items()}
    return defaultdict(set, shared)


def _is_crowd(folders: Folders, inside: Sequence[Place], shared: set[str], beside: set[str]) -> bool:
    """True where a folder holds the files of many people, who are in the files' names.

    `shared` are names that occur in other folders too, and `beside` those in folders beside this one.
    """
    if all(map(is_kind, folders)):
        return True
    found: defaultdict[str, set[Meaning]] = defaultdict(set)
    for place in inside:
        name, words = in_file(place)
        stemmed = without_visit(name).person
        if stemmed and not is_visit(name) and not perhaps_visit(name):
            found[stemmed].add(meaning_of(words))
    owner = next(folder for folder in reversed(folders) if not is_kind(folder))
    if len(found) < 2 or all(name.startswith(owner) for name in found) or visit_by_scheme(owner):
        return False
    several = sum(len(meanings) > 1 for meanings in found.values())
    kinds = {meaning for meanings in found.values() for meaning in meanings}
    if len(kinds) == len(found) and all(map(_SERIES.fullmatch, found)):  # 301_T1, 401_T2 of one visit
        return False
    if is_kind(folders[-1]) and not several:  # Berlin/T1/anna, Berlin/T2/anna, but not ANNA/T1/slice1
        return len(found.keys() & beside) * 2 > len(found) or len(found) > _MANY
    if names_images(folders[-1]) and not several:
        return len(kinds) == 1
    if sum(name in shared for name in found) * 2 > len(found) or all(map(_SERIES.fullmatch, found)):
        return False
    before = all(place.stem.startswith(in_file(place)[0]) for place in inside)
    return several * 2 >= len(found) or (len(kinds) == 1 and before)
