"""ADNI: arrange what you downloaded from the Image and Data Archive as NIfTI, with the table of the same collection.

python data_scripts/adni.py --from DOWNLOAD --out data/adni
"""

import sys
from functools import partial
from pathlib import Path

import pandas as pd
from public import DataSet, Rule, Table, run

VISIT = r"(?:^|/)(?P<subject>\d{3}_S_\d{4,5})/"
DAY = r"/(?P<session>\d{4}-\d{2}-\d{2})[^/]*/(?:[^/]+/)*[^/]+\.nii(\.gz)?$"
NO_IMAGES = r"(?![^/]*(mask|locali[sz]er|scout|calibration|field|star|hippo))"  # in the name of the series
T1W = r"(MP-?_?RAGE|MPR|SPGR|T1)"
NAMES = (  # ADNI's names of series
    ("FLAIR", rf"{NO_IMAGES}[^/]*FLAIR[^/]*"),
    ("T2w", rf"{NO_IMAGES}(?![^/]*PD)[^/]*T2[^/]*"),
    ("T1w", rf"{NO_IMAGES}(?![^/]*(repeat|MPR-R))[^/]*{T1W}[^/]*"),
    ("T1w", rf"{NO_IMAGES}[^/]*{T1W}[^/]*"),  # repeated, because the first one was not good: where it is the only one
)
COLUMNS = {"Age": "age", "Sex": "sex", "Group": "group"}  # at the first visit


def people(folder: Path) -> Table:
    """Age, sex and diagnosis at the first visit, from the CSV of the collection."""
    table: Table = {}
    for path in sorted(folder.rglob("*.csv")):
        frame = pd.read_csv(path, dtype=str)
        if {"Subject", "Acq Date"} <= set(frame):
            frame = frame.assign(day=pd.to_datetime(frame["Acq Date"], errors="coerce")).sort_values("day")
            for subject, rows in frame.groupby("Subject", sort=False):
                first = rows.iloc[0]
                table.setdefault(str(subject), {ours: first[name] for name, ours in COLUMNS.items() if name in frame})
    return table


DATA = DataSet(
    name="adni",
    title="ADNI",
    license="ADNI data use agreement: no redistribution; read its terms on publications",
    people="more than 2000, healthy, with mild cognitive impairment or dementia, many visits: T1w, FLAIR, T2w",
    size="some 10 MB a T1w as NIfTI, compressed",
    access="an account and an application (about a week)",
    address="https://adni.loni.usc.edu (IDA: image collections, format NIfTI, and its CSV)",
    cite="Petersen et al. 2010, Neurology; and the acknowledgement that ADNI asks for",
    rules=tuple(Rule(rf"{VISIT}{series}{DAY}", kind) for kind, series in NAMES),
    table=people,
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
