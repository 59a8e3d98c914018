"""SynthSeg's training label maps: whole heads of real people, to simulate people from, in one command.

python data_scripts/synthseg_labels.py --out data/label_maps
toposlearn cohort --anatomy data/label_maps --out data/cohort_maps
"""

import sys
from functools import partial

from public import DataSet, Found, Remote, Rule, fetch_files, run

ADDRESS = "https://raw.githubusercontent.com/BBillot/SynthSeg/master/data/training_label_maps"
NAMES = tuple(f"training_seg_{number:02}.nii.gz" for number in range(1, 21))


def place(found: Found) -> str:
    """Where a file goes: all label maps into one folder, under their own names."""
    return found.name


DATA = DataSet(
    name="synthseg_labels",
    title="SynthSeg training label maps",
    license="Apache-2.0",
    people="20: label maps of whole heads without images, numbers of FreeSurfer and SynthSeg; 1 mm",
    size="34 MB",
    access="open, https",
    address="https://github.com/BBillot/SynthSeg",
    cite="Billot et al. 2023, Medical Image Analysis, doi:10.1016/j.media.2023.102789",
    rules=(Rule(r"(?:^|/)(?P<subject>training_seg_\d+)\.nii(\.gz)?$", "dseg"),),
    files=tuple(Remote(f"{ADDRESS}/{name}", name) for name in NAMES),
    fetch=fetch_files,
    place=place,
    images=False,
    next="cohort --anatomy {}",
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
