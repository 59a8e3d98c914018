"""3D-MR-MS: people with multiple sclerosis, with consensus lesion masks, on one MNI grid, in one command.

python data_scripts/open_ms.py --out data/ms
"""

import sys
from functools import partial

from public import DataSet, Remote, Rule, fetch_files, run

ADDRESS = "https://raw.githubusercontent.com/muschellij2/open_ms_data/master/cross_sectional/MNI"
IMAGE, MASK = "N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI", "N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI"
NAMES = (*(f"{kind}_{IMAGE}.nii.gz" for kind in ("T1", "T1POST", "T2", "FLAIR")), f"GOLD_STANDARD_{MASK}.nii.gz")
PATIENT = r"^(?!.*longitudinal).*?(?P<subject>patient\d+)/"  # longitudinal/patient01 is another person

DATA = DataSet(
    name="open_ms",
    title="3D-MR-MS (cross-sectional, MNI)",
    license="CC BY",
    people="30 with multiple sclerosis: T1w, T1w with contrast agent, T2w, FLAIR, lesion masks, 1 mm, brain only",
    size="some 0.5 GB",
    access="open, https",
    address="https://github.com/muschellij2/open_ms_data",
    cite="Lesjak et al. 2018, Neuroinformatics, doi:10.1007/s12021-017-9348-7",
    rules=tuple(
        Rule(rf"{PATIENT}({published}|{short})\.nii(\.gz)?$", kind)
        for published, short, kind in (
            (f"T1_{IMAGE}", "t1", "T1w"),
            (f"T1POST_{IMAGE}", "t1c", "ce-gadolinium_T1w"),
            (f"T2_{IMAGE}", "t2", "T2w"),
            (f"FLAIR_{IMAGE}", "flair", "FLAIR"),
            (f"GOLD_STANDARD_{MASK}", "lesion", "label-lesion_mask"),
        )
    ),
    files=tuple(
        Remote(f"{ADDRESS}/patient{number:02}/{name}", f"patient{number:02}/{name}")
        for number in range(1, 31)
        for name in NAMES
    ),
    fetch=fetch_files,
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
