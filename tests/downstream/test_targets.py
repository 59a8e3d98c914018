"""What is predicted: which label maps and columns are found, what is refused in one line, and what judges all runs."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from labeled_heads import save

from toposlearn.anatomy import structure_names
from toposlearn.data import Cache, Manifest, Record, prepare, read_manifest
from toposlearn.downstream import targets
from toposlearn.downstream.settings import REGIONS, TaskConfig
from toposlearn.downstream.targets import Target, labeled, labels_of, targets_of

SEX, AGE = TaskConfig("classification", target="sex"), TaskConfig("regression", target="age")


def people(rows: Mapping[str, Mapping[str, str]], **maps: Mapping[str, str]) -> Manifest:
    """People by name, with their rows of the table, and label maps by kind."""
    records = (
        Record(name, {}, info=info, label_maps={kind: Path(f"{name}_{each[name]}") for kind, each in maps.items()})
        for name, info in rows.items()
    )
    return Manifest(Path("folder"), tuple(records))


def with_column(column: str, *values: str) -> Manifest:
    return people({f"P{place}": {column: value} for place, value in enumerate(values)})


def names(manifest: Manifest) -> list[str]:
    return [record.name for record in manifest.records]


def test_the_only_kind_of_label_maps_is_taken_and_becomes_the_labels(heads, capsys):
    manifest, source = labeled(read_manifest(heads), TaskConfig())
    assert source == "seg"
    assert len(manifest) == 8
    assert all(record.labels == record.label_maps["seg"] for record in manifest.records)
    assert capsys.readouterr().err == ""


def test_simulated_people_have_structures_and_lesions_as_inspect_names_them():
    truth = {"labels": Path("dseg.nii"), "lesion": Path("mask.nii"), "to_template": Path("xfm.nii")}
    record = Record("P1", {}, **truth, label_maps={"lesion": Path("desc-lesion_dseg.nii")})
    simulated = Manifest(Path("folder"), (record,))
    with pytest.raises(ValueError, match="several kinds, toposlearn, lesion: choose with --labels"):
        labeled(simulated, TaskConfig())
    assert labeled(simulated, TaskConfig(labels="toposlearn"))[0].records == (record,)  # prepared as for pre-training
    (lesion,) = labeled(simulated, TaskConfig(labels="lesion"))[0].records
    assert (lesion.labels, lesion.lesion, lesion.to_template) == (Path("desc-lesion_dseg.nii"), None, None)


def test_a_lesion_under_its_own_name_is_one_kind():
    record = Record("P1", {}, lesion=Path("roi.nii"), label_maps={"stroke": Path("roi.nii")})
    manifest, source = labeled(Manifest(Path("folder"), (record,)), TaskConfig())
    assert source == "stroke"
    assert manifest.records[0].labels == Path("roi.nii")
    assert manifest.records[0].lesion is None


def test_people_without_a_label_map_or_a_value_are_left_out_and_named(capsys):
    records = (Record("P1", {}, label_maps={"seg": Path("a")}), Record("P2", {}), Record("P3", {}))
    assert names(labeled(Manifest(Path("folder"), records), TaskConfig())[0]) == ["P1"]
    assert capsys.readouterr().err == "note: left out because they have no seg: P2, P3\n"
    manifest, column = labeled(with_column("SEX", "F", "n/a", "M", "", "NaN", "F"), SEX)
    assert names(manifest) == ["P0", "P2", "P5"]
    assert column == "SEX"
    assert capsys.readouterr().err == "note: left out because they have no SEX: P1, P3, P4\n"


def test_a_column_in_the_same_capitals_comes_first():
    rows = {"P0": {"SEX": "1", "sex": "F"}, "P1": {"SEX": "1", "sex": "M"}}
    assert labeled(people(rows), SEX)[1] == "sex"


@pytest.mark.parametrize(
    ("manifest", "task", "reason"),
    [
        (people({"P1": {}}), TaskConfig(), "folder has no label maps: .* name them with --pattern 'label:seg="),
        (people({"P1": {}}, seg={"P1": "a"}), TaskConfig(labels="lesion"), "no label maps of kind 'lesion': .* seg"),
        (people({"P1": {}}, seg={"P1": "a"}, wm={"P1": "b"}), TaskConfig(), "seg, wm: choose with --labels"),
        (people({"P1": {}, "P2": {}}), SEX, r"no table of participants \(participants.tsv\): 'sex' is not known"),
        (with_column("sexx", "F", "M"), SEX, "have no column 'sex': did you mean sexx"),
        (with_column("handedness", "l", "r"), SEX, "have no column 'sex': choose among handedness"),
        (with_column("sex", "F", "F", "n/a"), SEX, "column sex of folder is 'F' for all 2 people"),
        (with_column("sex", "n/a", ""), SEX, "column sex of folder is empty"),
        (with_column("age", "31", "old"), AGE, "age of P1 is 'old', which is no number: .* or write n/a"),
        (with_column("age", "31", "inf"), AGE, "age of P1 is 'inf', which is no number"),
        (with_column("sex", *map(str, range(30))), SEX, "30 different values: choose --task regression"),
        (with_column("sex", *(f"x{n}" for n in range(30))), SEX, "30 different values: group them"),
    ],
)
def test_what_cannot_be_learned_is_one_line(manifest, task, reason):
    with pytest.raises(ValueError, match=reason) as error:
        labeled(manifest, task)
    assert "\n" not in str(error.value)


def column_targets(manifest: Manifest, task: TaskConfig, *runs: tuple[str, str]) -> list[Target]:
    """Targets of runs given as digits of people: trained on, and judged."""
    sides = [tuple([f"P{digit}" for digit in side] for side in run) for run in runs]
    return targets_of(Cache(manifest, Path("nowhere")), sides, task, task.target, {})


def test_a_number_is_scaled_by_the_people_trained_on():
    manifest = with_column("age", "20", "30", "70", "50")
    (target,) = column_targets(manifest, AGE, ("012", "23"))
    assert target.outputs == 1
    assert target.center == 30
    assert target.spread == pytest.approx(np.std([20, 30, 70]))
    assert target.truth(manifest.records[2]) == pytest.approx(40 / target.spread)


def test_folds_know_all_classes_and_report_those_that_they_cannot_learn(capsys):
    manifest = with_column("sex", "F", "M", "F", "M", "X")
    first, second = column_targets(manifest, SEX, ("0134", "2"), ("012", "034"), ("0234", "1"))[:2]
    assert first.values == second.values == ("F", "M", "X")
    assert first.truth(manifest.records[3]) == 1
    assert capsys.readouterr().err == "note: no one of the 3 people trained on has sex X: it is not learned\n"


@pytest.mark.parametrize(
    ("task", "values", "runs", "reason"),
    [
        (SEX, "FFM", [("01", "2")], "none of the 1 people who would be judged has sex F: judge everyone with --folds"),
        (SEX, "FFMM", [("01", "23"), ("23", "01")], "sex is 'F' for all 2 people who would be trained on"),
        (AGE, "123", [("01", "2")], "age is '3' for all 1 people who would be judged: judge everyone with --folds"),
        (AGE, "1123", [("01", "23")], "age is '1' for all 2 people who would be trained on"),
    ],
)
def test_people_who_are_all_the_same_are_refused_before_any_training(task, values, runs, reason):
    with pytest.raises(ValueError, match=reason):
        column_targets(with_column(task.target, *values), task, *runs)


def label_targets(monkeypatch, labels: list[set[int]], *runs: tuple[str, str], **options) -> list[Target]:
    """Targets of runs on people who have these labels."""
    known = {f"P{place}": frozenset(own) for place, own in enumerate(labels)}
    monkeypatch.setattr(targets, "labels_of", lambda people: known)
    manifest = people({name: {} for name in known})
    sides = [tuple([f"P{digit}" for digit in side] for side in run) for run in runs]
    task = TaskConfig(regions=options.get("regions", {}))
    return targets_of(Cache(manifest, Path("nowhere")), sides, task, "seg", options.get("names", {}))


def test_all_runs_are_judged_by_the_labels_of_anyone_trained_on(monkeypatch, capsys):
    one, other = label_targets(monkeypatch, [{1}, {1, 5}, {1, 5, 9}], ("0", "12"), ("01", "2"))
    assert one.values == (0, 1)
    assert other.values == (0, 1, 5)
    assert one.regions == other.regions == {"label 1": (1,), "label 5": (5,)}
    assert capsys.readouterr().err == (
        "note: labels that no one trained on has are not judged: 9\n"
        "note: no one of the 1 people trained on has label 5: it is not learned\n"
    )


def test_labels_have_the_names_of_a_table_and_the_same_name_is_one_region(monkeypatch, tmp_path):
    table = tmp_path / "names.csv"
    table.write_text("label,name,side\n1,thalamus,left\n2,thalamus,right\n")
    (target,) = label_targets(monkeypatch, [{1, 2, 7}] * 2, ("0", "1"), names=structure_names(table))
    assert target.names == ("background", "left-thalamus", "right-thalamus", "label 7")
    midline = {label: structure_names("toposlearn")[label] for label in structure_names("toposlearn")}
    twice = {1: midline[next(iter(midline))], 2: midline[next(iter(midline))]}
    (target,) = label_targets(monkeypatch, [{1, 2, 7}] * 2, ("0", "1"), names=twice)
    assert sorted(target.regions.values()) == [(1, 2), (7,)]


def test_regions_are_judged_where_people_have_a_part_of_them(monkeypatch):
    (target,) = label_targets(monkeypatch, [{1, 2, 4}] * 2, ("0", "1"), regions=REGIONS["brats"])
    assert target.regions == REGIONS["brats"]
    assert target.values == (0, 1, 2, 4)
    with pytest.raises(ValueError, match=r"no label of the region enhancing tumor occurs: .* have the labels 1, 2"):
        label_targets(monkeypatch, [{1, 2}, {4}], ("0", "1"), regions=REGIONS["brats"])


def test_empty_label_maps_are_named_and_refused_where_nothing_is_left(monkeypatch, capsys):
    label_targets(monkeypatch, [{1}, set(), {1}, set()], ("01", "23"))
    assert capsys.readouterr().err == "note: the label maps are empty of P1, P3\n"
    with pytest.raises(
        ValueError, match=r"of the 2 people who would be trained on, .* are empty on the network's grid"
    ):
        label_targets(monkeypatch, [set(), set(), {1}], ("01", "2"))
    with pytest.raises(ValueError, match="the seg label maps of P1 are empty: add people"):
        label_targets(monkeypatch, [{1}, set(), {1}], ("0", "2"), ("1", "2"))


def test_labels_are_those_on_the_grid_of_the_network(prepared_heads, heads, tiny, tmp_path):
    assert labels_of(prepared_heads) == {f"P{number}": frozenset({1, 2}) for number in range(1, 9)}
    record = read_manifest(heads).records[0]
    negative = save(tmp_path / "seg.nii.gz", np.full((24, 28, 20), -3, np.int16))
    manifest = Manifest(tmp_path, (Record("P1", record.images, labels=negative, root=heads),))
    people = prepare(manifest, tiny.volume, folder=tmp_path / "cache", unpaired=True, progress=False)
    with pytest.raises(ValueError, match=r"seg\.nii\.gz holds negative labels: renumber them"):
        labels_of(people)


def test_a_target_survives_json_and_finds_the_places_of_its_labels():
    target = Target("segmentation", "seg", (0, 3, 40), ("background", "a", "b"), {"a": (3,), "all": (3, 40)})
    assert Target.from_dict(json.loads(json.dumps(target.to_dict()))) == target
    labels = torch.tensor([0, 3, 40, 2, 39, 41, -1], dtype=torch.int16)
    assert target.class_index(labels).tolist() == [0, 1, 2, 0, 0, 0, 0]
    age = Target("regression", "age", names=("age",), center=1.5)
    assert Target.from_dict(json.loads(json.dumps(age.to_dict()))) == age


def test_a_task_may_be_of_some_people_only():
    rows = {"P1": {"Sex": "F", "site": "a"}, "P2": {"Sex": "M", "site": "b"}, "P3": {"Sex": "M", "site": "c"}}
    some, _ = labeled(people(rows), TaskConfig("classification", target="sex", where={"Site": ("a", "c")}))
    assert names(some) == ["P1", "P3"]
    with pytest.raises(ValueError, match="no one in folder has site d or e: check --where"):
        labeled(people(rows), TaskConfig("classification", target="sex", where={"site": ("d", "e")}))
    with pytest.raises(ValueError, match="have no column 'sites': did you mean site"):
        labeled(people(rows), TaskConfig("classification", target="sex", where={"sites": ("a",)}))
