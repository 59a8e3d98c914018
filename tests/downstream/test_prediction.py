"""Predictions of a person lie where they should, in the person's own grid and header, whatever the images there are."""

import csv
import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from labeled_heads import ball, center_of, images_at, labels_at, points_of, save, write_heads
from nibabel.affines import apply_affine, from_matvec
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from toposlearn.data import prepare, read_manifest
from toposlearn.downstream import judging, prediction
from toposlearn.downstream.judging import judge, judge_prior
from toposlearn.downstream.network_file import load_network, save_network
from toposlearn.downstream.networks import build_network
from toposlearn.downstream.prediction import predict, predictions
from toposlearn.downstream.settings import TaskConfig, finetune_config
from toposlearn.downstream.targets import Target, labeled
from toposlearn.models import Taco, save_weights

BALL = Target("segmentation", "seg", (0, 7), ("background", "ball"), {"ball": (7,)})
SHAPE = (130, 150, 31)
TURN = Rotation.from_euler("xyz", (8.0, -14.0, 25.0), degrees=True).as_matrix() @ np.diag([-1.0, 1.0, 4.0])
OBLIQUE = from_matvec(TURN, np.array([12.0, -30.0, 55.0]) - TURN @ ((np.array(SHAPE) - 1) / 2))  # far from the origin
SHIFT = np.array([12.0, -30.0, 55.0])  # mm, of the whole head
RADIUS = 20.0


class Knows(nn.Module):
    """A network that knows the answer: the ball is the brightest part of every image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, volumes: Tensor, present: Tensor) -> Tensor:
        count = present.sum(dim=1)[:, None, None, None]
        bright = (volumes * present[..., None, None, None]).sum(dim=1) / count  # (B, D, H, W)
        return torch.stack([torch.zeros_like(bright), 200 * (bright - 0.8)], dim=1)


@pytest.fixture
def knows(monkeypatch, tiny):
    """Put the network in the place of any file; on a grid of 4.5 mm, window by window."""
    config = finetune_config(tiny, TaskConfig(), spacing=4.5)
    monkeypatch.setattr(prediction, "load_network", lambda path: (Knows(), config, BALL))
    return config


@pytest.fixture(scope="module")
def oblique(tmp_path_factory) -> Path:
    """A person with scans of 1 x 1 x 4 mm: T1w, and T2w in a grid of its own, with a header of its own."""
    root = tmp_path_factory.mktemp("oblique")
    maps = images_at(1, points_of(SHAPE, OBLIQUE) - SHIFT)
    image = nib.Nifti1Image(maps["T1w"], OBLIQUE)
    image.set_sform(OBLIQUE, 1)
    image.set_qform(OBLIQUE, 1)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"scanner, 3 T"
    image.header["cal_max"] = 900
    image.header.set_slope_inter(1, 0)
    (root / "P1").mkdir()
    nib.save(image, root / "P1" / "T1w.nii.gz")
    own = from_matvec(np.diag([5.0, 5.0, 5.0]), SHIFT - 5.0 * (np.array([30, 34, 26]) - 1) / 2)
    save(root / "P1" / "T2w.nii.gz", images_at(1, points_of((30, 34, 26), own) - SHIFT)["T2w"], own)
    return root


def place_of(path: Path) -> tuple[np.ndarray, float]:
    """Center in mm and volume in ml of what is labeled."""
    image = nib.load(path)
    where = np.argwhere(np.asarray(image.dataobj) > 0)
    return apply_affine(image.affine, where).mean(axis=0), len(where) * abs(np.linalg.det(image.affine[:3, :3])) / 1000


def test_a_ball_in_oblique_scans_of_1_1_4_mm_is_predicted_where_it_is(oblique, knows, tmp_path):
    (path,) = predict("any", oblique, tmp_path, cache=tmp_path / "cache", progress=False)
    assert path.name == "P1_dseg.nii.gz"
    center, volume = place_of(path)
    assert np.linalg.norm(center - (center_of(1) + SHIFT)) < 1.0
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3 / 1000, rel=0.15)
    predicted = np.asarray(nib.load(path).dataobj)
    truth = ball(points_of(SHAPE, OBLIQUE), center_of(1) + SHIFT, RADIUS)
    assert set(np.unique(predicted)) == {0, 7}
    assert 2 * (truth & (predicted == 7)).sum() / (truth.sum() + (predicted == 7).sum()) > 0.85


def test_grid_header_and_units_are_those_of_the_image(oblique, knows, tmp_path):
    labels, chances = predict("any", oblique, tmp_path, probabilities=True, cache=tmp_path / "cache", progress=False)
    source = nib.load(oblique / "P1" / "T1w.nii.gz")
    for path, kind, shape in ((labels, np.int16, SHAPE), (chances, np.float32, (*SHAPE, 2))):
        image = nib.load(path)
        assert image.shape == shape
        assert image.get_data_dtype() == kind
        for get in ("get_sform", "get_qform"):
            matrix, code = getattr(image, get)(coded=True)
            expected, same_code = getattr(source, get)(coded=True)
            np.testing.assert_array_equal(matrix, expected)
            assert code == same_code == 1
        assert image.header.get_xyzt_units() == ("mm", "sec")
        assert image.header["descrip"].item() == b"scanner, 3 T"
        assert float(image.header["cal_max"]) == 0  # of the intensities of the scan
    values = nib.load(chances).get_fdata()
    np.testing.assert_allclose(values.sum(axis=-1), 1.0, atol=1e-5)
    most = np.where(values[..., 1] > values[..., 0], 7, 0)
    assert (most != np.asarray(nib.load(labels).dataobj)).mean() < 1e-5


@pytest.mark.parametrize("lost", ["T1w", "T2w"])
def test_the_grid_is_that_of_the_first_image_that_can_be_used(lost, oblique, knows, tmp_path, capsys):
    root = shutil.copytree(oblique, tmp_path / "people")
    broken = root / "P1" / f"{lost}.nii.gz"
    broken.write_bytes(b"no image")
    (path,) = predict("any", root, tmp_path / "out", progress=False)
    assert "P1: " in capsys.readouterr().err
    assert nib.load(path).shape == {"T1w": (30, 34, 26), "T2w": SHAPE}[lost]
    assert np.linalg.norm(place_of(path)[0] - (center_of(1) + SHIFT)) < 1.0


def test_an_image_that_lies_elsewhere_is_not_read(oblique, knows, tmp_path):
    root = shutil.copytree(oblique, tmp_path / "people")
    moved = nib.load(root / "P1" / "T2w.nii.gz")
    away = from_matvec(Rotation.from_euler("z", 70, degrees=True).as_matrix(), [30.0, 0, 0]) @ moved.affine
    save(root / "P1" / "T2w.nii.gz", np.asarray(moved.dataobj), away)
    (path,) = predict("any", root, tmp_path / "out", progress=False)
    assert nib.load(path).shape == SHAPE
    assert np.linalg.norm(place_of(path)[0] - (center_of(1) + SHIFT)) < 1.0


@pytest.mark.parametrize("ending", [".nii", ".mgz", ".nrrd", "in NIfTI-2", "with a wrong ending"])
def test_images_of_every_format_give_nifti_in_their_grid(ending, heads, knows, tmp_path):
    source = nib.load(heads / "P2" / "T1w.nii.gz")
    values, folder = np.asarray(source.dataobj), tmp_path / "people" / "P2"
    folder.mkdir(parents=True)
    if ending == ".nrrd":
        image = sitk.GetImageFromArray(values.T)
        image.SetSpacing((6.0, 6.0, 6.0))
        image.SetOrigin((69.0, 81.0, -57.0))
        image.SetDirection((-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
        sitk.WriteImage(image, str(folder / "T1w.nrrd"))
    elif ending == ".mgz":
        nib.save(nib.MGHImage(values.astype(np.int32), source.affine), folder / "T1w.mgz")
    elif ending == ".nii":
        nib.save(source, folder / "T1w.nii")
    elif ending == "in NIfTI-2":
        nib.save(nib.Nifti2Image(values, source.affine), folder / "T1w.nii.gz")
    else:  # a compressed file that does not say so
        (folder / "T1w.nii").write_bytes(gzip.compress(source.to_bytes()))
    (path,) = predict("any", tmp_path / "people", tmp_path / "out", progress=False)
    image = nib.load(path)
    assert path.name == "P2_dseg.nii.gz"
    assert isinstance(image, nib.Nifti2Image) == (ending == "in NIfTI-2")
    np.testing.assert_allclose(image.affine, source.affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] in ("mm", "unknown")
    assert np.linalg.norm(place_of(path)[0] - center_of(2)) < 1.5


def test_people_without_a_modality_are_named_and_stop_no_one(heads, knows, tmp_path, capsys):
    root = write_heads(tmp_path / "people", 3, modalities=("T1w", "T2w"))
    for name in ("T1w", "T2w"):
        shutil.move(root / "P2" / f"{name}.nii.gz", root / "P2" / f"{'FLAIR' if name == 'T1w' else 'PDw'}.nii.gz")
    (root / "P3" / "T1w.nii.gz").write_bytes(b"")
    (root / "P3" / "T2w.nii.gz").write_bytes(b"")
    files = predict("any", root, tmp_path / "out", progress=False)
    assert [path.name for path in files] == ["P1_dseg.nii.gz"]
    err = capsys.readouterr().err
    assert "P2: left out: no image of T1w, T2w" in err
    assert "P3: " in err
    shutil.rmtree(root / "P1")
    shutil.rmtree(root / "P3")
    with pytest.raises(ValueError, match="an image of T1w, T2w, with which the network was trained"):
        predict("any", root, tmp_path / "out", progress=False)


def test_where_no_one_has_a_modality_it_is_missing_as_the_network_knows_it(heads, tiny, tmp_path):
    config = finetune_config(tiny, TaskConfig("regression", target="age"), missing="zero")
    people = {name: write_heads(tmp_path / name, 1, modalities=name.split("+")) for name in ("T1w+T2w", "T2w")}
    target = Target("regression", "age", names=("age",), center=50.0, spread=10.0)
    torch.manual_seed(0)
    network = build_network(Taco(config.model), config, 1).eval()

    def read(name: str, **options) -> float:
        volume = replace(config.volume, modalities=tuple(name.split("+")))
        cache = prepare(read_manifest(people[name]), volume, unpaired=True, progress=False)
        (one,) = predictions(network, cache, config, target, **options)
        return float(one.values)

    assert read("T2w", prepared=["T2w"]) == pytest.approx(read("T1w+T2w", present=["T2w"]), rel=1e-3)
    assert read("T2w", prepared=["T2w"]) != pytest.approx(read("T1w+T2w"), rel=1e-3)


def test_damaged_truth_does_not_hinder_a_prediction(heads, knows, tmp_path):
    root = write_heads(tmp_path / "people", 1)
    (root / "P1" / "seg.nii.gz").rename(root / "P1" / "lesion.nii.gz")
    (root / "P1" / "lesion.nii.gz").write_bytes(b"")
    assert read_manifest(root).records[0].lesion is not None
    assert len(predict("any", root, tmp_path / "out", progress=False)) == 1


def person_network(path: Path, tiny, task: TaskConfig, target: Target) -> Path:
    config = finetune_config(tiny, task, missing="drop")
    torch.manual_seed(0)
    return save_network(path, build_network(Taco(config.model), config, target.outputs), config, target)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_classes_and_numbers_are_a_row_per_person(heads, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("TOPOSLEARN_CACHE", str(tmp_path / "cache"))
    names = ("grade II, wild type", 'the "other" one', "n/a")
    classes = Target("classification", "tumor, type", names, names)
    network = person_network(tmp_path / "types.safetensors", tiny, TaskConfig("classification", target="t"), classes)
    (path,) = predict(network, heads, tmp_path / "out", progress=False)
    rows = rows_of(path)
    assert [row["name"] for row in rows] == [f"P{number}" for number in range(1, 9)]
    for row in rows:
        chances = {name: float(row[f"probability {name}"]) for name in names}
        assert sum(chances.values()) == pytest.approx(1, abs=2e-4)
        assert row["tumor, type"] == max(chances, key=chances.get)
    ages = Target("regression", "age", names=("age",), center=50.0, spread=10.0)
    network = person_network(tmp_path / "age.safetensors", tiny, TaskConfig("regression", target="age"), ages)
    (path,) = predict(network, heads, tmp_path / "out", progress=False)
    assert all(0 < float(row["age"]) < 100 for row in rows_of(path))
    with pytest.raises(ValueError, match="predicts no labels: its table has all there is"):
        predict(network, heads, tmp_path / "out", probabilities=True, progress=False)


def test_only_the_modalities_allowed_are_read(heads, knows, tmp_path):
    root = write_heads(tmp_path / "people", 2)
    (root / "P2" / "T2w.nii.gz").unlink()
    people = prepare(read_manifest(root), knows.volume, unpaired=True, progress=False)
    both = [one.record.name for one in predictions(Knows(), people, knows, BALL)]
    second = [one.record.name for one in predictions(Knows(), people, knows, BALL, present=["T2w"])]
    assert both == ["P1", "P2"]
    assert second == ["P1"]
    values = [
        next(predictions(Knows(), people, knows, BALL, present=present)).values for present in (None, ["T1w"], ["T2w"])
    ]
    assert not np.array_equal(values[0], values[1])
    assert not np.array_equal(values[1], values[2])


def test_judging_compares_in_the_grid_of_the_truth(heads, knows, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "load_network", lambda path: (Knows(), knows, BALL))
    root = write_heads(tmp_path / "people", 2)
    fine = from_matvec(np.diag([-2.0, 2.0, 2.0]), [71.0, -81.0, -57.0])  # another grid than the image
    points = points_of((72, 82, 58), fine)
    save(root / "P2" / "seg.nii.gz", np.where(labels_at(2, points) == 1, 7, 0).astype(np.int16), fine)
    save(root / "P1" / "seg.nii.gz", np.zeros((24, 28, 20), np.int16))
    people = prepare(labeled(read_manifest(root), TaskConfig())[0], knows.volume, unpaired=True, progress=False)
    scores = judge(Path("any"), people)
    assert list(scores.index) == [("P1", "ball"), ("P2", "ball")]
    assert scores.loc["P2", "ball"]["dice"] > 0.85
    assert scores.loc["P2", "ball"]["volume_truth"] == pytest.approx(4 / 3 * np.pi * 8, rel=0.03)
    assert scores.loc["P1", "ball"]["dice"] == 0  # there is a ball, but not in the truth
    assert judge(Path("any"), people, []).empty


def test_the_position_prior_is_judged_in_the_same_grid(prepared_heads):
    target = Target("segmentation", "seg", (0, 1, 2), ("background", "ball", "second"), {"a": (1,), "b": (2,)})
    scores = judge_prior(prepared_heads, prepared_heads, target)
    assert len(scores) == 16
    assert scores.xs("b", level="class")["dice"].min() > 0.4  # at the same place in everyone


def test_a_file_that_is_no_fine_tuned_network_is_one_line(tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist: make it with 'toposlearn finetune'"):
        load_network(tmp_path / "nothing.safetensors")
    pretrained = save_weights(tmp_path / "weights.safetensors", Taco(tiny.model), tiny)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(pretrained.read_bytes()[:1000])
    for path in (pretrained, damaged):
        with pytest.raises(
            ValueError, match=r"is not a network of 'toposlearn finetune' .*: give its network\.saf"
        ) as error:
            load_network(path)
        assert "\n" not in str(error.value)
    for fold in ("fold0", "fold1"):
        (tmp_path / "runs" / fold).mkdir(parents=True)
        (tmp_path / "runs" / fold / "network.safetensors").touch()
    with pytest.raises(ValueError, match="the networks of several runs: give one of its folders fold0, fold1"):
        load_network(tmp_path / "runs")
