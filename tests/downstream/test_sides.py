"""Who is trained on and who is judged: by person, nested, even in classes, never both, and kept for a resumed run."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from toposlearn.data import Manifest, Record, split_subjects
from toposlearn.downstream.sides import Sides, draw_sides, load_sides, save_sides


def manifest(count: int, sessions: int = 1) -> Manifest:
    records = [
        Record(f"P{number}", {}, session=f"s{session}" if sessions > 1 else "")
        for number in range(count)
        for session in range(sessions)
    ]
    return Manifest(Path("people"), tuple(records))


def names(people: Manifest) -> set[str]:
    return {record.name for record in people.records}


@pytest.mark.parametrize(("folds", "shots"), [(0, ()), (3, ()), (0, (2, 4, 7)), (2, (2, 5))])
def test_no_one_is_on_two_sides_and_sessions_stay_together(folds, shots):
    people = manifest(12, sessions=2)
    runs = draw_sides(people, folds=folds, shots=shots)
    assert len(runs) == max(folds, 1) * max(len(shots), 1)
    assert len({run.label for run in runs}) == len(runs)
    for run in runs:
        persons = [{name.partition("_")[0] for name in side} for side in run.people]
        assert all(len(side) == 2 * len(own) for side, own in zip(run.people, persons, strict=True))
        assert sum(map(len, persons)) == len(set.union(*persons))
        assert run.train
        assert run.judged
        if shots:
            assert len(persons[0]) + len(persons[1]) == int(run.group.removeprefix("shots"))


def test_everyone_is_judged_once_in_folds():
    runs = draw_sides(manifest(11), folds=4)
    judged = [name for run in runs for name in run.judged]
    assert sorted(judged) == sorted(names(manifest(11)))
    assert {len(run.judged) for run in runs} == {2, 3}
    assert [run.label for run in runs] == ["fold0", "fold1", "fold2", "fold3"]


def test_fewer_labeled_people_are_part_of_more_and_the_same_people_are_judged():
    runs = draw_sides(manifest(20), shots=(2, 4, 8, 15))
    known = [{*run.train, *run.validation} for run in runs]
    assert [len(own) for own in known] == [2, 4, 8, 15]
    assert all(few < more for few, more in pairwise(known))
    assert len({run.judged for run in runs}) == 1
    assert [len(run.validation) for run in runs] == [0, 1, 2, 3]


def test_without_weights_the_same_people_are_held_out_as_by_pre_training():
    people = manifest(17)
    assert set(draw_sides(people)[0].judged) == names(split_subjects(people)[1])


def test_who_was_seen_is_not_judged_and_others_are_not_all_judged_either():
    people = manifest(20)
    seen = [f"P{number}" for number in range(6)]
    (run,) = draw_sides(people, seen=seen)
    assert not set(seen) & set(run.judged)
    assert len(run.judged) == 5  # a quarter, although there are 14 who were not seen
    assert set(seen) <= {*run.train, *run.validation}
    (last,) = draw_sides(people, seen=[f"P{number}" for number in range(18)])
    assert set(last.judged) == {"P18", "P19"}


@pytest.mark.parametrize(
    ("count", "options", "reason"),
    [
        (1, {}, "has 1 labeled people: two are needed"),
        (0, {}, "has 0 labeled people: two are needed"),
        (4, {"folds": 5}, "--folds must be between 2 and 4"),
        (4, {"folds": 1}, "--folds must be between 2 and 4"),
        (8, {"shots": (7,)}, "--shots 7: there are 6 labeled people"),
        (8, {"shots": (0,)}, "--shots 0"),
        (
            3,
            {"seen": ["P0", "P1", "P2"]},
            "were trained on 3 of the 3 labeled people of people: P0, P1, P2; add people",
        ),
        (4, {"seen": ["P1"], "folds": 2}, "were trained on 1 of the 4 .*: P1; leave --folds out"),
    ],
)
def test_too_few_people_or_people_who_were_seen_are_one_line(count, options, reason):
    with pytest.raises(ValueError, match=reason):
        draw_sides(manifest(count), **options)


def test_classes_are_spread_over_folds_and_over_the_first_labeled_people():
    people = manifest(24)
    classes = {name: "patient" if int(name[1:]) % 4 == 0 else "control" for name in names(people)}  # 6 of 24
    folds = draw_sides(people, classes=classes, folds=3)
    assert [sum(classes[name] == "patient" for name in run.judged) for run in folds] == [2, 2, 2]
    (run,) = draw_sides(people, classes=classes)
    assert sum(classes[name] == "patient" for name in run.judged) in (1, 2)  # of six
    for run in draw_sides(people, classes=classes, folds=2, shots=(4, 8)):
        known = [*run.validation, *run.train]
        assert sum(classes[name] == "patient" for name in known) == len(known) // 4


def test_a_resumed_run_has_the_sides_that_it_began_with(tmp_path):
    runs, call = draw_sides(manifest(9), folds=2, shots=(3,)), {"weights": "abc", "folds": 2, "shots": [3]}
    save_sides(tmp_path, runs, call)
    assert load_sides(tmp_path, manifest(12), call) == runs  # three people came later
    with pytest.raises(ValueError, match="other --folds, --shots: resume it with the same ones"):
        load_sides(tmp_path, manifest(9), {"weights": "abc", "folds": 3, "shots": []})
    with pytest.raises(ValueError, match="other --weights"):
        load_sides(tmp_path, manifest(9), {**call, "weights": None})
    with pytest.raises(ValueError, match="can no longer use P8 of this run"):
        load_sides(tmp_path, manifest(8), call)


@pytest.mark.parametrize("content", ["", "{}", "[]", json.dumps({"call": {}, "runs": [{"train": []}]})])
def test_a_damaged_split_is_one_line(content, tmp_path):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(ValueError, match="is damaged: who was trained on cannot be read"):
        load_sides(tmp_path, manifest(3), {})


def test_the_folder_of_a_run_has_its_number_of_people_and_its_fold():
    assert Sides((), (), ()).label == ""
    assert Sides((), (), (), "shots4", "fold0").label == "shots4-fold0"


@pytest.mark.parametrize(("share", "count"), [(0.25, 5), (0.4, 8), (0.01, 1)])
def test_the_share_of_people_who_are_judged_can_be_chosen(share, count):
    (run,) = draw_sides(manifest(20), judged=share)
    assert len(run.judged) == count
    assert len(run.train) + len(run.validation) == 20 - count
    with pytest.raises(ValueError, match=r"--judged must be between 0 and 1, a share of the people; got 8$"):
        draw_sides(manifest(20), judged=8)
