"""Batches are functions of seed and step alone: as ever, with workers or none, for one process or several."""

import hashlib
import os
import pickle
from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader

from toposlearn.config import TacoConfig
from toposlearn.data import PairDataset
from toposlearn.data.batches import load_batches
from toposlearn.data.pairs import _Known
from toposlearn.data.prepared import Prepared
from toposlearn.data.tensors import INTER, INTRA

SIDE = (8, 8, 8)
EXACT = ("volumes", "foreground", "subjects", "modalities", "registered", "to_template")
RECORDED = {  # case -> digest of 20 batches, sum of their poses and motions: as drawn when everyone was in memory
    "plain": ("9d88a2c649294a74", 4128.321),
    "mixed": ("95639d657fa768d7", 4035.8386),
    "shared": ("58a8958a68be4b04", 5886.9181),
    "oracle": ("f672f99dc8fcec47", 4128.321),
    "intra": ("fe4cfa1208bb38c5", 3992.6811),
    "moved": ("9d88a2c649294a74", 6066.5206),
}
CHANGES = {
    "plain": {},
    "mixed": {},
    "shared": {"augment": {"shared_pose": True}, "train": {"seed": 3, "subjects_per_step": 3}},
    "oracle": {"loss": {"matcher": "oracle"}},
    "intra": {"loss": {"weight_inter": 0.0}},
    "moved": {"augment": {"misregister_shift": 20.0}},
}


def person(number: int, mixed: bool) -> Prepared:
    """Made-up tensors; of the mixed, one has an image elsewhere, one lacks an image, one has nothing to compare."""
    draw = torch.Generator().manual_seed(number)
    pairs = torch.full((4, 4), INTRA, dtype=torch.uint8) if mixed else None
    if pairs is not None and number in (1, 2, 3):
        place, value = {1: (1, INTER), 2: (3, 0), 3: (slice(None), 0)}[number]
        pairs[place] = pairs[:, place] = value
    volumes = torch.randint(0, 1024, (4, *SIDE), generator=draw).div(1024)
    foreground, own = torch.rand(SIDE, generator=draw) > 0.4, None
    if mixed and number == 1:
        own = torch.rand((4, *SIDE), generator=draw) > 0.4
        foreground = own[0]
    place = torch.randint(0, 99, (3, *SIDE), generator=draw).float()
    return Prepared(f"s{number}", volumes, foreground, to_template=place, pairs=pairs, foregrounds=own)


@pytest.mark.parametrize("case", RECORDED)
def test_batches_are_those_that_were_always_drawn(smoke, case):
    people = [person(number, case in ("mixed", "intra")) for number in range(5)]
    dataset = PairDataset(people, smoke.replace(**CHANGES[case]))
    digest, moved = hashlib.sha256(), 0.0
    for step in range(20):
        batch = dataset[step]
        for name in [name for name in EXACT if name in batch]:
            digest.update(name.encode() + batch[name].contiguous().numpy().tobytes())
        moved += float(batch["poses"].double().abs().sum() + batch["motions"].double().abs().sum())
    expected, sum_of_moves = RECORDED[case]
    assert digest.hexdigest()[:16] == expected
    assert moved == pytest.approx(sum_of_moves, abs=1e-2)


def test_a_cache_gives_what_its_people_in_memory_give(subjects, smoke):
    inside = PairDataset([subjects[index] for index in range(6)], smoke)
    read = PairDataset(subjects, smoke)
    for step in range(4):
        assert same(read[step], inside[step])
    assert len(pickle.dumps(read)) < 50_000  # no images


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_give_the_same_batches_in_order(subjects, smoke, context):
    alone = PairDataset(subjects, smoke)
    settings = {"num_workers": 2, "prefetch_factor": 1, "multiprocessing_context": context}
    if context == "fork":
        ahead = load_batches(PairDataset(subjects, smoke.replace(train={"workers": 2})), range(3, 7))
    else:
        ahead = DataLoader(alone, batch_size=None, sampler=range(3, 7), **settings)
    batches = list(ahead)
    assert len(batches) == 4
    assert all(same(batch, alone[step]) for step, batch in enumerate(batches, 3))


class Failing(PairDataset):
    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        if self.killed:
            os._exit(1)
        raise ValueError("sub-01.safetensors was damaged")


@pytest.mark.parametrize("killed", [False, True])
def test_a_worker_that_fails_is_one_line(subjects, smoke, killed):
    dataset = Failing(subjects, smoke.replace(train={"workers": 1}))
    dataset.killed = killed
    reason = "exited unexpectedly" if killed else "sub-01.safetensors was damaged"
    with pytest.raises(RuntimeError, match=f"a worker that prepares batches failed: .*{reason}") as caught:
        next(load_batches(dataset, range(3)))
    assert "\n" not in str(caught.value)


def test_where_batches_are_prepared_makes_no_other_run(smoke):
    assert smoke.replace(train={"workers": 2, "prefetch": 4}) == smoke
    assert TacoConfig.from_dict(smoke.replace(train={"workers": 2}).to_dict()).train.workers == 2
    with pytest.raises(ValueError, match=r"train.prefetch must be >= 1"):
        smoke.replace(train={"prefetch": 0})


def dataset_of(known, config, monkeypatch, **options) -> PairDataset:
    """A data set of people of whom only this is known."""
    monkeypatch.setattr("toposlearn.data.pairs._known", lambda _: known)
    monkeypatch.setattr(PairDataset, "_read", lambda self, place, pair: person(place, False).take(pair))
    return PairDataset([], config, **options)


def known(*counts: int, sessions: int = 1) -> list[_Known]:
    """This many people of each data set."""
    people = [(f"set{number}", f"s{i}") for number, count in enumerate(counts) for i in range(count)]
    return [_Known(each, None, False) for each in people for _ in range(sessions)]


def test_two_processes_together_take_the_people_of_one(smoke, monkeypatch):
    """Exactly: what one process with twice as many people per step takes, and nobody twice in a step."""
    people = known(7)
    whole = dataset_of(people, smoke.replace(train={"subjects_per_step": 4}), monkeypatch)
    parts = [dataset_of(people, smoke, monkeypatch, process=number, process_count=2) for number in (0, 1)]
    for step in range(40):
        both = torch.cat([part[step]["subjects"] for part in parts])
        assert torch.equal(both, whole[step]["subjects"])
        assert len(both.unique()) == 4
    poses = [part[0]["poses"] for part in parts]
    assert not torch.equal(*poses)


def test_too_few_people_for_all_processes_are_refused(smoke, monkeypatch):
    with pytest.raises(ValueError, match=r"3 people to train on, but .* is 2 in each of 2 processes"):
        dataset_of(known(3), smoke, monkeypatch, process_count=2)


@pytest.mark.parametrize(("counts", "size"), [((40, 8), 2), ((40, 8, 3), 3), ((30, 5), 4)])
def test_data_sets_take_turns_whatever_their_size(smoke, monkeypatch, counts, size):
    people = known(*counts)
    dataset = dataset_of(people, smoke.replace(train={"subjects_per_step": size}), monkeypatch)
    drawn = Counter()
    for step in range(30):
        sets = [people[number].person[0] for number in dataset[step]["subjects"].tolist()]
        assert max(Counter(sets).values()) - min(Counter(sets).get(f"set{i}", 0) for i in range(len(counts))) <= 1
        drawn.update(sets)
    assert max(drawn.values()) - min(drawn.values()) <= 30 * (size % len(counts) > 0)


def test_sessions_of_one_person_are_one_person(smoke, monkeypatch):
    people = known(3, sessions=4)
    dataset = dataset_of(people, smoke, monkeypatch)
    read = []
    monkeypatch.setattr(PairDataset, "_read", lambda self, place, pair: read.append(place) or person(place, False))
    for step in range(40):
        batch = dataset[step]
        numbers = batch["subjects"].tolist()
        assert len(set(numbers)) == 2
        assert [place // 4 for place in read[-2:]] == numbers
    assert set(read) == set(range(12))
