"""Where prepared people are kept: what the user says, the data set, or elsewhere; and how much room they may take."""

import errno
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from image_maker import bids

from toposlearn.config import VolumeConfig
from toposlearn.data import Manifest, places, prepare, read_manifest
from toposlearn.data.places import Hold

CONFIG = VolumeConfig(shape=(16, 16, 16), spacing=6.0, modalities=("T1w", "T2w"))
COARSE = VolumeConfig(shape=(16, 16, 16), spacing=7.0, modalities=("T1w", "T2w"))


@pytest.fixture
def root(tmp_path):
    return bids(tmp_path / "data")


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    for name in ("TOPOSLEARN_CACHE", "TOPOSLEARN_CACHE_GB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(places.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "home"))


def cache_of(root, config=CONFIG, **options):
    return prepare(read_manifest(root), config, progress=False, **options)


def refuse(monkeypatch, below, code=errno.EROFS):
    """Let every attempt to write below this folder fail."""
    make = tempfile.NamedTemporaryFile

    def temporary(*arguments, **options):
        if below in (Path(options["dir"]), *Path(options["dir"]).parents):
            raise OSError(code, os.strerror(code), str(options["dir"]))
        return make(*arguments, **options)

    monkeypatch.setattr(places.tempfile, "NamedTemporaryFile", temporary)


def test_the_place_is_the_argument_or_the_environment_or_the_data_set(root, tmp_path, monkeypatch):
    assert cache_of(root).folder.parent == root / "derivatives/toposlearn/cache"
    monkeypatch.setenv("TOPOSLEARN_CACHE", str(tmp_path / "all"))
    folder = cache_of(root).folder
    assert folder.parents[1] == tmp_path / "all"
    assert folder.parent.name.startswith("data-")
    assert cache_of(bids(tmp_path / "other" / "data")).folder.parent != folder.parent  # of the same name
    assert cache_of(root, folder=tmp_path / "here").folder.parent == tmp_path / "here"


def test_a_data_set_that_may_only_be_read_has_its_people_elsewhere(root, tmp_path, monkeypatch, capsys):
    refuse(monkeypatch, root)
    first = cache_of(root)
    assert first.folder.parents[1] == tmp_path / "home"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{root} may only be read: prepared people are kept in {tmp_path / 'home'} (choose another")
    refuse(monkeypatch, tmp_path / "home")
    assert cache_of(root).folder == first.folder  # everyone is there: nothing has to be written
    shutil.rmtree(tmp_path / "home")
    assert tempfile.gettempdir() in str(cache_of(root).folder)


def test_people_prepared_before_are_used_where_nothing_may_be_written(root, monkeypatch, capsys):
    before = cache_of(root).folder
    refuse(monkeypatch, root)
    assert cache_of(root).folder == before
    assert capsys.readouterr().err == ""


def test_a_place_that_was_chosen_and_cannot_be_written_is_one_line(root, tmp_path, monkeypatch):
    refuse(monkeypatch, tmp_path / "chosen")
    monkeypatch.setenv("TOPOSLEARN_CACHE", str(tmp_path / "chosen"))
    expected = r"cannot be written to .*chosen.* \(Read-only file system\): choose another place with --cache DIR"
    with pytest.raises(OSError, match=expected):
        cache_of(root)


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "no space is left"), (errno.EDQUOT, "the quota is used")])
@pytest.mark.parametrize("when", ["at first", "later"])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(root, tmp_path, monkeypatch, code, words, when):
    if when == "at first":
        refuse(monkeypatch, root, code)
    else:

        def full(path, data):
            path.write_text("half")
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=rf"{words}.*\): free some space, or choose another place") as caught:
        cache_of(root)
    assert "\n" not in str(caught.value)
    assert [path for path in (root / "derivatives").rglob("*") if path.is_file()] == []
    assert not (tmp_path / "home").exists()


def test_several_data_sets_keep_their_people_apart(tmp_path):
    roots = [bids(tmp_path / name) for name in ("A", "B")]
    records = [record for root in roots for record in read_manifest(root).records]
    named = [type(each)(each.subject, each.images, root=each.root, data_set=each.root.name) for each in records]
    cache = prepare(Manifest(roots[0], tuple(named)), CONFIG, progress=False, report=False)
    assert [record.name for record in cache.manifest.records] == ["A_sub-01", "A_sub-02"]  # B holds the same images
    for root in roots:
        assert {path.name for path in root.rglob("*.safetensors")} == {"sub-01.safetensors", "sub-02.safetensors"}
    assert cache_of(roots[1])[0].subject == "sub-01"


def age(folder, days):
    then = time.time() - 86400 * days
    os.utime(folder, (then, then))


def test_the_least_recently_used_settings_are_removed_when_room_is_short(root, monkeypatch):
    old = cache_of(root).folder
    (old / "notes.txt").write_text("mine")
    foreign = old.parent / "0123456789ab"
    foreign.mkdir()
    (foreign / "data.csv").write_text("not ours")
    age(old, 3)
    monkeypatch.setenv("TOPOSLEARN_CACHE_GB", "0")
    new = cache_of(root, COARSE).folder
    assert {path.name for path in old.iterdir()} == {"notes.txt"}
    assert (foreign / "data.csv").exists()
    assert len(list(new.glob("*.safetensors"))) == 2
    assert cache_of(root, COARSE).folder == new


def test_enough_room_removes_nothing(root):
    old = cache_of(root).folder
    cache_of(root, COARSE)
    assert len(list(old.glob("*.safetensors"))) == 2


def test_people_who_are_in_use_are_not_removed(root, monkeypatch):
    cache = cache_of(root)
    monkeypatch.setenv("TOPOSLEARN_CACHE_GB", "0")
    cache_of(root, COARSE)
    assert cache[0].volumes.any()
    hold = Hold(cache.folder)
    folder = cache.folder
    del cache
    cache_of(root, VolumeConfig(shape=(16, 16, 16), spacing=8.0, modalities=("T1w", "T2w")))
    assert hold.held
    assert folder.exists()


@pytest.mark.parametrize("text", ["much", "-1", "nan"])
def test_a_limit_that_is_no_number_is_refused(root, monkeypatch, text):
    monkeypatch.setenv("TOPOSLEARN_CACHE_GB", text)
    with pytest.raises(ValueError, match="TOPOSLEARN_CACHE_GB must be a number of gigabytes"):
        cache_of(root)


def test_the_home_of_the_user_may_be_written_as_a_sign(root, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert next(places.places(root, "settings", "~/kept")).base == tmp_path / "kept"
    monkeypatch.setenv("TOPOSLEARN_CACHE", "~/kept")
    assert next(places.places(root, "settings")).base == tmp_path / "kept"
