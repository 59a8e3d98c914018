"""What the user says about names: patterns, on the command line or in a file."""

import json

import pytest
from foreign_maker import touch, tree

from toposlearn.data import Source, read_manifest
from toposlearn.data.layouts.pattern import compile_pattern


def read(root, *patterns: str):
    return read_manifest(Source.of_options(root, patterns=patterns))


def test_a_pattern_names_what_no_word_says(tmp_path):
    manifest = read(
        touch(tmp_path, tree("{who}_{what}.nii.gz", who="1000 1001", what="SS glm")), "T1w={subject}_SS.nii.gz"
    )
    assert [record.subject for record in manifest.records] == ["1000", "1001"]
    record = manifest.records[0]
    assert record.images == {"T1w": tmp_path / "1000_SS.nii.gz"}
    assert record.label_maps == {"glm": tmp_path / "1000_glm.nii.gz"}  # by its name


def test_patterns_have_sessions_folders_and_alternatives(tmp_path):
    files = ["a/ANNA/day 1/scan7.nii.gz", "b/BEN-x.nii.gz", "a/ANNA/day 2/scan9.nii.gz"]
    patterns = [
        "T1w=a/{subject}/{session}/scan*.nii.gz",
        "T1w=**/{subject}-x.nii.gz",
        "label:roi=a/{subject}/roi.nii.gz",
    ]
    manifest = read(touch(tmp_path, files), *patterns)
    assert [(record.subject, record.images["T1w"].name) for record in manifest.records] == [
        ("ANNA", "scan7.nii.gz"),
        ("BEN", "BEN-x.nii.gz"),
    ]
    assert (
        manifest.records[0].label_maps == {"roi": tmp_path / "a/ANNA/roi.nii.gz"}
        or manifest.records[0].label_maps == {}
    )


def test_two_files_of_one_pattern_are_a_choice_that_is_told(tmp_path):
    manifest = read(touch(tmp_path, ["ANNA/x1.nii.gz", "ANNA/x2.nii.gz"]), "T2w={subject}/x*.nii.gz")
    assert manifest.records[0].images["T2w"].name == "x1.nii.gz"
    assert all(name in manifest.notes[0] for name in ("x1.nii.gz", "x2.nii.gz"))


def test_a_modality_may_be_named_as_people_do(tmp_path):
    manifest = read(touch(tmp_path, ["ANNA/x.nii.gz"]), "t1ce={subject}/x.nii.gz")
    assert list(manifest.records[0].images) == ["ce-gadolinium_T1w"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("T1w=x/*.nii.gz", r"pattern 'x/\*.nii.gz' does not say where the person stands: write {subject} there"),
        ("T1w={subject}/{sesion}/x.nii.gz", "holds the unknown field {sesion}: write {session}"),
        (
            "T1w={subject}/y.nii.gz",
            "pattern T1w={subject}/y.nii.gz names no image in .*, where there is e.g. ANNA/x.nii.gz",
        ),
        ("T1w", "--pattern 'T1w' is not of the form NAME=VALUE: write it as in --pattern 'T1w={subject}/t1_"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_said_in_one_line(tmp_path, pattern, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(touch(tmp_path, ["ANNA/x.nii.gz"]), pattern)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "path", "person"),
    [
        ("{subject}/t1_*.nii.gz", "ANNA/t1_mprage.nii.gz", "ANNA"),
        ("{subject}/t1_*.nii.gz", "ANNA/MRI/t1_mprage.nii.gz", None),
        ("**/{subject}/t1.nii", "a/b/ANNA/t1.nii", "ANNA"),
        ("**/{subject}/t1.nii", "ANNA/t1.nii", "ANNA"),
        ("{subject}/{subject}_T1+C (2).nii", "A/A_T1+C (2).nii", "A"),
        ("{subject}/{subject}_t1.nii", "A/B_t1.nii", None),
        ("P?_{subject}.nii", "P7_x.nii", "x"),
    ],
)
def test_patterns_match_as_paths_do(pattern, path, person):
    match = compile_pattern(pattern).fullmatch(path)
    assert (match and match["subject"]) == person


def test_a_file_names_folders_patterns_session_and_entities(tmp_path):
    touch(tmp_path / "scans", tree("{who}/{day}/x.nii.gz", who="ANNA BEN", day="1 2"))
    text = 'folders: scans\nsession: 2\nentities: {rec: norm}\npatterns:\n  T1w: "{subject}/{session}/x.nii.gz"\n'
    (tmp_path / "data.yaml").write_text(text)
    source = Source.of(tmp_path / "data.yaml")
    assert source == Source((tmp_path / "scans",), "2", {"rec": "norm"}, {"T1w": "{subject}/{session}/x.nii.gz"})
    assert {record.images["T1w"].parent.name for record in read_manifest(tmp_path / "data.yaml").records} == {"2"}
    overruled = Source.of_options(tmp_path / "data.yaml", "1", ["rec=raw"])
    assert (overruled.session, overruled.entities, overruled.patterns) == ("1", {"rec": "raw"}, source.patterns)


def test_the_file_may_be_json_and_stand_in_its_folder(tmp_path):
    touch(tmp_path, ["ANNA/x.nii.gz"])
    (tmp_path / "mine.json").write_text(json.dumps({"patterns": {"T1w": ["{subject}/x.nii.gz", "{subject}.nii"]}}))
    assert len(read_manifest(tmp_path / "mine.json")) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folder: a", "holds the unknown key 'folder': write folders"),
        ("colour: a", "holds the unknown key 'colour': choose among folders, patterns, session, entities"),
        ("patterns: [a]", r"holds patterns: \['a'\]: write it as in 'patterns: {T1w: "),
        ("patterns:\n  T1w: {subject}/x.nii", r"is not valid YAML \(line 2\): correct it; patterns stand in quotes"),
        ("folders: [1]", r"holds folders: \[1\]: write it as in 'folders: "),
        ("patterns:\n  T1w:", "holds the pattern T1w: None: write it as in 'patterns: {T1w: "),
        ("- a", "holds no keys: write folders, patterns, session, entities"),
        ("", "holds no keys"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_in_one_line(tmp_path, text, message):
    (tmp_path / "data.yml").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        Source.of(tmp_path / "data.yml")
    assert str(caught.value).startswith(str(tmp_path / "data.yml"))
    assert "\n" not in str(caught.value)


def test_a_visit_in_the_persons_name_is_no_other_person(tmp_path):
    manifest = read(touch(tmp_path, tree("P1_visit{n}/x.nii.gz", n="1 2")), "T1w={subject}/x.nii.gz")
    assert [record.subject for record in manifest.records] == ["P1"]


def test_patterns_reach_into_derivatives(tmp_path):
    files = ["ANNA/x.nii.gz", "derivatives/by_hand/ANNA.nii.gz", "derivatives/toposlearn/ANNA.nii.gz"]
    manifest = read(touch(tmp_path, files), "T1w={subject}/x.nii.gz", "label:tissue=derivatives/*/{subject}.nii.gz")
    assert manifest.records[0].label_maps == {"tissue": tmp_path / "derivatives/by_hand/ANNA.nii.gz"}


def test_names_with_signs_of_patterns_are_read_the_same(tmp_path):
    manifest = read_manifest(touch(tmp_path, ["A|B {1}*/T1 [2].nii.gz", "C/T1 [2].nii.gz"]))
    again = read(tmp_path, *(f"{kind}={pattern}" for kind, pattern in manifest.patterns.items()))
    assert [record.images for record in again.records] == [record.images for record in manifest.records]


def test_folders_of_the_file_may_lie_in_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "map.yaml").write_text("folders: ~/mine")
    assert Source.of(tmp_path / "map.yaml").folders == (tmp_path / "mine",)
