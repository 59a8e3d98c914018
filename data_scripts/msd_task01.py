"""Medical Segmentation Decathlon, task 1: glioma in four modalities, with labels, in one command.

    python data_scripts/msd_task01.py --out data/msd

The images hold four channels each, so the folder keeps the layout of the Decathlon (dataset.json, imagesTr, labelsTr).
The people are those of BraTS 2016 and 2017 under other names: never test on one set what was trained on the other.
"""

import json
import sys
from functools import partial
from pathlib import Path

from monai.apps import DecathlonDataset
from public import DataSet, Found, Remote, Rule, fetch_files, run

from toposlearn.reproducibility import write_json

TASK = "Task01_BrainTumour"
IMAGES, LABELS = "imagesTr", "labelsTr"  # the 266 people of imagesTs have no labels, and are left out


def place(found: Found) -> str:
    """Where a file goes: under the names of the Decathlon."""
    return f"{found.kind}/{found.name}"


def describe(_: Path, out: Path) -> None:
    """Write dataset.json for the people who are there, with the channels and labels of the published one."""
    names = sorted(path.name for path in (out / IMAGES).iterdir())
    training = [
        {"image": f"./{IMAGES}/{name}"} | ({"label": f"./{LABELS}/{name}"} if (out / LABELS / name).exists() else {})
        for name in names
    ]
    content = json.loads(CONTENT) | {"numTraining": len(names), "training": training, "numTest": 0, "test": []}
    write_json(out / "dataset.json", content)


CONTENT = """{"name": "BRATS", "tensorImageSize": "4D",
 "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
 "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}}"""

DATA = DataSet(
    name="msd_task01",
    title="Medical Segmentation Decathlon, task 1, brain tumor",
    license="CC BY-SA 4.0",
    people="484 with labels: FLAIR, T1w, T1w with contrast agent, T2w, 240 x 240 x 155, 1 mm, brain only",
    size="7.1 GB, and as much unpacked",
    access="open, https (Amazon Web Services)",
    address="http://medicaldecathlon.com",
    cite="Antonelli et al. 2022, Nature Communications; Menze et al. 2015, IEEE TMI",
    rules=tuple(Rule(rf"(?:^|/){folder}/(?P<subject>BRATS_\d+)\.nii(\.gz)?$", folder) for folder in (IMAGES, LABELS)),
    files=(Remote(DecathlonDataset.resource[TASK], f"{TASK}.tar"),),
    fetch=fetch_files,
    place=place,
    finish=describe,
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
