"""What the name of an image file says: the modality, or that it is none, and the person."""

from __future__ import annotations

import re
from pathlib import Path

from toposlearn.data.images import stem
from toposlearn.settings import T1CE

WORDS = {  # modality -> words that name it, in the spelling of BIDS, BraTS 2021 and 2023, and scanners
    "T1w": ("t1", "t1w", "t1n", "mprage"),
    T1CE: ("t1ce", "t1c", "t1gd"),
    "T2w": ("t2", "t2w"),
    "FLAIR": ("flair", "t2f", "t2flair", "tirm", "dark"),  # "t2_space_dark-fluid" is a FLAIR
    "PDw": ("pd", "pdw"),
    "dwi": ("dwi", "trace"),
    "ADC": ("adc",),
}
DIFFUSION = ("dwi", "ADC")  # often there several times, or as a series: used where it is clear which, else ignored
CONTRAST = ("ce", "gd", "gad", "gadolinium", "contrast", "postcontrast", "postgd")  # turns a T1w into T1CE
OTHER = {  # masks, maps and kinds of image that no run here uses
    *("seg", "mask", "brainmask", "label", "labels", "dseg", "aseg", "aparc", "lesion", "lesions", "roi", "atlas"),
    *("xfm", "warp", "affine", "fieldmap", "dti", "fa", "md", "bold", "asl", "swi", "star", "t2star"),
    *("hemo", "tof", "angio", "ct", "pet", "localizer", "scout"),
}
MODALITIES = {word: modality for modality, words in WORDS.items() for word in words}
_WORD = re.compile(r"[A-Za-z0-9]+")
EXAMPLE = "e.g. to ANNA_T1w.nii.gz"


def modality_of(path: Path, subject: str = "") -> str | None:
    """The modality of a file by the words of its name; None for masks, maps and other kinds of image.

    Words of the person's own name do not count (it may be PD-01). No known word, or words of two modalities, raise
    ValueError.
    """
    return modality_in_words(path, stem(path.name).removeprefix(subject))


def modality_in_words(path: Path, text: str) -> str | None:
    """The modality that the words of `text` name, as `modality_of`."""
    words = [word.lower() for word in _WORD.findall(text)]
    if OTHER & set(words):
        return None
    names = {MODALITIES[word] for word in words if word in MODALITIES}
    if names & set(DIFFUSION) and len(names) > 1:
        if names == set(DIFFUSION):  # dwi_ADC
            return "ADC"
        if {"dwi", "adc"} & set(words):  # one brought to the other, or its mask
            return None
        names.discard("dwi")  # t2_trace
    if names == {"FLAIR", "T2w"}:  # T2_FLAIR
        return "FLAIR"
    if T1CE in names or ("T1w" in names and any(word in CONTRAST for word in words)):
        names = names - {"T1w"} | {T1CE}
    if len(names) > 1:
        raise ValueError(f"{path} names more than one modality ({', '.join(sorted(names))}): rename it, {EXAMPLE}")
    if not names:
        known = ", ".join(words[0] for words in WORDS.values())
        raise ValueError(f"{path} names no modality ({known} and the like): rename it, {EXAMPLE}, or move it away")
    return names.pop()


def subject_in(path: Path) -> str:
    """The person in the name of a file that names a modality: the part before it, or else after it; "" if none."""
    text = stem(path.name)
    named = [match for match in _WORD.finditer(text) if match[0].lower() in (*MODALITIES, *CONTRAST)]
    before, after = (part.strip("-_. ") for part in (text[: named[0].start()], text[named[-1].end() :]))
    return before or after
