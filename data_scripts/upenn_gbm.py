"""UPENN-GBM: people with glioblastoma in four modalities, from the NCI Imaging Data Commons, in one command.

    pip install idc-index dcm2niix
    python data_scripts/upenn_gbm.py --out data/upenn --subset 20

DICOM is converted person by person, and who is done stays done. The NIfTI files of the Cancer Imaging Archive (another
download, by Aspera) are arranged by --from DIR.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from public import DataSet, Rule, need, run
from tqdm import tqdm

PROCESSED = "Processed_CaPTk"  # marks the structural series: one grid a person, brain only
AGENT = r"post|stealth|c\+|gad"
WORDS = (("FLAIR", "flair"), ("T2", "t2"), ("T1GD", AGENT), ("T1", "t1|ti 3d|mprage"))  # the first that fits


def fetch(_: DataSet, folder: Path, subset: int | None) -> list[str]:
    """Download and convert the people who are not there yet; return what is unclear or failed."""
    client = need("idc_index", "idc-index").IDCClient()
    program = need("dcm2niix").bin
    table = client.index
    table = table[(table.collection_id == "upenn_gbm") & (table.Modality == "MR")]
    table = table[table.SeriesDescription.str.contains(PROCESSED, na=False)]
    notes = []
    people = sorted(table.PatientID.unique())[:subset]
    for person in tqdm(people, desc="downloading", unit="person", disable=None):
        series, unclear = modalities(table[table.PatientID == person])
        notes += unclear
        target = folder / "nifti" / person
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".") as work:
                notes += _convert(client, program, series, Path(work))
                (Path(work) / "nifti").rename(_parent(target))
    return notes


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


def _convert(client: Any, program: str, series: dict[str, str], work: Path) -> list[str]:
    """Download the series of a person, and write one NIfTI file for each into ``nifti``."""
    (work / "nifti").mkdir()
    options = {"dirTemplate": "%SeriesInstanceUID", "quiet": True, "show_progress_bar": False}
    client.download_from_selection(downloadDir=str(work / "dicom"), seriesInstanceUID=list(series), **options)
    notes = []
    for number, (uid, name) in enumerate(series.items()):
        out = work / f"out{number}"
        out.mkdir()
        command = [program, "-z", "y", "-b", "n", "-f", name, "-o", str(out), str(work / "dicom" / uid)]
        subprocess.run(command, capture_output=True, check=False)
        made = sorted(out.glob("*.nii.gz"))
        if len(made) == 1:
            made[0].rename(work / "nifti" / f"{name}.nii.gz")
        else:
            notes.append(f"{name}: not used, its DICOM files give {len(made)} volumes")
    if not series or not any((work / "nifti").iterdir()):
        raise ValueError(f"nothing came of {next(iter(series.values()), 'a person')}: check the network, run it again")
    return notes


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


DATA = DataSet(
    name="upenn_gbm",
    title="UPENN-GBM",
    license="CC BY 4.0",
    people="630 with glioblastoma, some twice: T1w, T1w with contrast agent, T2w, FLAIR on one grid, brain only",
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
            ("automated_approx_segm", "label-lesion_mask"),  # where nobody corrected it
        )
    ),
    fetch=fetch,
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
