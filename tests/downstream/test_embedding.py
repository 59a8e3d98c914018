"""Embedding of scans: every scan by itself, in its own millimeters; a bad one is named and stops no other."""

import csv
import json

import numpy as np
import pytest
import torch
from image_maker import AFFINE, SHAPE, bids, head, save

from toposlearn.data import Source, prepare, read_manifest
from toposlearn.downstream import embedding
from toposlearn.downstream.embedding import embed_people, embed_scan, token_affine
from toposlearn.models import Taco


@pytest.fixture(scope="module")
def config(smoke):
    return smoke.replace(volume={"modalities": ("T1w", "T2w"), "spacing": 3.0})  # the heads are small


@pytest.fixture(scope="module")
def model(config):
    torch.manual_seed(1)
    return Taco(config.model).eval()


@pytest.fixture
def embed(model, config, tmp_path):
    """Embed a data folder; returns the folder of results."""

    def run(data, name="out", **options):
        out = tmp_path / name
        embed_people(read_manifest(Source.of_options(data, "all")), model, config, out, progress=False, **options)
        return out

    return run


def table(out):
    with (out / "vectors.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def vector(row):
    return np.array([float(value) for name, value in row.items() if name[0] == "f"], np.float32)


def index(out):
    return json.loads((out / "embedding.json").read_text())


@torch.no_grad()
def test_the_files_hold_what_the_network_computes(embed, model, config, tmp_path):
    data = bids(tmp_path / "data")
    out = embed(data, weights="W")
    rows = table(out)
    scans = [(row["name"], row["modality"]) for row in rows]
    assert scans == [("sub-01", "T1w"), ("sub-02", "T1w"), ("sub-01", "T2w"), ("sub-02", "T2w")]
    assert sorted(path.stem for path in (out / "tokens").iterdir()) == sorted("_".join(scan) for scan in scans)
    alone = config.replace(volume={"modalities": ("T2w",)}).volume
    scan = prepare(read_manifest(data), alone, progress=False)[1]
    output = model(scan.volumes[None], scan.foreground[None, None])
    expected = [output.tokens[stride][0][output.masks[stride][0]].mean(0) for stride in (4, 8)]
    stored = np.load(out / "tokens" / "sub-02_T2w.npz")
    np.testing.assert_allclose(stored["vector"], torch.cat(expected), atol=1e-6)
    assert np.array_equal(vector(rows[3]), stored["vector"])  # nothing is lost in text
    for stride in (4, 8):
        side = 32 // stride
        tokens = stored[f"tokens_{stride}"]
        assert (tokens.shape, tokens.dtype) == ((side, side, side, 48), np.float16)
        np.testing.assert_allclose(tokens.reshape(-1, 48), output.tokens[stride][0], atol=1e-2)
        assert np.array_equal(stored[f"mask_{stride}"].ravel(), output.masks[stride][0])
        np.testing.assert_allclose(stored[f"affine_{stride}"], token_affine(scan.affine.numpy(), stride))


def test_the_index_says_what_the_columns_are(embed, tmp_path):
    found = index(embed(bids(tmp_path / "data"), weights="W"))
    assert (found["weights"], found["preset"]) == ("W", "smoke")
    assert found["levels"] == [
        {"stride": 4, "mm": 12.0, "columns": ["f0", "f47"]},
        {"stride": 8, "mm": 24.0, "columns": ["f48", "f95"]},
    ]
    assert found["scans"] == {"T1w": 2, "T2w": 2}
    assert found["left out"] == {}


def test_a_token_lies_amid_its_voxels():
    affine = np.array([[0.0, 2, 0, 5], [3, 0, 0, -7], [0, 0, -4, 1], [0, 0, 0, 1]])
    voxels = np.stack(np.indices((4, 4, 4)), -1).reshape(-1, 3) + 4 * np.array([2, 0, 1])
    center = (voxels @ affine[:3, :3].T + affine[:3, 3]).mean(0)
    assert np.allclose(token_affine(affine, 4) @ [2, 0, 1, 1], [*center, 1])


@pytest.mark.parametrize("axes", ["RAS", "LIA"])
def test_tokens_lie_where_the_head_is_in_the_file(model, config, tmp_path, axes):
    """An ellipsoid, moved: its foreground tokens lie within it, in mm of the file, whatever the axes of the file."""
    moved = AFFINE.copy()
    moved[:3, 3] += (40, -25, 10)
    save(tmp_path / "sub-01/anat/sub-01_T1w.nii.gz", head(), moved, axes=axes)
    fine = config.replace(volume={"spacing": 1.5, "shape": (64, 64, 64)})
    embed_people(read_manifest(tmp_path), model, fine, tmp_path / "out", progress=False)
    stored = np.load(tmp_path / "out/tokens/sub-01_T1w.npz")
    indices = np.stack(np.indices(stored["mask_4"].shape), -1)
    place = indices @ stored["affine_4"][:3, :3].T + stored["affine_4"][:3, 3]  # (d, h, w, 3) mm
    half_axes = 3 * np.array(SHAPE) / 2
    radius = (((place - (40, -25, 10)) / half_axes) ** 2).sum(-1) / 0.6  # 1 on the surface
    inside = stored["mask_4"]
    assert inside[radius < 0.7].all()
    assert not inside[radius > 1.4].any()
    assert (radius < 0.7).sum() > 50
    assert np.abs(place[inside].mean(0) - (40, -25, 10)).max() < 1


def test_a_scan_s_embedding_does_not_depend_on_the_person_s_others(embed, tmp_path):
    both = embed(bids(tmp_path / "both", "sub-01", "sub-02"), "a")
    alone = embed(bids(tmp_path / "alone", "sub-01", modalities=("T1w",)), "b")
    assert np.array_equal(vector(table(both)[0]), vector(table(alone)[0]))


def test_a_bad_scan_is_named_and_stops_no_other(embed, tmp_path, capsys):
    data = bids(tmp_path / "data", "sub-01", "sub-02", "sub-03")
    (data / "sub-02/anat/sub-02_T1w.nii.gz").write_bytes(b"no image")
    (data / "sub-01/anat/sub-01_T2w.nii.gz").unlink()
    out = embed(data)
    found = [(row["name"], row["modality"]) for row in table(out)]
    assert found == [("sub-01", "T1w"), ("sub-03", "T1w"), ("sub-02", "T2w"), ("sub-03", "T2w")]
    (name, reason), *others = index(out)["left out"].items()
    assert (name, others) == ("sub-02_T1w", [])
    assert "sub-02_T1w.nii.gz is text, not an image" in reason
    assert "no two images" not in reason
    assert capsys.readouterr().err.startswith(f"sub-02_T1w is left out: {reason}")


def test_a_modality_without_any_usable_image_leaves_the_other(embed, tmp_path):
    data = bids(tmp_path / "data")
    for name in ("sub-01", "sub-02"):
        (data / name / "anat" / f"{name}_T1w.nii.gz").write_bytes(b"no image")
    out = embed(data)
    assert [row["modality"] for row in table(out)] == ["T2w", "T2w"]
    assert list(index(out)["left out"]) == ["sub-01_T1w", "sub-02_T1w"]


def test_a_scan_under_two_names_is_embedded_once(embed, tmp_path):
    data = bids(tmp_path / "data", "sub-01", modalities=("T1w",))
    save(data / "sub-02/anat/sub-02_T1w.nii.gz", head(0))
    out = embed(data)
    assert [row["name"] for row in table(out)] == ["sub-01"]
    assert index(out)["left out"] == {"sub-02_T1w": "it holds the same image as a scan of another person"}


def test_a_scan_that_the_network_cannot_embed_is_named(embed, tmp_path, monkeypatch):
    def embedded(model, volume, foreground, affine):
        if calls.append(1) or len(calls) == 2:
            raise ValueError("the head is too small")
        return embed_scan(model, volume, foreground, affine)

    calls = []
    monkeypatch.setattr(embedding, "embed_scan", embedded)
    out = embed(bids(tmp_path / "data", modalities=("T1w",)))
    assert [row["name"] for row in table(out)] == ["sub-01"]
    assert index(out)["left out"] == {"sub-02_T1w": "the head is too small"}


def test_a_vector_of_nothing_and_features_that_are_not_finite_are_refused(model):
    volume, affine = torch.rand(32, 32, 32), torch.eye(4)
    small = torch.zeros(32, 32, 32, dtype=torch.bool)
    small[:4, :4, :4] = True  # a token of stride 4, none of stride 8
    with pytest.raises(ValueError, match="no token of 8 voxels lies in the head by half"):
        embed_scan(model, volume, small, affine)
    with pytest.raises(ValueError, match="features that are not finite"):
        embed_scan(model, torch.full_like(volume, torch.nan), torch.ones_like(small), affine)


def test_every_session_has_its_row(embed, tmp_path):
    for number, session in enumerate(("1", "2")):
        path = tmp_path / f"data/sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.nii.gz"
        save(path, head(number))
    rows = table(embed(tmp_path / "data"))
    assert [(row["subject"], row["session"]) for row in rows] == [("sub-01", "ses-1"), ("sub-01", "ses-2")]
    assert len({row["name"] for row in rows}) == 2


def test_people_of_several_data_sets_are_kept_apart_and_a_bad_one_is_found(embed, tmp_path):
    folders = [bids(tmp_path / name, "sub-01", "sub-02", modalities=("T1w",)) for name in ("berlin", "paris")]
    save(folders[1] / "sub-01/anat/sub-01_T1w.nii.gz", head(77))
    (folders[1] / "sub-02/anat/sub-02_T1w.nii.gz").write_bytes(b"no image")
    out = embed(folders)
    assert [row["name"] for row in table(out)] == ["berlin_sub-01", "berlin_sub-02", "paris_sub-01"]
    (reason,) = index(out)["left out"].values()
    assert "is text, not an image" in reason


def test_where_no_scan_can_be_used_no_result_is_left(embed, tmp_path):
    data = bids(tmp_path / "data", "sub-01", modalities=("T1w",))
    out = embed(data)
    (data / "sub-01/anat/sub-01_T1w.nii.gz").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"no scan of .*data can be used: .*is text, not an image"):
        embed(data)
    assert not (out / "embedding.json").exists()


def test_an_interruption_leaves_nothing_half_written(embed, tmp_path, monkeypatch):
    written = []

    def interrupted(path, **arrays):
        with open(path, "wb") as file:
            file.write(b"half")
        if written.append(path) or len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embed(bids(tmp_path / "data"))
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["sub-01_T1w.npz"]


def test_other_modalities_are_embedded_when_asked_for_or_when_there_are_no_others(embed, tmp_path):
    data = bids(tmp_path / "data", "sub-01", modalities=("T1w", "FLAIR"))
    assert [row["modality"] for row in table(embed(data, "a"))] == ["T1w"]
    assert [row["modality"] for row in table(embed(data, "b", modalities=("FLAIR",)))] == ["FLAIR"]
    other = bids(tmp_path / "other", "sub-01", modalities=("FLAIR",))
    assert [row["modality"] for row in table(embed(other, "c"))] == ["FLAIR"]
    with pytest.raises(ValueError, match=r"no person of .* has PDw images: there are FLAIR, T1w"):
        embed(data, modalities=("PDw",))


def test_the_linear_probe_of_fomo_finds_one_array_per_row_of_its_table(embed, tmp_path):
    data = bids(tmp_path / "data")
    (data / "participants.tsv").write_text("participant_id\tage\nsub-01\t20\nsub-02\t30\n")
    out = embed(data, layout="fomo")
    for modality in ("T1w", "T2w"):
        with (out / "fomo" / modality / "subjects.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["ptid"], row["age"]) for row in rows] == [("sub-01", "20"), ("sub-02", "30")]
        for row in rows:
            array = np.load(out / "fomo" / modality / f"{row['ptid']}.npy", allow_pickle=False)
            assert (array.dtype, array.shape) == (np.float32, (96,))
            stored = np.load(out / "tokens" / f"{row['ptid']}_{modality}.npz")["vector"]
            assert np.array_equal(array, stored)
    assert not (embed(data, "plain") / "fomo").exists()
    with pytest.raises(ValueError, match="layout must be one of plain, fomo, got 'other'"):
        embed(data, layout="other")
