"""No subject is in two splits, and no seed of an anatomy."""

from pathlib import Path

import pytest

from toposlearn.cohort.traits import draw_traits
from toposlearn.data import Manifest, Record, split_subjects
from toposlearn.downstream.splits import check_splits, identity


def simulated(anatomy, seed, count, root="data"):
    subjects = [draw_traits(number, seed=seed, anatomy=anatomy) for number in range(count)]
    records = [Record(subject.participant_id, {}, info={"anatomy": anatomy, "seed": str(seed)}) for subject in subjects]
    return Manifest(Path(root), tuple(records))


def test_the_shipped_evaluation_shares_no_subject():
    train, held_out = split_subjects(simulated("A", 0, 64))
    parts = {"train": train, "held-out": held_out, "test A": simulated("A", 300, 32), "test B": simulated("B", 400, 32)}
    check_splits(parts)
    names = [identity(record, manifest) for manifest in parts.values() for record in manifest.records]
    assert len(names) == len(set(names)) == 64 + 32 + 32


def test_the_same_draw_in_another_folder_is_found():
    with pytest.raises(ValueError, match="sub-001 is in both train and test"):
        check_splits({"train": simulated("A", 0, 4, "one"), "test": simulated("A", 0, 2, "two")})


def test_same_number_from_another_seed_or_anatomy_is_another_person():
    parts = {"a": simulated("A", 0, 4), "b": simulated("A", 1, 4), "c": simulated("B", 0, 4)}
    check_splits(parts)
    assert len({identity(record, manifest) for manifest in parts.values() for record in manifest.records}) == 12


def test_real_people_are_identified_by_their_folder():
    record = Record("sub-01", {})
    check_splits({"train": Manifest(Path("one"), (record,)), "test": Manifest(Path("two"), (record,))})
    with pytest.raises(ValueError, match="is in both"):
        check_splits({"train": Manifest(Path("one"), (record,)), "test": Manifest(Path("one"), (record,))})
