"""UPENN-GBM: people with glioblastoma in four modalities, from the NCI Imaging Data Commons, in one command.

    pip install idc-index dcm2niix
    python data_scripts/upenn_gbm.py --out data/upenn --subset 20

The NIfTI files of the Cancer Imaging Archive (another download, by Aspera) are arranged by --from DIR.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

from commons import fetch_series
from public import DataSet, Rule, run

PROCESSED = "Processed_CaPTk"  # marks the structural series: one grid a person, brain only
AGENT = r"post|stealth|c\+|gad"
WORDS = (("FLAIR", "flair|tirm|dark"), ("T2", "t2"), ("T1GD", AGENT), ("T1", "t1|ti 3d|mprage"))  # the first that fits


def fetch(_: DataSet, folder: Path, subset: int | None) -> list[str]:
    """Download and convert the people who are not there yet; return what is unclear or failed."""
    return fetch_series("upenn_gbm", PROCESSED, modalities, folder, subset)


def modalities(rows: Any) -> tuple[dict[str, str], list[str]]:
    """Identifier of a series -> name of its image, of one person, and a line about those that are unclear.

    Of two T1w series of a day of which one is called PRE, the other one shows the contrast agent.
    """
    series, unclear = {}, []
    for (person, day), visit in rows.groupby(["PatientID", "StudyDate"]):
        kinds: dict[str, list[tuple[str, str]]] = {}
        for _, row in visit.sort_values("SeriesInstanceUID").iterrows():
            words = row.SeriesDescription.removesuffix(PROCESSED).strip(": ").lower()
            kind = next((kind for kind, pattern in WORDS if re.search(pattern, words)), "")
            kinds.setdefault(kind, []).append((row.SeriesInstanceUID, words))
        plain = kinds.get("T1", [])
        before = [one for one in plain if re.search(r"\bpre", one[1])]
        if len(plain) == 2 and len(before) == 1 and "T1GD" not in kinds:
            kinds |= {"T1": before, "T1GD": [one for one in plain if one not in before]}
        for kind, found in kinds.items():
            if kind and len(found) == 1:
                series[found[0][0]] = f"{person}_{day}_{kind}"
            else:
                unclear.append(
                    f"{person} {day}: not used, unclear which is which: {', '.join(words for _, words in found)}"
                )
    return series, unclear


DATA = DataSet(
    name="upenn_gbm",
    title="UPENN-GBM",
    license="CC BY 4.0",
    people="628 with glioblastoma, some twice: T1w, T1w with contrast agent, T2w, FLAIR on one grid, brain only",
    size="46 GB of DICOM (some 73 MB a person, removed once converted); NIfTI some 12 GB",
    access="open, by idc-index and dcm2niix (pip); no checksums are published for what the conversion gives",
    address="https://doi.org/10.7937/TCIA.709X-DN49",
    cite="Bakas et al. 2022, Scientific Data, doi:10.1038/s41597-022-01560-7",
    rules=tuple(
        Rule(rf"(?P<subject>UPENN-GBM-\d{{5}})_(?P<session>[\d-]+)_{name}\.nii(\.gz)?$", kind)
        for name, kind in (
            ("T1", "T1w"),
            ("T1GD", "ce-gadolinium_T1w"),
            ("T2", "T2w"),
            ("FLAIR", "FLAIR"),
            ("segm", "label-lesion_mask"),
            ("automated_approx_segm", "label-lesion_mask"),  # where it was not corrected by hand
        )
    ),
    fetch=fetch,
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
