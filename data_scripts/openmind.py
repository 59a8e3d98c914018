"""OpenMind: arrange what you downloaded from Hugging Face, all of it or some of its data sets, with its table.

    python data_scripts/openmind.py --from DOWNLOAD --out data/openmind

A person of one OpenNeuro data set is another person than that of the same number in the next.
"""

import re
import sys
from functools import partial
from pathlib import Path

import pandas as pd
from public import DataSet, Rule, Table, run

PERSON = r"(?:^|/)(?P<subject>ds\d{6}/sub-[^/]+)(?:/ses-(?P<session>[^/]+))?"
COLUMNS = ("age", "sex", "health_status")
KINDS = ("T1w", "T2w", "FLAIR", "PDw")


def people(folder: Path) -> Table:
    """Age, sex and health from ``openneuro_metadata.csv``."""
    table: Table = {}
    for path in sorted(folder.rglob("openneuro_metadata.csv")):
        frame = pd.read_csv(path, dtype=str)
        for _, row in frame.iterrows():
            if hit := re.search(PERSON, str(row["image_path"])):
                values = {name: row[name] for name in COLUMNS if name in frame and pd.notna(row[name])}
                table.setdefault(hit["subject"], values)
    return table


DATA = DataSet(
    name="openmind",
    title="OpenMind",
    license="that of each OpenNeuro data set (CC0 or CC BY); see openneuro_metadata.csv",
    people="34 000 of some 800 OpenNeuro data sets, 71 000 three-dimensional scans: T1w, T2w, FLAIR, PDw are used",
    size="some 1 TB",
    access="Hugging Face, which may ask for an account: huggingface-cli download --repo-type dataset AnonRes/OpenMind",
    address="https://huggingface.co/datasets/AnonRes/OpenMind",
    cite="Wald et al. 2025, An OpenMind for 3D medical vision self-supervised learning, arXiv:2412.17041",
    rules=tuple(Rule(rf"{PERSON}/anat/sub-[^/]*_{kind}\.nii(\.gz)?$", kind) for kind in KINDS),
    table=people,
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
