"""Tables and descriptions as editors and spreadsheets write them: read, or named, and never the end of a run."""

from pathlib import Path

import pytest
from image_maker import bids

from toposlearn.data import origin_of, read_manifest
from toposlearn.data.layouts.tables import read_description, read_participants

PEOPLE = ["sub-01", "sub-02", "sub-10"]


def read(root: Path, data: bytes, name: str = "participants.tsv", people=PEOPLE):
    (root / name).write_bytes(data)
    return read_participants(root, people)


@pytest.mark.parametrize(
    ("data", "site"),
    [
        ("participant_id\tsite\nsub-01\tMünchen\nsub-02\tKöln\nsub-10\tB\n".encode(), "München"),
        ("participant_id\tsite\nsub-01\tMünchen\nsub-02\tKöln\nsub-10\tB\n".encode("latin-1"), "München"),
        ("participant_id\tsite\nsub-01\tMünchen\nsub-02\tKöln\nsub-10\tB\n".encode("utf-8-sig"), "München"),
        ("participant_id\tsite\nsub-01\tMünchen\nsub-02\tKöln\nsub-10\tB\n".encode("utf-16"), "München"),
        ("participant_id\tsite\nsub-01\tMünchen\nsub-02\tKöln\nsub-10\tB\n".encode("utf-16-le"), "München"),
        (b"participant_id,site\nsub-01,A\nsub-02,B\nsub-10,C\n", "A"),
        (b"participant_id;site\r\nsub-01;A\r\nsub-02;B\r\nsub-10;C\r\n", "A"),
        (b"participant_id\tsite\rsub-01\tA\rsub-02\tB\rsub-10\tC\r", "A"),
        (b'"participant_id"\t"site"\n"sub-01"\t"A, B"\nsub-02\tB\nsub-10\tC', "A, B"),
        (b"participant_id\tsite\t\t\nsub-01\tA\nsub-02\tB\t\t\n\t\t\nsub-10\tC\t\n\n", "A"),
        (b" participant_id \tsite\n sub-01 \t A \nsub-02\tB\nsub-10\tC\n", "A"),
        (b"participant_id\tsite\nsub-01\t'A \"x\nsub-02\tB\nsub-10\tC\n", "'A \"x"),
    ],
)
def test_a_table_of_any_kind_is_read_without_a_word(tmp_path, data, site):
    rows, notes = read(tmp_path, data)
    assert list(rows) == PEOPLE
    assert rows["sub-01"]["site"] == site
    assert notes == []


@pytest.mark.parametrize(
    ("column", "ids"),
    [
        ("participant_id", ("01", "02", "10")),
        ("participant_id", ("1", "2", "10")),
        ("participant_id", ("1.0", "2.0", "10.0")),
        ("participant_id", ("SUB-01", "sub_02", "sub10")),
        ("Subject", ("sub-01", "sub-02", "sub-10")),
        ("subject ID", ("sub-01", "sub-02", "sub-10")),
        ("MRID", ("01", "02", "10")),
        ("ID", ("sub-01", "sub-02", "sub-10")),
        ("code of the person", ("sub-01", "sub-02", "sub-10")),
    ],
)
def test_people_are_found_by_other_spellings_and_columns(tmp_path, column, ids):
    rows, notes = read(tmp_path, f"age\t{column}\n30\t{ids[0]}\n40\t{ids[1]}\n50\t{ids[2]}\n".encode())
    assert {subject: row["age"] for subject, row in rows.items()} == {"sub-01": "30", "sub-02": "40", "sub-10": "50"}
    said = f"{tmp_path}/participants.tsv: the names of the people are in its column {column}"
    assert notes == ([] if column == "participant_id" else [said])


def test_numbers_of_ixi_are_found_in_longer_names(tmp_path):
    people = ["IXI002-Guys-0828", "IXI012-HH-1211"]
    rows, _ = read(tmp_path, b"IXI_ID,AGE\n2,35.8\n12,38.8\n13,40\n", "participants.csv", people)
    assert {subject: row["AGE"] for subject, row in rows.items()} == dict(zip(people, ("35.8", "38.8"), strict=True))


def test_a_number_that_could_be_two_people_is_nobody(tmp_path):
    rows, _ = read(tmp_path, b"participant_id\tage\n1\t30\nsub-01\t50\n", people=["sub-1", "sub-01"])
    assert {subject: row["age"] for subject, row in rows.items()} == {"sub-01": "50"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty: it is not used"),
        (b"\n \n", "is empty: it is not used"),
        (b"age\tsex\n30\tF\n", "has no column participant_id with the names of the people"),
        (b"PK\x03\x04" + bytes(range(256)) * 9, "is no text file: save it as text with tabs"),
        (b"participant_id\tage\nanna\t30\n", "no row is of a person here (its column participant_id holds 'anna')"),
        (b"participant_id\tage\n", "no row is of a person here (it has no row)"),
        (b'participant_id\tage\n"sub-01' + b"x" * 200_000, "is no table (field larger than field limit"),
        (b"/annex/objects/MD5E-s9--abc.tsv\n", "has no column participant_id"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path, data, said):
    rows, (note,) = read(tmp_path, data)
    assert rows == {}
    assert note.startswith(f"{tmp_path}/participants.tsv")
    assert said in note
    assert "\n" not in note


def test_what_a_table_holds_twice_or_lacks_is_said(tmp_path):
    rows, notes = read(tmp_path, b"participant_id\tage\nsub-01\t30\nsub-01\t40\nsub-02\n")
    assert rows == {
        "sub-01": {"participant_id": "sub-01", "age": "30"},
        "sub-02": {"participant_id": "sub-02", "age": ""},
    }
    assert notes == [
        f"{tmp_path}/participants.tsv: the first row is used of 1 person with several: sub-01",
        f"{tmp_path}/participants.tsv: no row of 1 person: sub-10",
    ]


def test_a_table_whose_content_is_elsewhere_is_named(tmp_path):
    (tmp_path / "participants.tsv").symlink_to("../.git/annex/objects/gone.tsv")
    assert "cannot be read (No such file or directory)" in read_participants(tmp_path, PEOPLE)[1][0]
    (tmp_path / "dataset_description.json").mkdir()
    assert "cannot be read (Is a directory)" in read_description(tmp_path)[1]


def test_the_table_of_a_derivative_is_that_of_its_data_set(tmp_path):
    (tmp_path / "derivatives/fmriprep").mkdir(parents=True)
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t30\n")
    assert read_participants(tmp_path / "derivatives/fmriprep", ["sub-01"])[0]["sub-01"]["age"] == "30"


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b'{"Name": "tiny"}', "tiny", ""),
        (b'\xef\xbb\xbf{"Name": "tiny"}', "tiny", ""),
        ('{"Name": "tiny"}'.encode("utf-16"), "tiny", ""),
        ('{"Name": "Studie München"}'.encode("latin-1"), "Studie München", ""),
        (b'{"Name": "tiny, ]", "License": "CC0",}', "tiny, ]", "has a comma before a closing bracket"),
        (b'{"Name": "tiny", "Authors": ["a", "b",],\n}', "tiny", "has a comma before a closing bracket"),
        (b'{"Name": "tiny", "Recipe": "v2"}', "tiny", ""),
        (b'{"Name": "tiny", "Recipe": {"Generator": "toposlearn cohort", "Anatomy": "moon"}}', "tiny", ""),
        (b"", None, "is empty: it is not used"),
        (b'{"Name": "ti', None, "is no JSON (Unterminated string starting at at line 1, column 10)"),
        (b"[1, 2]", None, "holds no JSON object"),
        (b"null", None, "holds no JSON object"),
        (b"\x00\x01\x02\xff", None, "is no text file"),
        (b"[" * 100_000, None, "is nested too deeply"),
        (b'{"Name": 7, "License": ["a"]}', "7", ""),
    ],
)
def test_a_description_is_read_or_named_and_never_an_error(tmp_path, data, name, said):
    path = tmp_path / "dataset_description.json"
    path.write_bytes(data)
    _, note = read_description(tmp_path)
    assert note.startswith(f"{path} {said}") if said else note == ""
    assert origin_of(tmp_path).startswith(f"{name or tmp_path.name}; license: ")


def test_damaged_files_beside_are_named_before_anything_is_computed(tmp_path):
    root = bids(tmp_path)
    (root / "participants.tsv").write_bytes(b"")
    (root / "dataset_description.json").write_bytes(b"{")
    manifest = read_manifest(root)
    assert len(manifest) == 2
    assert [note.split(" ")[0].rpartition("/")[2] for note in manifest.notes] == [
        "participants.tsv",
        "dataset_description.json",
    ]
