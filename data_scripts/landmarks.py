"""AFIDs-OASIS: 32 anatomical landmarks of each of 30 people, placed by several raters, in one command.

python data_scripts/landmarks.py --out data/landmarks
toposlearn topology --points data/landmarks/*.fcsv

There is one file per person. It holds the publisher's mean over the placements of raters: three in 28 people (two for
six of their landmarks), two in person 0177 and four in 0200, as the decimals of the positions show.
"""

import sys
from functools import partial

from public import DataSet, Found, Remote, Rule, fetch_files, run

ADDRESS = "https://raw.githubusercontent.com/afids/AFIDs-OASIS/HEAD/derivatives/afids_groundtruth"
PEOPLE = (
    *("0010", "0086", "0101", "0109", "0114", "0117", "0145", "0177", "0180", "0188"),
    *("0200", "0203", "0216", "0239", "0249", "0255", "0256", "0263", "0266", "0274"),
    *("0284", "0303", "0343", "0345", "0357", "0365", "0371", "0395", "0398", "0456"),
)
NAMES = {f"sub-{person}": f"sub-{person}_space-T1w_desc-groundtruth_afids.fcsv" for person in PEOPLE}


def place(found: Found) -> str:
    """Where a file goes: all into one folder, under their own names."""
    return found.name


DATA = DataSet(
    name="landmarks",
    title="AFIDs-OASIS (anatomical fiducials)",
    license="CC BY 4.0 for the landmarks",
    people="30, 25 to 91 years old: 32 landmarks, each the mean of placements by raters (.fcsv), without images",
    size="0.1 MB",
    access="open, https",
    address="https://github.com/afids/AFIDs-OASIS",
    cite="Taha et al. 2023, Scientific Data, doi:10.1038/s41597-023-02330-9; Marcus et al. 2007, OASIS",
    rules=(Rule(r"(?:^|/)sub-(?P<subject>\d+)_space-T1w_desc-groundtruth_afids\.fcsv$", "afids"),),
    files=tuple(Remote(f"{ADDRESS}/{subject}/anat/{name}", name) for subject, name in NAMES.items()),
    fetch=fetch_files,
    place=place,
    images=False,
    next="topology --points {}/*.fcsv",
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
