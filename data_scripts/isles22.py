"""ISLES 2022: people with acute stroke, with lesion masks, in one command.

python data_scripts/isles22.py --out data/isles
"""

import sys
from functools import partial

from public import DataSet, Remote, Rule, fetch_files, run

PERSON = r"sub-(?P<subject>strokecase\d+)_ses-(?P<session>\d+)"

DATA = DataSet(
    name="isles22",
    title="ISLES 2022",
    license="CC BY 4.0",
    people="250 with acute or subacute stroke: DWI (b = 1000), ADC, FLAIR on a grid of its own, lesion masks",
    size="1.7 GB",
    access="open, https (Zenodo)",
    address="https://zenodo.org/records/7960856",
    cite="Hernandez Petzsche et al. 2022, Scientific Data, doi:10.1038/s41597-022-01875-5",
    rules=tuple(
        Rule(rf"{PERSON}_{name}\.nii(\.gz)?$", kind)
        for name, kind in (("dwi", "dwi"), ("adc", "ADC"), ("flair", "FLAIR"), ("msk", "label-lesion_mask"))
    ),
    files=(Remote("https://zenodo.org/records/7960856/files/ISLES-2022.zip", "ISLES-2022.zip"),),
    fetch=fetch_files,
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
