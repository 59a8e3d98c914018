"""What a cohort says of itself on disk: BIDS descriptions, sidecars, a README."""

from __future__ import annotations

from toposlearn.cohort.contrast import PulseSequence
from toposlearn.cohort.recipes import T1CE
from toposlearn.cohort.traits import DEGREES, LESIONS, SITES

BIDS_VERSION = "1.10.0"
LICENSE = "Derived from a label map: its licence applies, see README.md"
AUTHORS = ["The authors of toposlearn"]
NOT_APPLICABLE = "n/a"
COLUMNS = (
    "participant_id",
    "age",
    "sex",
    "site",
    "diagnosis",
    "degree",
    "lesion",
    "lesion_type",
    "anatomy",
    "seed",
)
DESCRIPTIONS = {
    "age": {"Description": "age of the simulated person", "Units": "years"},
    "sex": {"Description": "sex", "Levels": {"F": "female", "M": "male"}},
    "site": {
        "Description": "simulated scanner: decides noise, bias field and sequence timing; in recipe full also slices, "
        "axes and field of view",
        "Levels": {name: f"site {name}" for name in SITES},
    },
    "diagnosis": {
        "Description": "what changes the shape of the brain",
        "Levels": {
            "control": "none",
            "atrophy": "larger ventricles, smaller hippocampi",
            "developmental": "left caudate a little larger than the right; hard to see on purpose",
        },
    },
    "degree": {"Description": "of atrophy", "Levels": {name: f"{name} atrophy" for name in DEGREES}},
    "lesion": {"Description": "whether the person has a lesion", "Levels": {"true": "yes", "false": "no"}},
    "lesion_type": {
        "Description": "kind of lesion",
        "Levels": {"glioma": "glioma of the plain recipe"} | {name: name.replace("-", " ") for name in LESIONS},
    },
    "anatomy": {
        "Description": "label map the head is bent from",
        "Levels": {"A": "Desikan-Killiany", "B": "Neuromorphometrics"},
    },
    "seed": {"Description": "seed of the cohort"},
}
README = """# Simulated people

No patient, no volunteer: every scan here was computed by `toposlearn cohort` from one label map (anatomy {anatomy}:
{origin}). Shape, tissue, lesions and scanner are drawn by the seed in `dataset_description.json`; diagnosis, lesion,
site, sex and age do not tell each other.

* `participants.tsv` says who is who, `participants.json` what the columns mean.
* `sub-*/` holds the scans, brain-extracted.
* `derivatives/toposlearn/` holds what is true: structures, lesions, and for each voxel its place in the template.

Not for clinical use. The label map's licence ({licence}) goes on to apply to what was made from it.
"""
TRUTH_README = """# Ground truth of the simulated people

For each person, on one grid:

* `*_dseg.nii.gz`: structures (`dseg.tsv`).
* `*_label-lesion_mask.nii.gz`: 1 in the lesion; `*_desc-lesion_dseg.nii.gz`: its parts (`desc-lesion_dseg.tsv`; 1 to 3
  as in BraTS 2023).
* `*_from-subject_to-template_xfm.nii.gz` (X, Y, Z, 3): template RAS mm of each voxel center.
* `*_from-template_to-subject_xfm.nii.gz` (X, Y, Z, 3): world mm of each point of a 4 mm lattice over the template; the
  JSON beside it says how far both maps in turn lead astray, in mm.

Anatomy {anatomy}: {origin}; licence: {licence}.
"""
# Maps between spaces have no BIDS name yet, and what `prepare` keeps has none.
IGNORED = "**/*_xfm.nii.gz\n**/*_xfm.json\n/cache\n"


def sidecar(modality: str, protocol: PulseSequence, site: str) -> dict[str, object]:
    """The BIDS sidecar of a scan, times in seconds."""
    known: dict[str, object] = {
        "Modality": "MR",
        "Manufacturer": "simulated",
        "InstitutionName": site,
        "MagneticFieldStrength": 3.0,
        "RepetitionTime": round(protocol.repetition / 1000, 6),
        "EchoTime": round(protocol.echo / 1000, 6),
        "SkullStripped": True,
    }
    if protocol.inversion is not None:
        known["InversionTime"] = round(protocol.inversion / 1000, 6)
    if modality == T1CE:
        known["ContrastBolusIngredient"] = "GADOLINIUM"
    if modality == "ADC":
        known |= {"Units": "10^-6 mm^2/s", "SourceBValues": [0, protocol.b_value]}
    return known
