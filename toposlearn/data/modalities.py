"""Which kind of image a file is, by the words in its name; what cannot be told for certain is an error, no guess."""

from __future__ import annotations

import re
from pathlib import Path

T1CE = "ce-gadolinium_T1w"
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
_MODALITY = {word: modality for modality, words in WORDS.items() for word in words}
_WORD = re.compile(r"[A-Za-z0-9]+")
_BIDS = re.compile(r"^sub-[A-Za-z0-9]+_(?:.*_)?(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?$")
_BIDS_AGENT = re.compile(r"_(ce-[A-Za-z0-9]+)_")
_BIDS_OTHER = ("mask", "dseg", "probseg", "xfm")
EXAMPLE = "e.g. to ANNA_T1w.nii.gz"


def is_nifti(name: str) -> bool:
    """True for a NIfTI file's name; hidden files are none."""
    return name.endswith((".nii", ".nii.gz")) and not name.startswith(".")


def stem(name: str) -> str:
    """The name without ``.nii`` or ``.nii.gz``."""
    return name.removesuffix(".gz").removesuffix(".nii")


def modality_of(name: str) -> str | None:
    """The modality in a BIDS file name (``T1w``, ``ce-gadolinium_T1w``), or None when it is no image."""
    match = _BIDS.match(name)
    if match is None or match["suffix"] in _BIDS_OTHER:
        return None
    agent = _BIDS_AGENT.search(name)
    return f"{agent[1]}_{match['suffix']}" if agent else match["suffix"]


def modality_in(path: Path, text: str) -> str | None:
    """The modality that words in a file's name speak of; None for masks, maps and images of other kinds.

    Args:
        path: the file, for the message.
        text: its name without the ending (and without the person, where that is known).

    Raises:
        ValueError: no known word, or words of two modalities.
    """
    words = [word.lower() for word in _WORD.findall(text)]
    if any(word in OTHER for word in words):
        return None
    found = {_MODALITY[word] for word in words if word in _MODALITY}
    if found & set(DIFFUSION) and len(found) > 1:
        if found == set(DIFFUSION):  # dwi_ADC
            return "ADC"
        if {"dwi", "adc"} & set(words):  # one brought to the other, or its mask
            return None
        found.discard("dwi")  # t2_trace
    if found == {"FLAIR", "T2w"}:  # T2_FLAIR
        return "FLAIR"
    if T1CE in found or ("T1w" in found and any(word in CONTRAST for word in words)):
        found = found - {"T1w"} | {T1CE}
    if len(found) > 1:
        raise ValueError(f"{path} names more than one modality ({', '.join(sorted(found))}): rename it, {EXAMPLE}")
    if not found:
        known = ", ".join(names[0] for names in WORDS.values())
        raise ValueError(f"{path} names no modality ({known} and the like): rename it, {EXAMPLE}, or move it away")
    return found.pop()


def person_in(path: Path, *, required: bool = True) -> str:
    """The person in the name of a file that names a modality: what stands before it, or else after it.

    Raises:
        ValueError: nothing but the modality, where a person is `required`; else that is "".
    """
    text = stem(path.name)
    named = [match for match in _WORD.finditer(text) if match[0].lower() in (*_MODALITY, *CONTRAST)]
    before, after = (part.strip("-_. ") for part in (text[: named[0].start()], text[named[-1].end() :]))
    if required and not (before or after):
        raise ValueError(f"{path} does not say whose image it is: rename it, {EXAMPLE}, or give each person a folder")
    return before or after
