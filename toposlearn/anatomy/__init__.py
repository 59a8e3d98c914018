"""Real anatomy: label maps, templates and six donors, in one vocabulary, RAS axes and millimeters."""

from toposlearn.anatomy.donors import DONOR_IDS, Donor, load_donor_map, load_donors
from toposlearn.anatomy.label_maps import FAMILIES, LabelMap, load_label_map, load_raw_labels
from toposlearn.anatomy.sources import SOURCES, CorruptAnatomyError, MissingAnatomyError, Source
from toposlearn.anatomy.templates import TEMPLATES, Volume, load_template
from toposlearn.anatomy.vocabulary import (
    BACKGROUND,
    STRUCTURES,
    TISSUES,
    Structure,
    labels_of_tissue,
    structure,
    structure_of,
)

__all__ = [
    "BACKGROUND",
    "DONOR_IDS",
    "FAMILIES",
    "SOURCES",
    "STRUCTURES",
    "TEMPLATES",
    "TISSUES",
    "CorruptAnatomyError",
    "Donor",
    "LabelMap",
    "MissingAnatomyError",
    "Source",
    "Structure",
    "Volume",
    "labels_of_tissue",
    "load_donor_map",
    "load_donors",
    "load_label_map",
    "load_raw_labels",
    "load_template",
    "structure",
    "structure_of",
]
