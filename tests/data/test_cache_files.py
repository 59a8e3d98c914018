"""When a prepared person is made anew, and when not: by the content of the files, whatever their times say."""

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from image_maker import bids, head, save

from toposlearn.config import VolumeConfig
from toposlearn.data import Manifest, prepare, preparing, read_manifest
from toposlearn.data.cache import stem_of
from toposlearn.data.images import BadImageError
from toposlearn.data.manifest import Record

CONFIG = VolumeConfig(shape=(16, 16, 16), spacing=6.0, modalities=("T1w", "T2w"))


@pytest.fixture
def root(tmp_path):
    return bids(tmp_path / "data")


@pytest.fixture
def made(monkeypatch):
    """Names of the people that were preprocessed."""
    names, prepare_one = [], preparing._prepare_one

    def counting(record, *others):
        names.append(record.name)
        return prepare_one(record, *others)

    monkeypatch.setattr(preparing, "_prepare_one", counting)
    return names


def cache_of(root, **options):
    return prepare(read_manifest(root), CONFIG, progress=False, **options)


def image(root, modality="T2w", subject="sub-02"):
    return root / subject / "anat" / f"{subject}_{modality}.nii.gz"


def older(root, seed=77):
    """Another image with an old date, copied over the first."""
    source = save(root.parent / "archive.nii.gz", head(seed))
    os.utime(source, (time.time() - 1e6,) * 2)
    shutil.copy2(source, image(root))


def same_bytes_touched(root):
    os.utime(image(root))


def same_bytes_copied(root):
    shutil.copy2(image(root), root.parent / "kept.nii.gz")
    image(root).unlink()
    shutil.copy(root.parent / "kept.nii.gz", image(root))


def same_size_other_bytes(root):
    data = bytearray(image(root).read_bytes())
    data[6] ^= 1  # a byte of the time in the header of gzip
    image(root).write_bytes(data)


def moved_data_set(root):
    shutil.copytree(root, root.parent / "copy", copy_function=shutil.copy)
    shutil.rmtree(root)
    (root.parent / "copy").rename(root)


CHANGES = {
    "nothing": (lambda root: None, []),
    "an older file copied over": (older, ["sub-02"]),
    "touched": (same_bytes_touched, []),
    "the same bytes copied again": (same_bytes_copied, []),
    "one other byte, same size": (same_size_other_bytes, ["sub-02"]),
    "the data set copied with its cache": (moved_data_set, []),
    "an image gone": (lambda root: image(root, "T1w", "sub-01").unlink(), ["sub-01"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_person_is_made_anew_when_the_content_of_a_file_has_changed(root, made, change):
    alter, expected = CHANGES[change]
    cache_of(root)
    made.clear()
    alter(root)
    cache = cache_of(root)
    assert made == expected
    made.clear()
    cache_of(root)
    assert made == []
    fresh = cache_of(root, folder=root.parent / "fresh")
    assert all(torch.equal(cache[i].volumes, fresh[i].volumes) for i in range(len(fresh)))


def test_new_times_of_the_same_content_are_kept_so_that_it_is_read_once(root, monkeypatch):
    cache_of(root)
    same_bytes_touched(root)
    cache_of(root)
    monkeypatch.setattr("toposlearn.data.stamps._hash", lambda path: pytest.fail("read again"))
    cache_of(root)


DAMAGE = {
    "cut": lambda data: data[:300],
    "empty": lambda data: b"",
    "something else": lambda data: b"no tensors" * 100,
    "one byte missing": lambda data: data[:-1],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_of_the_cache_is_made_anew(root, made, damage):
    cache = cache_of(root)
    expected, file = cache[1].volumes, cache.folder / "sub-02.safetensors"
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    made.clear()
    assert torch.equal(cache_of(root)[1].volumes, expected)
    assert made == ["sub-02"]


def test_a_file_that_belongs_to_someone_else_is_made_anew(root, made):
    cache = cache_of(root)
    shutil.copy(cache.folder / "sub-01.safetensors", cache.folder / "sub-02.safetensors")
    made.clear()
    assert not torch.equal(*(cache_of(root)[i].volumes for i in (0, 1)))
    assert made == ["sub-02"]


@pytest.mark.parametrize("damage", [*DAMAGE, "gone"])
def test_the_index_is_not_needed(root, made, damage):
    index = cache_of(root).folder / "index.json"
    index.unlink() if damage == "gone" else index.write_bytes(DAMAGE[damage](index.read_bytes()))
    made.clear()
    assert len(cache_of(root)) == 2
    assert made == []


def test_nobody_is_opened_who_is_in_the_index(root, monkeypatch):
    cache_of(root)
    monkeypatch.setattr("toposlearn.data.cache.safe_open", lambda *_: pytest.fail("opened"))
    assert len(cache_of(root).registered()) == 2


def test_a_link_that_leads_nowhere_is_named_and_never_used_from_the_cache(root, capsys):
    bids(root, "sub-01", "sub-02", "sub-03", modalities=("T1w", "T2w"))
    assert len(cache_of(root)) == 3
    capsys.readouterr()
    image(root).unlink()
    image(root).symlink_to("../../.git/annex/objects/gone.nii.gz")
    for _ in range(2):
        cache = cache_of(root)
        assert [record.subject for record in cache.manifest.records] == ["sub-01", "sub-03"]
        (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("sub-02")]
        assert line.startswith("sub-02: left out because no two images can be compared: ")
        assert str(image(root)) in line


def test_two_choices_of_files_of_one_person_do_not_replace_each_other(root):
    records = read_manifest(root).records
    other = save(root / "other" / "again_T1w.nii.gz", head(50))
    first = cache_of(root)
    again = [Record(each.subject, {**each.images, "T1w": other}, root=root) for each in records[:1]]
    second = prepare(Manifest(root, tuple(again)), CONFIG, progress=False)
    assert second.folder == first.folder
    assert not torch.equal(first[0].volumes, second[0].volumes)
    assert torch.equal(cache_of(root)[0].volumes, first[0].volumes)


def test_a_task_with_labels_does_not_replace_what_a_run_without_them_reads(root, made):
    """Pre-training and fine-tuning use one folder: what one of them prepares, the other may be reading."""
    manifest = read_manifest(root)
    labels = {record.name: save(root.parent / f"{record.name}.nii.gz", (head(1) > 0.5).astype(np.uint8)) for record in manifest.records}
    tasks = [replace(record, labels=labels[record.name]) for record in manifest.records]
    plain = prepare(manifest, CONFIG, progress=False)
    labeled = prepare(replace(manifest, records=tuple(tasks)), CONFIG, progress=False)
    assert plain[0].labels is None
    assert labeled[0].labels is not None
    made.clear()
    prepare(manifest, CONFIG, progress=False)
    prepare(replace(manifest, records=tuple(tasks)), CONFIG, progress=False)
    assert made == []


def test_labels_that_do_not_fit_are_one_line(root, capsys):
    manifest = read_manifest(root)
    large = save(root.parent / "large.nii.gz", np.full(head(1).shape, 70_000, np.int32))
    records = [replace(record, labels=large) for record in manifest.records[:1]] + list(manifest.records[1:])
    kept = prepare(replace(manifest, records=tuple(records)), CONFIG, progress=False)
    assert len(kept) == len(manifest) - 1
    assert "large.nii.gz holds the label 70000, but labels up to 32767 can be used" in capsys.readouterr().err


def test_a_file_that_goes_while_it_is_in_use_is_one_line(root):
    cache = cache_of(root)
    (cache.folder / "sub-02.safetensors").unlink()
    with pytest.raises(ValueError, match=r"sub-02.safetensors was damaged or removed while it was in use: start again"):
        cache[1]


def test_two_at_once_make_what_one_makes(root):
    expected = cache_of(root, folder=root.parent / "alone")
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: len(cache_of(root, report=False)), range(2)))
    assert both == [2, 2]
    cache = cache_of(root)
    assert all(torch.equal(cache[i].volumes, expected[i].volumes) for i in (0, 1))
    left = {path.name for path in cache.folder.iterdir()}
    assert left == {"sub-01.safetensors", "sub-02.safetensors", "index.json", "verdicts.json"}


NAMES = ["sub-01", "Ärztin 7", "a/b", "..", "x" * 300, "SUB-01", "con trol\n", "-rf", ".hidden"]


def test_names_of_files_are_safe_and_differ():
    stems = [stem_of(Record(name, {})) for name in NAMES] + [stem_of(Record("a", {}, session="1"))]
    assert stems[0] == "sub-01"
    assert len({stem.lower() for stem in stems}) == len(stems)
    assert all(stem.isascii() and len(stem) < 100 and "/" not in stem and stem[0] != "." for stem in stems)


def test_a_person_under_two_names_is_left_out_and_both_are_named(root, capsys):
    for modality in ("T1w", "T2w"):
        target = image(root, modality, "sub-03")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image(root, modality, "sub-01"), target)
    assert [record.subject for record in cache_of(root).manifest.records] == ["sub-01", "sub-02"]
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("sub-03")]
    assert line.startswith("sub-03: left out, a person under two names: ")
    assert "holds the same image as sub-01 has" in line
    assert set(cache_of(root).fingerprints()) == {"sub-01", "sub-02"}


def test_two_sessions_of_one_person_may_hold_the_same_image(root):
    records = read_manifest(root).records
    twice = [Record("sub-01", records[0].images, root=root, session=session) for session in ("1", "2")]
    assert len(prepare(Manifest(root, tuple(twice)), CONFIG, progress=False)) == 2


@pytest.mark.parametrize(("modality", "usable"), [("T2w", ["sub-01", "sub-03"]), ("", ["sub-01", "sub-03"])])
def test_an_image_that_fails_on_the_way_leaves_the_others(root, capsys, monkeypatch, modality, usable):
    bids(root, "sub-01", "sub-02", "sub-03")
    make, bad = preparing.make_tensors.__globals__["volume_transforms"], image(root)

    def failing(*arguments, **options):
        def transforms(files):
            if bad in files.values():
                raise BadImageError(f"{bad} shows nothing" if modality else "something is wrong")
            return make(*arguments, **options)(files)

        return transforms

    monkeypatch.setattr("toposlearn.data.tensors.volume_transforms", failing)
    assert [record.subject for record in cache_of(root).manifest.records] == usable
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("sub-02")]
    assert line.startswith("sub-02: left out")
    assert (f"T2w is left out: {bad} shows nothing" in line) == bool(modality)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, 1.5, -0.5])
def test_values_outside_their_range_are_never_trained_on(root, capsys, monkeypatch, wrong):
    make = preparing.make_tensors.__globals__["volume_transforms"]

    def spoiled(*arguments, **options):
        def transforms(files):
            data = make(*arguments, **options)(files)
            if image(root) in files.values():
                data["T2w"][0, 8, 8, 8] = wrong
            return data

        return transforms

    monkeypatch.setattr("toposlearn.data.tensors.volume_transforms", spoiled)
    assert [record.subject for record in cache_of(root).manifest.records] == ["sub-01"]
    assert f"{image(root)} gives values outside 0 to 1" in capsys.readouterr().err


def test_findings_of_everyone_are_kept_when_one_is_made_anew(root):
    older(root)
    cache = cache_of(root)
    (cache.folder / "verdicts.json").unlink()
    save(image(root), head(5))
    assert set(json.loads((cache_of(root).folder / "verdicts.json").read_text())) == {"sub-01", "sub-02"}


def test_only_what_is_asked_for_is_read(root):
    cache = cache_of(root)
    whole, part = cache[0], cache.take(0, (1,), ())
    assert torch.equal(part.volumes, whole.volumes[[1]])
    assert part.labels is None
    assert part.pairs.shape == (1, 1)
    assert np.shares_memory(part.volumes.numpy(), whole.volumes.numpy()) is False
