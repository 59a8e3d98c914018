"""Series of the NCI Imaging Data Commons as NIfTI files, by `idc-index` and `dcm2niix`, person by person.

Who is done stays done: a person's folder appears whole, and is not downloaded again.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from download import need
from tqdm import tqdm

Names = Callable[[Any], tuple[dict[str, str], list[str]]]  # table of a person's series -> names of images, notes


def fetch_series(collection: str, marker: str, names: Names, folder: Path, subset: int | None) -> list[str]:
    """Download and convert the people who are not there yet; return what is unclear or failed.

    Args:
        collection: identifier in the Imaging Data Commons.
        marker: text in the description of each series to take.
        names: says from the table of a person's series which become images: identifier -> name of the file.
        folder: of downloads; the files go into its folder ``nifti``.
        subset: number of people.

    Raises:
        ValueError: a package is missing, or no file came.
    """
    client = need("idc_index", "idc-index").IDCClient()
    program = need("dcm2niix").bin
    table = client.index
    table = table[(table.collection_id == collection) & (table.Modality == "MR")]
    table = table[table.SeriesDescription.str.contains(marker, na=False)]
    people, notes = sorted(table.PatientID.unique())[:subset], []
    (folder / "nifti").mkdir(exist_ok=True)
    for person in tqdm(people, desc="downloading", unit="person", disable=None):
        series, unclear = names(table[table.PatientID == person])
        notes += unclear
        target = folder / "nifti" / person
        if series and not target.is_dir():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".") as work:
                _download(client, list(series), Path(work) / "dicom", person)
                made, failed = _convert(program, series, Path(work))
                notes += failed
                if any(made.iterdir()):
                    made.rename(target)
    return notes


def _download(client: Any, series: list[str], dicom: Path, person: str) -> None:
    dicom.mkdir()
    options = {"dirTemplate": "%SeriesInstanceUID", "quiet": True, "show_progress_bar": False}
    try:
        client.download_from_selection(downloadDir=str(dicom), seriesInstanceUID=series, **options)
    except Exception as error:  # of several libraries
        reason = f"{person} cannot be downloaded ({' '.join(str(error).split())[:120]})"
        raise ValueError(f"{reason}: check the network, and run the same command again to continue") from None
    if {path.name for path in dicom.iterdir() if any(path.iterdir())} != set(series):
        raise ValueError(f"{person} did not come whole: check the network, and run the same command again to continue")


def _convert(program: str, series: dict[str, str], work: Path) -> tuple[Path, list[str]]:
    """Write one NIfTI file for each series into a folder; return it, and a line for each series that gives none."""
    (made := work / "nifti").mkdir()
    notes = []
    for number, (uid, name) in enumerate(series.items()):
        (out := work / f"out{number}").mkdir()
        command = [program, "-z", "y", "-b", "n", "-f", name, "-o", str(out), str(work / "dicom" / uid)]
        subprocess.run(command, capture_output=True, check=False)
        files = sorted(out.glob("*.nii.gz"))
        if len(files) == 1:
            files[0].rename(made / f"{name}.nii.gz")
        else:
            notes.append(f"{name} is not used: its DICOM files give {len(files)} volumes")
    return made, notes
