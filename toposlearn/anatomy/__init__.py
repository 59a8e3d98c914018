"""Real anatomy: label maps, templates and six donors, in one vocabulary, RAS axes and millimeters."""

from toposlearn.anatomy.atlases import (
    DONOR_IDS,
    FAMILIES,
    TEMPLATES,
    load_donor_map,
    load_donors,
    load_label_map,
    load_parcels,
    load_template,
)
from toposlearn.anatomy.label_names import structure_names
from toposlearn.anatomy.landmarks import median_landmarks, read_landmarks
from toposlearn.anatomy.own_maps import load_own_map
from toposlearn.anatomy.segmentations import LabelMap, load_segmentation
from toposlearn.anatomy.sources import SOURCES
from toposlearn.anatomy.vocabulary import BACKGROUND, STRUCTURES, TISSUES, Structure, structure
