"""What the name of a BIDS file says: the modality of a weighted image, the kind of a label map, or neither.

``UNIT1``, the uniform image of MP2RAGE, is not used. It is T1-weighted, but its air is noise as bright as the head, so
that head and air cannot be distinguished; with that noise removed it may be given by ``--pattern``. Combinations of
several images, such as ``MEGRE`` or ``MP2RAGE``, are the input of quantitative maps and no images of one contrast.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from toposlearn.data.layouts.words import PROCESSING
from toposlearn.settings import T1CE

_IMAGES = {  # modality -> suffixes, also those of older BIDS and those often taken for BIDS
    "T1w": ("T1w", "T1", "MPRAGE"),
    "T2w": ("T2w", "T2"),
    "FLAIR": ("FLAIR",),
    "PDw": ("PDw", "PD"),
    "T2starw": ("T2starw", "T2star"),
    "inplaneT1": ("inplaneT1",),
    "inplaneT2": ("inplaneT2",),
    "angio": ("angio",),
}
_DIFFUSION = {"dwi": ("dwi", "trace"), "ADC": ("ADC",)}
_NO_IMAGES = {  # why -> suffixes; those in no table are reported
    "combination of images": "MP2RAGE MPM MTS MTR VFA MEGRE MESE IRT1 PDT2 FLASH UNIT1",
    "map": "T1map T2map R1map R2map R2starmap T2starmap PDmap PDT2map M0map S0map MTRmap MTVmap MTsat MWFmap Chimap "
    "T1rho TB1map RB1map FA MD colFA expADC xfm warp",
    "field map": "TB1AFI TB1DAM TB1EPI TB1RFM TB1SRGE TB1TFL RB1COR fieldmap magnitude magnitude1 magnitude2 phase "
    "phase1 phase2 phasediff epi m0scan",
    "mask or probability": "defacemask probseg",
    "other kind of image": "sbref bold cbv asl pet SWI swi minIP CT",
}
_LABEL_MAPS = {  # suffix -> kind; "msk" is the lesion mask of ISLES
    **{name: name for name in ("dseg", "mask", "seg", "aseg", "lesion", "roi", "label", "labels", "parc", "wmparc")},
    **{name: name for name in ("synthseg", "aparc+aseg", "aparcaseg")},
    "msk": "lesion",
}
_ENTITIES_OF_MAPS = ("label", "desc", "seg", "atlas")  # which say what a label map shows
_NO_WEIGHTING = {  # entity -> values with which a file is not an image of one contrast
    "inv": ".*",
    "flip": ".*",
    "mt": "on",
    "label": ".*",
    "part": "phase|real|imag.*",
    "acq": ".*(locali[sz]er|scout|survey|tripilot).*",
}
_CONTRAST = re.compile(r"(?!.*(pre|non|without|multi)).*(post(?!op|proc)|contrast|gad|gd$|^gd|^ce$).*", re.IGNORECASE)
_IMAGE_OF = {suffix.casefold(): name for name, suffixes in _IMAGES.items() for suffix in suffixes}
_DIFFUSION_OF = {suffix.casefold(): name for name, suffixes in _DIFFUSION.items() for suffix in suffixes}
_QUIET = {suffix.casefold() for suffixes in _NO_IMAGES.values() for suffix in suffixes.split()}


class Meaning(NamedTuple):
    """What a file is; all empty for a known kind of file that no run uses."""

    modality: str = ""
    label_map: str = ""
    known: bool = True


def split_name(text: str) -> tuple[dict[str, str], str]:
    """Entities and suffix of a name without ending: ``rec-norm_T1w`` -> ``{"rec": "norm"}``, ``T1w``.

    A word without a hyphen, as ``brain`` in ``brain_T1w`` or ``T1w_brain``, counts as a description.
    """
    *parts, suffix = text.split("_")
    if suffix.lower() in PROCESSING and parts and "-" not in parts[-1]:
        parts[-1], suffix = suffix, parts[-1]
    pairs = (part.partition("-")[::2] if "-" in part else ("desc", part) for part in parts)
    return {name.lower(): value for name, value in pairs}, suffix


def meaning_of(entities: Mapping[str, str], suffix: str, *, diffusion: bool = False) -> Meaning:
    """What a file with these entities and this suffix is; `diffusion` for one in a dwi folder."""
    folded = suffix.partition("-")[0].casefold()  # "lesion-manual" of ivadomed
    if folded in _LABEL_MAPS:
        words = [entities[name] for name in _ENTITIES_OF_MAPS if name in entities]
        return Meaning(label_map="_".join([*words, _LABEL_MAPS[folded]]))
    modality = _DIFFUSION_OF.get(folded) or (None if diffusion else _IMAGE_OF.get(folded))
    if modality is None:
        return Meaning(known=folded in _QUIET or folded in _IMAGE_OF)
    if any(
        re.fullmatch(_NO_WEIGHTING[name], entities[name], re.IGNORECASE) for name in _NO_WEIGHTING.keys() & entities
    ):
        return Meaning()
    agent = _agent(entities)
    return Meaning(f"ce-{agent}_{modality}" if agent else modality)


def _agent(entities: Mapping[str, str]) -> str:
    """The contrast agent: of ``ce-``, or gadolinium where ``acq-`` or ``rec-`` says so (``acq-postGd``)."""
    agent = entities.get("ce", "")
    others = (entities.get(name, "") for name in ("acq", "rec"))
    if re.match("ga?d", agent, re.IGNORECASE) or (not agent and any(map(_CONTRAST.fullmatch, others))):
        return T1CE.removeprefix("ce-").removesuffix("_T1w")
    return agent
