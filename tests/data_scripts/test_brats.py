"""BraTS by script, on a miniature of the published trees: what is checked, what is refused, and a training step."""

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import brats
import miniature
import nibabel as nib
import numpy as np
import pytest

from toposlearn import cli
from toposlearn.data import origin_of, read_manifest

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "brats.py"
ALL = ["FLAIR", "T1w", "T2w", "ce-gadolinium_T1w"]


def run(source, out, *more, grid=miniature.GRID):
    return brats.main([str(source), "--out", str(out), *grid, *more])


def refused(capsys, tmp_path, source, *more, **options) -> str:
    """The one line of the error; no file is left behind."""
    before = set(tmp_path.iterdir())
    assert run(source, tmp_path / "out", *more, **options) == 1
    assert set(tmp_path.iterdir()) == before
    printed = capsys.readouterr()
    assert printed.out == ""
    line = printed.err.splitlines()[-1]
    assert line.startswith("error: ")
    return line


@pytest.fixture(params=[2021, 2023])
def year(request):
    return request.param


@pytest.fixture
def tree(tmp_path, year):
    return miniature.write(tmp_path / "download", year)


def archive_of(tree: Path, path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for file in sorted(tree.rglob("*")):
                packed.write(file, file.relative_to(tree))
    else:
        with tarfile.open(path, "w:gz") as packed:
            packed.add(tree, ".")
    return path


def test_from_folder_to_manifest_to_inspect_to_training(tree, year, tmp_path, capsys):
    out = tmp_path / "made" / "brats"
    assert run(tree, out) == 0
    assert f"next: toposlearn pretrain --data {out}" in capsys.readouterr().out
    manifest = read_manifest(out)
    assert manifest.layout.startswith(f"BraTS {year}")
    assert manifest.modalities == ("FLAIR", "T1w", "T2w", "ce-gadolinium_T1w")
    written = json.loads((out / "manifest.json").read_text())
    assert list(written["people"]) == [record.subject for record in manifest.records]
    assert written["people"][manifest.records[0].subject]["lesion"].endswith("seg.nii.gz")
    assert origin_of(out).startswith(f"BraTS {year}; license: the organizers' terms")
    assert cli.execute(["inspect", str(out)]) == 0
    assert "lesion mask" in capsys.readouterr().out
    run_folder = tmp_path / "run"
    arguments = ["pretrain", "--preset", "smoke", "--steps", "1", "--data", str(out), "--out", str(run_folder)]
    assert cli.execute(arguments) == 0
    assert "modalities: T1w, T2w, FLAIR, ce-gadolinium_T1w" in capsys.readouterr().out
    history = (run_folder / "history.jsonl").read_text().splitlines()
    assert len(history) == 1
    assert json.loads(history[0])["intra"] > 0
    assert not list(tree.rglob("*.safetensors"))  # the download stays as it was


def test_labels_are_lesions_whatever_their_number(tree, year, tmp_path, smoke):
    from toposlearn.data import config_for, prepare

    assert run(tree, tmp_path / "out") == 0
    manifest = read_manifest(tmp_path / "out")
    subject = prepare(manifest, config_for(smoke, manifest).volume, progress=False)[0]
    tumor = nib.load(manifest.records[0].lesion).get_fdata() > 0
    assert int(subject.lesion.sum()) == pytest.approx(int(tumor.sum()), rel=0.2)
    assert not (subject.lesion & ~subject.foreground).any()


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_an_archive_is_unpacked(tree, year, tmp_path, ending):
    archive = archive_of(tree, tmp_path / f"brats{ending}")
    assert run(archive, tmp_path / "out") == 0
    assert len(read_manifest(tmp_path / "out")) == len({name[:15] for name in miniature.PEOPLE[year]})
    moved = (tmp_path / "out").rename(tmp_path / "elsewhere")  # links are relative
    assert read_manifest(moved).records[0].images["T1w"].exists()


def test_a_patient_scanned_twice_is_one_person(tmp_path, capsys):
    tree = miniature.write(tmp_path / "download", 2023)
    assert run(tree, tmp_path / "out") == 0
    assert "1 later scans left out" in capsys.readouterr().out
    names = [record.subject for record in read_manifest(tmp_path / "out").records]
    assert names == [name.removesuffix("-000") for name in miniature.PEOPLE[2023][:3]]
    plain = read_manifest(tree / miniature.WRAPPER[2023])  # and without the script
    assert [record.subject for record in plain.records] == names
    assert {path.parent.name for path in plain.ignored} == {"BraTS-GLI-00008-001"}


def test_a_validation_set_has_no_labels(tmp_path, year, capsys):
    assert run(miniature.write(tmp_path / "download", year, labels=False), tmp_path / "out") == 0
    assert " 0 with labels, " in capsys.readouterr().out
    assert all(record.lesion is None for record in read_manifest(tmp_path / "out").records)


def subject(tree, year, number=1) -> Path:
    return tree / miniature.WRAPPER[year] / miniature.PEOPLE[year][number]


def file_of(tree, year, ending) -> Path:
    folder = subject(tree, year)
    return folder / f"{folder.name}{ending}.nii.gz"


def missing(tree, year):
    file_of(tree, year, miniature.IMAGES[year][2]).unlink()


def truncated(tree, year):
    path = file_of(tree, year, miniature.IMAGES[year][0])
    path.write_bytes(path.read_bytes()[:-500])


def truncated_labels(tree, year):
    path = file_of(tree, year, miniature.LABELS[year][0])
    path.write_bytes(path.read_bytes()[:-100])


def strange_name(tree, year):
    miniature.save(subject(tree, year) / "copy of t1.nii.gz", np.ones(miniature.SHAPE))


def strange_label(tree, year):
    miniature.save(file_of(tree, year, miniature.LABELS[year][0]), np.full(miniature.SHAPE, 9))


def other_grid(tree, year):
    miniature.save(file_of(tree, year, miniature.IMAGES[year][3]), np.arange(8).reshape(2, 2, 2))


@pytest.mark.parametrize(
    ("ill", "message"),
    [
        (missing, "is missing: download this person again"),
        (truncated, "is truncated or damaged"),
        (truncated_labels, "is truncated or damaged"),
        (strange_name, "is not named as in BraTS"),
        (strange_label, "holds the label 9, but BraTS"),
        (other_grid, "has shape (2, 2, 2) but "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tree, year, tmp_path, capsys, ill, message):
    ill(tree, year)
    line = refused(capsys, tmp_path, tree)
    assert message in line
    assert miniature.PEOPLE[year][1] in line


def test_other_voxels_than_published_are_refused(tree, year, tmp_path, capsys):
    line = refused(capsys, tmp_path, tree, grid=())
    assert "(32, 36, 28) voxels of [6.0, 6.0, 6.0] mm, not (240, 240, 155) of 1: it differs from the published" in line
    assert "more people with problems" in line


def test_a_validation_set_beside_the_training_set(tmp_path, year, capsys):
    download = miniature.write(tmp_path / "download", year)
    person = subject(download, year, 0)
    other = download / "ValidationData" / person.name.replace("00000", "00100")
    for path in person.iterdir():
        if miniature.LABELS[year][0] not in path.name:
            other.mkdir(parents=True, exist_ok=True)
            (other / path.name.replace("00000", "00100")).write_bytes(path.read_bytes())
    assert run(download, tmp_path / "out") == 0
    assert ", 1 without labels" in capsys.readouterr().out
    assert sum(record.lesion is None for record in read_manifest(tmp_path / "out").records) == 1


def test_capitals_and_plain_files(tmp_path, capsys):
    download = miniature.write(tmp_path / "download", 2023)
    for path in list(download.rglob("*-t2w.nii.gz")):
        path.rename(path.with_name(path.name.replace("t2w", "t2W")))
    for path in list(download.rglob("*-t1n.nii.gz")):
        nib.save(nib.load(path), path.with_suffix(""))
        path.unlink()
    assert run(download, tmp_path / "out", "--subset", "2") == 0
    assert [sorted(record.images) for record in read_manifest(tmp_path / "out").records] == [ALL] * 2
    assert len(list((tmp_path / "out").rglob("*-t2w.nii.gz"))) == 2


@pytest.mark.parametrize(
    ("name", "edition"),
    [
        ("Brats18_CBICA_AAB_1", "BraTS 2018"),
        ("BraTS19_TCIA01_131_1", "BraTS 2019"),
        ("BraTS20_Training_001", "BraTS 2020"),
        ("BraTS20_Validation_001", "BraTS 2020"),
        ("BraTS-GLI-02062-100", "BraTS 2024"),
    ],
)
def test_other_years(tmp_path, capsys, name, edition):
    year = 2021 if "_" in name else 2023
    person = subject(miniature.write(tmp_path / "other", year), year, 0)
    for path in person.iterdir():
        if miniature.LABELS[year][0] not in path.name:
            new = tmp_path / "download" / "HGG" / name / path.name.replace(person.name, name)
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(path.read_bytes())
    assert run(tmp_path / "download", tmp_path / "out") == 0
    assert f"1 people of {edition} " in capsys.readouterr().out
    assert [sorted(record.images) for record in read_manifest(tmp_path / "out").records] == [ALL]


def test_both_years_or_two_sets_or_nothing(tmp_path, capsys):
    download = miniature.write(miniature.write(tmp_path / "download", 2021), 2023)
    assert "holds people of BraTS 2021 and BraTS 2023: give one year" in refused(capsys, tmp_path, download)
    twice = miniature.write(miniature.write(tmp_path / "twice", 2021) / "copy", 2021).parent
    assert "holds BraTS2021_00000 in several places" in refused(capsys, tmp_path, twice)
    assert "no folder of a person" in refused(capsys, tmp_path, subject(download, 2021))
    assert "does not exist" in refused(capsys, tmp_path, tmp_path / "absent")
    (tmp_path / "letter.txt").write_text("dear")
    assert "neither a folder nor a zip or tar archive" in refused(capsys, tmp_path, tmp_path / "letter.txt")
    (tmp_path / "taken").mkdir()
    assert run(download, tmp_path / "taken") == 1


def evil_tar(path: Path, name: str, **fields) -> Path:
    with tarfile.open(path, "w") as packed:
        info = tarfile.TarInfo(name)
        for key, value in fields.items():
            setattr(info, key, value)
        content = b"" if fields.get("type") else b"evil"
        info.size = len(content)
        packed.addfile(info, io.BytesIO(content))
    return path


def evil_zip(path: Path, name: str, mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        packed.writestr(info, "evil")
    return path


def test_an_archive_writes_nowhere_else(tmp_path, capsys):
    for name in ("../evil", "/tmp/evil-brats", "a/../../evil", "C:/evil", "..\\evil"):
        for make, ending in ((evil_tar, "tar"), (evil_zip, "zip")):
            line = refused(capsys, tmp_path, make(tmp_path / f"evil.{ending}", name))
            assert "would be written elsewhere" in line
    assert not Path("/tmp/evil-brats").exists()


def test_an_archive_holds_no_links_or_devices(tmp_path, capsys):
    kinds = [{"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, {"type": tarfile.LNKTYPE, "linkname": "x"}]
    for fields in (*kinds, {"type": tarfile.FIFOTYPE}, {"type": tarfile.CHRTYPE}):
        assert "a link or device" in refused(capsys, tmp_path, evil_tar(tmp_path / "evil.tar", "link", **fields))
    assert "a link or device" in refused(capsys, tmp_path, evil_zip(tmp_path / "evil.zip", "link", 0o120777))


def test_an_archive_is_bounded_and_whole(tmp_path, capsys):
    archive = archive_of(miniature.write(tmp_path / "download", 2021), tmp_path / "brats.tar.gz")
    assert "unpacks to more than 0.0001 GB" in refused(capsys, tmp_path, archive, "--max-gb", "0.0001")
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    assert "cannot be unpacked" in refused(capsys, tmp_path, archive)
    with tarfile.open(tmp_path / "twice.tar", "w") as packed:
        for _ in range(2):
            packed.addfile(tarfile.TarInfo("a"))
    assert "holds the same name twice: a" in refused(capsys, tmp_path, tmp_path / "twice.tar")


def test_the_command_as_it_is_advertised(tmp_path):
    tree = miniature.write(tmp_path / "download", 2021)
    command = [sys.executable, str(SCRIPT), str(tree), "--out", str(tmp_path / "out"), *miniature.GRID]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4 people of BraTS 2021" in done.stdout
    assert subprocess.run([*command[:2]], capture_output=True).returncode == 2
