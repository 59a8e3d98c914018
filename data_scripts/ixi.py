"""IXI: healthy people from three hospitals in London, with age and sex, in one command.

python data_scripts/ixi.py --out data/ixi
"""

import sys
from functools import partial
from pathlib import Path

import pandas as pd
from public import DataSet, Remote, Rule, Table, fetch_files, need, run

ADDRESS = "http://biomedic.doc.ic.ac.uk/brain-development/downloads/IXI"
COLUMNS = {"age": ("age",), "sex": ("sex", "sex_id (1=m, 2=f)")}  # ours -> theirs, in small letters
SEX = {"1": "M", "2": "F"}


def people(folder: Path) -> Table:
    """Age and sex of IXI.xls or of a CSV; a person with two rows that differ is left out."""
    table: Table = {}
    for path in sorted([*folder.rglob("IXI.xls"), *folder.rglob("*.csv")]):
        frame = _read(path)
        if (key := next((name for name in ("ixi_id", "mrid") if name in frame), None)) is None:
            continue
        names = {ours: name for ours, theirs in COLUMNS.items() for name in theirs if name in frame}
        frame = frame[[key, *names.values()]].dropna().drop_duplicates()
        for _, row in frame.drop_duplicates(key, keep=False).iterrows():
            values = {ours: row[name] for ours, name in names.items()}
            number = str(row[key]).removesuffix(".0").removeprefix("IXI").split("-")[0]
            sex = str(values.get("sex", "")).removesuffix(".0")
            table[f"IXI{int(number):03}"] = {name: str(value) for name, value in values.items()} | {
                "sex": SEX.get(sex, sex)
            }
    return table


def _read(path: Path) -> pd.DataFrame:
    if excel := path.suffix == ".xls":
        need("python_calamine", "python-calamine")
    frame = pd.read_excel(path, engine="calamine") if excel else pd.read_csv(path)
    return frame.rename(columns=lambda name: str(name).strip().lower())


DATA = DataSet(
    name="ixi",
    title="IXI",
    license="CC BY-SA 3.0",
    people="about 580 healthy adults, 19 to 86 years: T1w, T2w, PDw, whole heads; age and sex",
    size="T1w 4.5 GB, T2w 4 GB, PDw 4 GB",
    access="open, http without encryption: checksums are verified",
    address="https://brain-development.org/ixi-dataset",
    cite="Biomedical Image Analysis Group, Imperial College London, IXI dataset",
    rules=tuple(
        Rule(rf"(?:^|/)(?P<subject>IXI\d{{3}})-\w+-\d+[-_]{name}\.nii(\.gz)?$", kind)
        for name, kind in (("T1", "T1w"), ("T2", "T2w"), ("PD", "PDw"))
    ),
    files=tuple(Remote(f"{ADDRESS}/{name}", name) for name in ("IXI-T1.tar", "IXI-T2.tar", "IXI-PD.tar", "IXI.xls")),
    fetch=fetch_files,
    table=people,
)
main = partial(run, DATA)

if __name__ == "__main__":
    sys.exit(main())
