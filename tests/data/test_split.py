"""Who is trained on and who is held out: one side per person, for good, and recognized again."""

from dataclasses import replace
from pathlib import Path

import pytest

from toposlearn.data import Manifest, Record, Split, split_subjects
from toposlearn.data.split import person_key, refuse_seen, remarks, seen_by, unseen_by
from toposlearn.reproducibility import write_json

PRINTS = {"ANNA": ("a1", "a2"), "BELA": ("b1",)}


def folder_of(root: Path, *names: str) -> Manifest:
    root.mkdir(exist_ok=True)
    subjects = (name.partition("@") for name in names)
    return Manifest(root, tuple(Record(name, {}, session=session, root=root) for name, _, session in subjects))


def names(manifest: Manifest) -> set[str]:
    return {record.name for record in manifest.records}


def kept(tmp_path: Path, manifest: Manifest, **options) -> tuple[Path, Manifest, Manifest]:
    train, held_out = split_subjects(manifest)
    run = tmp_path / "run"
    run.mkdir()
    prints = {record.name: (f"print of {record.name}",) for record in train.records}
    write_json(run / "split.json", Split.of(train, held_out, prints, **options).to_dict())
    return run, train, held_out


@pytest.mark.parametrize("sessions", [2, 3])
def test_all_sessions_of_a_person_are_on_one_side(tmp_path, sessions):
    manifest = folder_of(tmp_path, *[f"P{person}@{session}" for person in range(8) for session in range(sessions)])
    train, held_out = split_subjects(manifest)
    assert len(held_out) == 2 * sessions
    assert not {record.subject for record in train.records} & {record.subject for record in held_out.records}


@pytest.mark.parametrize("hashed", [False, True])
def test_a_folder_that_has_grown_changes_nobodys_side(tmp_path, hashed):
    few = folder_of(tmp_path / "data", *"ABCDEFGH")
    run, train, held_out = kept(tmp_path, few, hashed=hashed)
    grown = folder_of(tmp_path / "data", *"ABCDEFGHIJKLM")
    assert names(split_subjects(grown)[0]) != names(train)  # drawn again, it would change
    again, rest = split_subjects(grown, weights=run)
    assert names(again) == names(train)
    assert names(rest) == names(held_out) | set("IJKLM")


def test_a_folder_of_other_people_is_split_as_for_a_new_run(tmp_path):
    run, *_ = kept(tmp_path, folder_of(tmp_path / "data", *"ABCDEFGH"))
    others = folder_of(tmp_path / "others", *"ABCDEFGH")
    assert split_subjects(others, weights=run) == split_subjects(others)


def test_everyone_whom_no_weights_were_trained_on_is_measured(tmp_path):
    everyone = folder_of(tmp_path / "data", *"ABCDEFGH")
    run, train, held_out = kept(tmp_path, everyone)
    others = folder_of(tmp_path / "others", *"IJKLMNOP")
    assert unseen_by([run], others, 0.25) == others
    assert names(unseen_by([run, run], everyone, 0.25)) == names(held_out)
    with pytest.raises(ValueError, match=r"all people of .*data were trained on; .* --allow-seen"):
        unseen_by([run], train, 0.25)
    assert len(unseen_by([run, tmp_path], others, 0.25)) == 2  # drawn: the second does not know whom it was trained on


def test_people_trained_on_are_refused_by_name_and_by_voxels(tmp_path):
    run, train, _ = kept(tmp_path, folder_of(tmp_path / "data", *"ABCDEFGH"))
    with pytest.raises(ValueError, match=rf"{run} was trained on 6 of these people: {train.records[0].name}, .*allow"):
        refuse_seen([run], train, {})
    copies = folder_of(tmp_path / "copies", "X", "Y")
    assert seen_by([run], copies, {"X": (f"print of {train.records[0].name}",), "Y": ("other",)}) == ["X"]
    refuse_seen([run], copies, {"X": ("other",)})


def test_hashed_names_and_voxels_are_not_readable_but_recognized(tmp_path):
    manifest = folder_of(tmp_path / "data", *[f"PATIENT{n}" for n in range(8)])
    run, train, _ = kept(tmp_path, manifest, hashed=True)
    text = (run / "split.json").read_text()
    assert "PATIENT" not in text
    assert "print" not in text
    assert seen_by([run], train, {}) == [record.name for record in train.records]


def test_a_simulated_person_is_the_same_in_every_folder():
    info = {"seed": "0", "anatomy": "A"}
    here, there = (Record("sub-001", {}, info=info, root=Path(root)) for root in ("here", "there"))
    assert person_key(here) == person_key(there)
    assert person_key(here) != person_key(replace(here, info={"seed": "1", "anatomy": "A"}))


def test_a_resumed_run_needs_everyone_it_was_trained_on(tmp_path):
    run, train, _ = kept(tmp_path, folder_of(tmp_path / "data", *"ABCDEFGH"))
    fewer = train.select([record.name for record in train.records[1:]])
    with pytest.raises(ValueError, match=f"can no longer be used in .*: data/{train.records[0].name}; restore"):
        Split.load(run).check_complete(fewer)
    Split.load(run).check_complete(train)


def test_a_renamed_folder_is_recognized_by_the_voxels_of_its_people(tmp_path):
    run, train, held_out = kept(tmp_path, folder_of(tmp_path / "data", *"ABCDEFGH"))
    renamed = folder_of(tmp_path / "renamed", *"ABCDEFGHI")
    prints = {record.name: (f"print of {record.name}",) for record in renamed.records}
    split = Split.load(run)
    assert split.sides(renamed) is None
    split = split.recognizing(renamed, prints)
    assert [names(side) for side in split.sides(renamed, newcomers=False)] == [names(train), names(held_out)]
    split.check_complete(renamed)
    assert "moved" not in split.to_dict()


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", "null", '{"train": {}}', "\0"])
def test_a_damaged_split_is_named_and_never_drawn_again(tmp_path, content):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(ValueError, match=r"split.json is damaged: who was trained on cannot be read; restore it"):
        Split.load(tmp_path)


def test_the_weights_that_were_trained_on_people_are_named(tmp_path):
    run, train, _ = kept(tmp_path, folder_of(tmp_path / "data", *"ABCDEFGH"))
    with pytest.raises(ValueError, match=f"{run} was trained on 6 of these people"):
        refuse_seen([tmp_path / "other", run], train, {})


def test_a_result_names_people_trained_on_and_weights_that_do_not_know_them(tmp_path):
    run, *_ = kept(tmp_path, folder_of(tmp_path / "data", *"ABCDEFGH"))
    assert remarks([run], []) == {}
    assert remarks([run, tmp_path], ["A"]) == {
        "measured people who were trained on": ["A"],
        "weights without the people trained on": [str(tmp_path)],
    }
