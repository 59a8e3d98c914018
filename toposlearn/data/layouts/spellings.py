"""People whose names differ in capitals only: one person where their images complete each other, else several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from toposlearn.data.layouts.files import File


def merge_spellings(files: Sequence[File]) -> tuple[list[File], list[str]]:
    """The files with one spelling of each person, and a line for each person with several."""
    images: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
    for file in files:
        images[file.subject.casefold()][file.subject].add((file.session, file.modality or file.label_map))
    spelled, notes = dict[str, str](), list[str]()
    for spellings in images.values():
        if len(spellings) > 1:
            one = not any(first & second - {("", "")} for first, second in combinations(spellings.values(), 2))
            names = sorted(spellings)
            spelled |= dict.fromkeys(names, names[-1]) if one else {}
            taken = f"one person, {names[-1]}: name the files alike" if one else "several people: rename them if not"
            notes.append(f"{' and '.join(names)} differ in capitals only, and are taken for {taken}")
    merged = [replace(file, subject=spelled[file.subject]) if file.subject in spelled else file for file in files]
    return merged, notes
