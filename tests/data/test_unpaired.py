"""People of whom no two images can be compared: one image of theirs in two poses, where that is asked for."""

import json
import shutil

import pytest
import torch
from image_maker import bids

from toposlearn import cli
from toposlearn.config import preset
from toposlearn.data import PairDataset, inspect_folder, prepare, read_manifest
from toposlearn.data.tensors import INTER, INTRA, drawable
from toposlearn.pretrain import pretrain
from toposlearn.settings import TRUTH

PAIR = ("T1w", "T2w")


@pytest.fixture
def folder(cohort, tmp_path):
    """Four people: one with T1w only, one with T2w only, two with both."""
    root = tmp_path / "data"
    for number in range(1, 5):
        for place in (f"sub-{number:03d}", f"{TRUTH}/sub-{number:03d}"):
            shutil.copytree(cohort / place, root / place)
    for subject, absent in (("sub-001", "T2w"), ("sub-002", "T1w")):
        (root / subject / "anat" / f"{subject}_{absent}.nii.gz").unlink()
    return root


@pytest.fixture
def config():
    return preset("smoke").replace(volume={"modalities": PAIR}, train={"unpaired": True, "steps": 2})


def test_they_are_left_out_unless_asked_for(folder, config, capsys):
    manifest = read_manifest(folder)
    assert len(prepare(manifest, config.volume, progress=False)) == 2
    assert "sub-001: left out because no two images can be compared: no T2w image" in capsys.readouterr().err
    cache = prepare(manifest, config.volume, unpaired=True, progress=False)
    assert capsys.readouterr().err.splitlines() == [
        "sub-001: used with one image at a time, because no two can be compared: no T2w image",
        "sub-002: used with one image at a time, because no two can be compared: no T1w image",
    ]
    assert [cache[index].pairs.diag().tolist() for index in range(4)] == [
        [INTRA, 0],
        [0, INTRA],
        [INTRA] * 2,
        [INTRA] * 2,
    ]
    assert len(cache.registered()) == 2


def test_their_image_is_drawn_twice_and_pairs_of_others_as_pairs(folder, config):
    cache = prepare(read_manifest(folder), config.volume, unpaired=True, progress=False)
    dataset = PairDataset(cache, config)
    drawn = {place: set() for place in range(4)}
    for step in range(60):
        for place, pair in zip(*dataset.draw(step)[1:3], strict=True):
            drawn[place].add(pair)
    assert drawn == {0: {(0, 0)}, 1: {(1, 1)}, 2: {(0, 1), (1, 0)}, 3: {(0, 1), (1, 0)}}
    batch = next(batch for step in range(60) if 0 in (batch := dataset[step])["subjects"])
    row = batch["subjects"].tolist().index(0)
    assert torch.equal(*batch["volumes"][row])
    assert not torch.equal(*batch["poses"][row])
    assert "registered" not in batch


@pytest.mark.parametrize("term", [INTER, INTRA])
def test_an_image_registered_with_no_other_is_drawn_alone(term):
    pairs = torch.tensor([[INTRA, INTER, INTRA], [INTER, INTRA, INTER], [INTRA, INTER, INTRA]])
    assert drawable(pairs, term, unpaired=True).nonzero().tolist() == [[0, 2], [1, 1], [2, 0]]
    assert drawable(pairs, term).sum() == (6 if term == INTER else 2)
    assert drawable(torch.zeros(2, 2), unpaired=True).sum() == 0


@pytest.mark.parametrize("matcher", ["mutual", "oracle"])
def test_a_network_learns_from_people_who_have_one_image_each(folder, config, matcher, tmp_path):
    for subject, absent in (("sub-003", "T2w"), ("sub-004", "T1w")):
        (folder / subject / "anat" / f"{subject}_{absent}.nii.gz").unlink()
    config = config.replace(loss={"matcher": matcher})
    with pytest.raises(ValueError, match="left out because no two images can be compared"):
        pretrain(config.replace(train={"unpaired": False}), folder, tmp_path / "without", progress=False)
    pretrain(config, folder, tmp_path / "run", progress=False)
    rows = list(map(json.loads, (tmp_path / "run/history.jsonl").read_text().splitlines()))
    assert len(rows) == 2
    assert all(row["intra"] > 0 and row["inter"] > 0 for row in rows)


def test_two_poses_are_needed():
    with pytest.raises(ValueError, match=r"train\.unpaired shows an image in two poses: set augment\.shared_pose"):
        preset("smoke").replace(train={"unpaired": True}, augment={"shared_pose": True})


def test_the_command_asks_which_modalities(folder, tmp_path, capsys):
    arguments = ["pretrain", "--preset", "smoke", "--steps", "1", "--data", str(folder), "--out", str(tmp_path / "run")]
    assert cli.execute([*arguments, "--unpaired"]) == 1
    assert capsys.readouterr().err.startswith("error: --unpaired needs --modalities: ")
    assert cli.execute([*arguments, "--unpaired", "--modalities", "T1w,T2w"]) == 0
    assert json.loads((tmp_path / "run/config.json").read_text())["train"]["unpaired"]


def test_an_inspection_names_them(tmp_path):
    root = bids(tmp_path, "sub-01", "sub-02", "sub-03")
    (root / "sub-03/anat/sub-03_T2w.nii.gz").unlink()
    lines = inspect_folder(root).page().splitlines()
    title = "no two images to compare, used by 'toposlearn pretrain --unpaired' only:"
    assert lines[lines.index(title) + 1].split() == ["sub-03", "T1w"]
