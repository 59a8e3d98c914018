"""ADHD-200: arrange what you downloaded (by site, as published, or as BIDS), with its phenotypic tables.

python data_scripts/adhd200.py --from DOWNLOAD --out data/adhd
"""

import sys
from functools import partial
from pathlib import Path

import pandas as pd
from public import DataSet, Rule, Table, run

SEX, GROUP = {"0": "F", "1": "M"}, {"0": "control", "1": "ADHD", "2": "ADHD", "3": "ADHD"}
IDS, COLUMNS = ("ScanDir ID", "ScanDirID"), {"Age": "age", "Gender": "sex", "DX": "group", "Site": "site"}
READ = {"sex": SEX, "group": GROUP}


def people(folder: Path) -> Table:
    """Age, sex, diagnosis and site from ``*_phenotypic.csv`` (0 is female, 1 male)."""
    table: Table = {}
    for path in sorted(folder.rglob("*phenotypic*.csv")):
        frame = pd.read_csv(path, dtype=str)
        key = next((name for name in IDS if name in frame), None)
        for row in frame.to_dict(orient="records") if key else ():
            values = {ours: str(row[name]).strip() for name, ours in COLUMNS.items() if pd.notna(row.get(name))}
            table[str(row[key]).zfill(7)] = {
                name: READ.get(name, {}).get(value, value) for name, value in values.items()
            }
    return table


DATA = DataSet(
    name="adhd200",
    title="ADHD-200",
    license="CC BY-NC (non-commercial research); registration with NITRC and the 1000 Functional Connectomes Project",
    people="776 in the training set, 7 to 21 years, with and without ADHD, eight sites: T1w",
    size="some 10 GB of T1w",
    access="an account at NITRC",
    address="http://fcon_1000.projects.nitrc.org/indi/adhd200",
    cite="ADHD-200 Consortium 2012, Frontiers in Systems Neuroscience",
    rules=(
        Rule(r"(?:^|/)(?P<subject>\d{7})/session_(?P<session>\d+)/anat_\d+/mprage(_anonymized)?\.nii(\.gz)?$", "T1w"),
        Rule(r"(?:^|/)(?P<subject>\d{7})/(?:anat/)?mprage(_anonymized)?\.nii(\.gz)?$", "T1w"),
        Rule(r"(?:^|/)sub-(?P<subject>\d{7})(?:/ses-(?P<session>\w+))?/anat/[^/]*_T1w\.nii(\.gz)?$", "T1w"),
    ),
    table=people,
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
