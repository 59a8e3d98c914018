"""Which canonical structure each name of the source atlases belongs to.

Cortical parcels go to lobes: Desikan-Killiany as FreeSurfer's own lobe table does, with the cingulate kept apart;
Neuromorphometrics by the same anatomy.
"""

from __future__ import annotations

import re

NEAREST = "nearest"  # names no structure (vessel, "unknown"): take the label of the nearest voxel that does

_DESIKAN_LOBES = {
    "frontal-cortex": "superiorfrontal rostralmiddlefrontal caudalmiddlefrontal parsopercularis parstriangularis "
    "parsorbitalis lateralorbitofrontal medialorbitofrontal precentral paracentral frontalpole",
    "parietal-cortex": "superiorparietal inferiorparietal supramarginal postcentral precuneus",
    "temporal-cortex": "superiortemporal middletemporal inferiortemporal bankssts fusiform transversetemporal "
    "entorhinal temporalpole parahippocampal",
    "occipital-cortex": "lateraloccipital lingual cuneus pericalcarine",
    "cingulate-cortex": "rostralanteriorcingulate caudalanteriorcingulate posteriorcingulate isthmuscingulate",
    "insula": "insula",
}
_NEUROMORPHOMETRICS_LOBES = {
    "frontal-cortex": "aorg co fo frp gre lorg mfc mfg morg mprg msfg opifg orifg porg prg sca sfg smc trifg",
    "parietal-cortex": "ang mpog pcu po pog smg spl",
    "temporal-cortex": "ent fug itg mtg phg pp pt stg tmp ttg",
    "occipital-cortex": "calc cun iog lig mog ocp ofug sog",
    "cingulate-cortex": "acgg mcgg pcgg",
    "insula": "ains pins",
}
# Keys are lower case without separators, as `_key` makes them.
_DEEP = {
    "cerebralwhitematter": "cerebral-white-matter",
    "wmhypointensities": "cerebral-white-matter",
    "opticchiasm": "cerebral-white-matter",
    "ccposterior": "cerebral-white-matter",
    "ccmidposterior": "cerebral-white-matter",
    "cccentral": "cerebral-white-matter",
    "ccmidanterior": "cerebral-white-matter",
    "ccanterior": "cerebral-white-matter",
    "lateralventricle": "lateral-ventricle",
    "inflatvent": "lateral-ventricle",
    "choroidplexus": "lateral-ventricle",
    "thalamusproper": "thalamus",
    "caudate": "caudate",
    "putamen": "putamen",
    "pallidum": "pallidum",
    "hippocampus": "hippocampus",
    "amygdala": "amygdala",
    "accumbensarea": "accumbens",
    "ventraldc": "ventral-dc",
    "basalforebrain": "ventral-dc",
    "cerebellumcortex": "cerebellum-cortex",
    "cerebellumexterior": "cerebellum-cortex",
    "cerebellarvermallobulesiv": "cerebellum-cortex",
    "cerebellarvermallobulesvivii": "cerebellum-cortex",
    "cerebellarvermallobulesviiix": "cerebellum-cortex",
    "cerebellumwhitematter": "cerebellum-white-matter",
    "brainstem": "brainstem",
    "3rdventricle": "third-ventricle",
    "4thventricle": "fourth-ventricle",
    "csf": "csf",
    "vessel": NEAREST,
    "nonwmhypointensities": NEAREST,
    "unknown": NEAREST,
}


def _spread(lobes: dict[str, str]) -> dict[str, str]:
    return {parcel: lobe for lobe, parcels in lobes.items() for parcel in parcels.split()}


DESIKAN_KILLIANY: dict[str, str] = _DEEP | _spread(_DESIKAN_LOBES)
NEUROMORPHOMETRICS: dict[str, str] = _DEEP | _spread(_NEUROMORPHOMETRICS_LOBES)
NEUROMORPHOMETRICS_PARCELS = frozenset(_spread(_NEUROMORPHOMETRICS_LOBES))  # abbreviations, lower case


def canonical_name(raw: str, table: dict[str, str]) -> tuple[str, str | None]:
    """Canonical structure name and side of an atlas's own name, e.g. ``ctx-lh-cuneus`` or ``Left_Cun_cuneus``.

    The side is None where the name tells none (brainstem, corpus callosum).

    Raises:
        ValueError: the table does not know the name.
    """
    match = re.match(r"(?i)(?:ctx[-_])?(?:(left|lh|l)[-_]|(right|rh|r)[-_])?(.+)", raw)
    assert match is not None  # the last group takes anything
    side = "left" if match[1] else "right" if match[2] else None
    rest = match[3]
    for key in (_key(rest), _key(rest.split("_")[0])):  # Neuromorphometrics cortex: the abbreviation comes first
        if key in table:
            return table[key], side
    raise ValueError(f"atlas name {raw!r} belongs to no structure of the vocabulary")


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
