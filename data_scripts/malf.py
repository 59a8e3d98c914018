"""MICCAI 2012 multi-atlas labeling: brains of OASIS people with hand-drawn structures, in one command.

python data_scripts/malf.py --out data/malf
"""

import sys
from functools import partial

from public import DataSet, Remote, Rule, fetch_files, run

ADDRESS = "https://raw.githubusercontent.com/muschellij2/malf.templates/master/inst/extdata"
SCANS = (*range(1000, 1016), 1017, 1018, 1019, 1023, 1024, 1025, 1036, 1038, 1039, *range(1101, 1129, 3))
TWICE = {"1003": "1023", "1004": "1024", "1005": "1025", "1018": "1038", "1019": "1039"}  # one person, two scans

DATA = DataSet(
    name="malf",
    title="MICCAI 2012 multi-atlas labeling (OASIS)",
    license="CC BY-NC; credit OASIS and Neuromorphometrics, Inc. (neuromorphometrics.com) under academic subscription",
    people="30, five of them twice: T1w brains and hand-drawn label maps (138 to 141 structures), 1 mm",
    size="some 0.1 GB",
    access="open, https",
    address="https://github.com/muschellij2/malf.templates",
    cite="Landman and Warfield 2012, MICCAI workshop on multi-atlas labeling; Marcus et al. 2007, OASIS",
    rules=(
        Rule(r"(?:^|/)(?P<subject>1\d{3})_SS\.nii(\.gz)?$", "T1w"),
        Rule(r"(?:^|/)(?P<subject>1\d{3})_glm\.nii(\.gz)?$", "dseg"),
    ),
    files=tuple(
        Remote(f"{ADDRESS}/{scan}_{kind}.nii.gz", f"{scan}_{kind}.nii.gz") for scan in SCANS for kind in ("SS", "glm")
    ),
    fetch=fetch_files,
    aliases={
        scan: (first, str(visit))
        for first, second in TWICE.items()
        for visit, scan in enumerate((first, second), start=1)
    },
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
