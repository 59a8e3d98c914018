"""Cost of simulating and writing a cohort: processor seconds per subject, by grid and recipe.

Each row is one run of ``toposlearn cohort --workers 1`` in a fresh process: its processor time, start included, divided
by the number of subjects. Processes that share memory and caches may slow each other: ``--workers 2`` measures it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from rows import Row, options, report

RUNS = {  # recipe, voxels along each side, modalities -> maximum seconds per subject, or None
    ("plain", "64", "T1w,T2w,FLAIR,PDw"): "<= 0.6",
    ("plain", "96", "T1w,T2w,FLAIR,PDw"): "<= 2.5",
    ("full", "64", "T1w,T2w,FLAIR,PDw"): "<= 0.6",
    ("full", "96", "T1w,T2w,FLAIR,PDw"): "<= 2.5",
    ("full", "64", "T1w,ce-gadolinium_T1w,T2w,FLAIR,PDw,dwi,ADC"): None,
    ("full", "96", "T1w,ce-gadolinium_T1w,T2w,FLAIR,PDw,dwi,ADC"): None,
}


def processor_seconds(recipe: str, voxels: str, modalities: str, subjects: int, workers: int, folder: Path) -> float:
    """Processor seconds of one run of the command and the processes it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = ["--recipe", recipe, "--voxels", voxels, "--modalities", modalities, "--subjects", str(subjects)]
    asked += ["--workers", str(workers), "--out", str(folder)]
    command = [sys.executable, "-m", "toposlearn", "cohort", *asked]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run every recipe and print the table."""
    parser = options(__doc__ or "")
    parser.add_argument("--subjects", type=int, default=200, help="in each run (default: 200)")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time (default: 1)")
    arguments = parser.parse_args()
    subjects = 12 if arguments.quick else arguments.subjects
    rows = []
    for (recipe, voxels, modalities), bound in list(RUNS.items())[: 1 if arguments.quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            seconds = processor_seconds(
                recipe, voxels, modalities, subjects, arguments.workers, Path(folder) / "cohort"
            )
        scans = f"{voxels} voxels per side, {modalities.count(',') + 1} modalities"
        name = f"{recipe}, {scans}, {subjects} people, {arguments.workers} at a time"
        # the start dominates for a dozen subjects
        rows.append(Row(name, seconds / subjects, "s", None if arguments.quick else bound))
    report(rows, arguments.json)


if __name__ == "__main__":
    main()
