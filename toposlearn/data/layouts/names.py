"""What the name of an image file says: a modality, a label map of some kind, neither, or nothing; and the person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from toposlearn.data.images import stem
from toposlearn.data.layouts.words import (
    CONTRAST,
    DIFFUSION,
    LABELS,
    LESIONS,
    NO_CONTRAST,
    OTHER,
    SOFT,
    WORD,
    WORDS,
    is_known,
    is_naming,
    modality_of_word,
)
from toposlearn.settings import T1CE

EXAMPLE = "e.g. to ANNA_T1w.nii.gz"
REMEDY = f"rename it, {EXAMPLE}, or name it with --pattern"
NOTHING = f"names no modality ({', '.join(words.split()[0] for words in WORDS.values())} and the like)"
_SHORT = 2  # letters of a word that may just as well be part of a person's name, such as MD_0001
_PLUS = (
    (re.compile(r"(?i)(t1w?)[-_ ]?(?:\+[-_ ]?c|c\+?)(?![A-Za-z0-9])"), "t1c "),
    (re.compile(r"(?i)(?<![A-Za-z0-9])mp[-_ ]rage(?![A-Za-z0-9])"), "mprage"),
    (re.compile(r"(?i)\bc\+|\+[-_ ]?c(?![A-Za-z0-9])"), " ce "),
)
_ENTITY = re.compile(r"(?i)(?:space|mod|ref)-[A-Za-z0-9]+")
_TARGET = re.compile(  # the image to which another was brought: FLAIR_reg_to_T1 is a FLAIR
    r"(?i)(?<![A-Za-z0-9])(?:reg|coreg|registered|aligned)(?:[-_ ]?(?:to|2|in))?[-_ ](?=t[12]|flair|pd|dwi)[A-Za-z0-9]+"
)
_ANYBODY = re.compile(r"(?i)(patient|subject|sub|pat|case|person|participant|id|volunteer|brain|img|image)s?")
_OF_LABELS = {"brain", "parenchyma", "tissue"}
_SHORT_AFTER = re.compile(r"[-_+. ]+[A-Za-z]{1,2}(?![A-Za-z0-9])")


class Meaning(NamedTuple):
    """What words say; all empty for masks, maps and other kinds of image."""

    modality: str = ""
    label_map: str = ""  # kind, such as seg, aparc+aseg or lesion
    problem: str = ""  # what is not clear about them

    @property
    def unknown(self) -> bool:
        """True where no word is known."""
        return self.problem == NOTHING


@lru_cache(maxsize=4096)
def meaning_of(text: str) -> Meaning:
    """What the words of a name say, without the person's own name (it may be PD-01)."""
    text = _plain(text)
    words = {word.lower() for word in WORD.findall(text)}
    if words & LABELS and not words & SOFT:
        return Meaning(label_map=_kind(text))
    if words & OTHER - ({"map"} if "adc" in words else set()):
        return Meaning()
    return _modality({name for word in words if (name := modality_of_word(word))}, words)


def _modality(names: set[str], words: set[str]) -> Meaning:
    if names & set(DIFFUSION) and len(names) > 1:
        if names == set(DIFFUSION):  # dwi_ADC
            return Meaning("ADC")
        if {"dwi", "adc"} & words:  # one brought to the other, or its mask
            return Meaning()
        names = names - {"dwi"}  # t2_trace
    if names == {"FLAIR", "T2w"}:  # T2_FLAIR
        return Meaning("FLAIR")
    if T1CE in names or ("T1w" in names and words & CONTRAST and not words & NO_CONTRAST):
        names = names - {"T1w"} | {T1CE}
    if len(names) > 1:
        return Meaning(problem=f"names more than one modality ({', '.join(sorted(names))})")
    return Meaning(names.pop()) if names else Meaning(problem=NOTHING)


def _kind(text: str) -> str:
    """The kind of a label map: its words in the name, or ``lesion``."""
    found = [match for match in WORD.finditer(text) if match[0].lower() in LABELS | _OF_LABELS]
    if any(match[0].lower() in LESIONS for match in found):
        return "lesion"
    short = _SHORT_AFTER.match(text, found[-1].end())  # GT_W
    return text[found[0].start() : short.end() if short else found[-1].end()]


def _plain(text: str) -> str:
    """The text without the image to which this one was brought, and with ``C+`` as a word."""
    text = _ENTITY.sub(" ", text)
    target = _TARGET.search(text)
    if target and any(modality_of_word(word.lower()) for word in WORD.findall(text[: target.start()])):
        text = text[: target.start()] + " reg " + text[target.end() :]
    for sign, word in _PLUS:
        text = sign.sub(word, text)
    return text


def split_name(text: str) -> tuple[str, str]:
    """The person in a name, which stands before or after the words that say what the image is; and those words.

    ``PD-01_T1`` is a T1w of PD-01. Without such words, all of the name is the person.
    """
    naming = [run for run in _runs(text) if any(is_naming(match[0].lower()) for match in run)]
    if not naming:
        return text, ""
    start, end = naming[-1][0].start(), naming[-1][-1].end()
    before, after = text[:start].strip("-_. "), text[end:].strip("-_. ")
    if before and not (_ANYBODY.fullmatch(before) and any(map(str.isdigit, after))):
        person, words = _without_leading_mask(before)
        return person, f"{words} {text[start:]}"
    person = _without_last_words(after)  # patient_T1_007 is 007
    return person, text.replace(person, " ") if person else text


def _runs(text: str) -> Iterator[list[re.Match[str]]]:
    """Neighboring words that are all known."""
    for known, group in groupby(WORD.finditer(text), lambda match: is_known(match[0].lower())):
        if known:
            yield list(group)


def _without_leading_mask(before: str) -> tuple[str, str]:
    """``brainmask_anna``: the person, and the leading word that is not part of the person's name."""
    first = WORD.match(before)
    if first and _SHORT < len(first[0]) < len(before) and first[0].lower() in LABELS | OTHER:
        return before[first.end() :].strip("-_. "), first[0]
    return before, ""


def _without_last_words(after: str) -> str:
    """``anna_brain``: the person."""
    words = list(WORD.finditer(after))
    while len(words) > 1 and is_known(words[-1][0].lower()):
        words.pop()
    return after[: words[-1].end()] if words else ""


def names_no_person(text: str) -> bool:
    """True where every word of a name is known."""
    words = WORD.findall(_plain(text))
    if any(is_naming(word.lower()) for word in words):  # T2w_SPC1
        words = [word if is_known(word.lower()) else word.rstrip("0123456789") for word in words]
    return bool(words) and all(is_known(word.lower()) for word in words)


def modality_of(path: Path, subject: str = "") -> str | None:
    """The modality of a file by its words without the person's own; None for masks, maps and other kinds of image.

    No known word, or words of two modalities, raise ValueError.
    """
    text = stem(path.name)
    found = meaning_of(text.replace(subject, " ") if subject else text)
    if found.problem:
        raise ValueError(f"{path} {found.problem}: {REMEDY}")
    return found.modality or None


def subject_in(path: Path) -> str:
    """The person in the name of a file that says what it is; "" if none."""
    person, words = split_name(stem(path.name))
    return person if words else ""
