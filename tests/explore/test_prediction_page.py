import json
import re
import shutil
from base64 import b64decode

import nibabel as nib
import numpy as np
import pytest
from image_maker import AFFINE, SHAPE, bids, save

from toposlearn.config import preset
from toposlearn.downstream.network_file import save_network
from toposlearn.downstream.networks import build_network
from toposlearn.downstream.segmentation_metrics import score_person
from toposlearn.downstream.settings import MISSING, TaskConfig, finetune_config
from toposlearn.downstream.targets import Target
from toposlearn.explore import prediction_page
from toposlearn.explore.prediction_page import LARGEST, write_prediction_page
from toposlearn.models import Taco

PEOPLE = ("sub-01", "sub-02", "sub-03")
NAMES = ("edema", "<i>core</i>")
REGIONS = {"edema": (1,), "<i>core</i>": (2,)}


def truth(shift=0):
    made = np.zeros(SHAPE, np.int16)
    made[6 + shift : 14 + shift, 8:16, 6:12] = 1
    made[8 + shift : 11 + shift, 10:14, 7:10] = 2
    return made


def label_map(folder, person, labels, affine=AFFINE):
    return save(folder / f"derivatives/manual/{person}/anat/{person}_desc-tumor_dseg.nii.gz", labels, affine)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three people with truth, whose first two are predicted one and four voxels away, the third not at all."""
    folder = bids(tmp_path_factory.mktemp("data") / "a & b", *PEOPLE)
    for person in PEOPLE:
        label_map(folder, person, truth())
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    made_network(folder, Target("segmentation", "tumor_dseg", (0, 1, 2), ("background", *NAMES), REGIONS))
    return folder


def made_network(folder, target, **changes):
    task = TaskConfig() if target.kind == "segmentation" else TaskConfig(kind=target.kind, target=target.source)
    base = preset("smoke").replace(volume={"modalities": ("T1w", "T2w")})
    config = finetune_config(base, task, **{"from_scratch": True, "missing": "drop", **changes})
    return save_network(
        folder / "network.safetensors", build_network(Taco(config.model), config, target.outputs), config, target
    )


@pytest.fixture
def out(tmp_path):
    for person, shift in (("sub-01", 1), ("sub-02", 4)):
        save(tmp_path / f"{person}_dseg.nii.gz", truth(shift))
    return tmp_path


@pytest.fixture
def page(network, source, out):
    return write_prediction_page(network, source, out).read_text(encoding="utf-8")


def test_the_page_needs_nothing_else_and_its_pictures_are_small(page, out):
    assert (out / "index.html").is_file()
    assert len(pictures(page)) == page.count("<img") == 2
    assert all(len(picture) <= LARGEST for picture in pictures(page))
    assert "http" not in re.sub(r"base64,[^\"]+", "", page)


def pictures(page):
    return [b64decode(each) for each in re.findall(r'src="data:image/png;base64,([^"]+)"', page)]


def test_a_picture_that_would_be_too_large_is_less_sharp(network, source, out, page, monkeypatch):
    sizes = [len(picture) for picture in pictures(page)]
    monkeypatch.setattr(prediction_page, "LARGEST", min(sizes) // 2)
    smaller = pictures(write_prediction_page(network, source, out).read_text(encoding="utf-8"))
    assert max(len(picture) for picture in smaller) <= min(sizes) // 2


def test_dice_per_class_is_that_of_the_scores_the_lowest_person_first(page):
    rows = re.findall(r"<tr>\s*<th>(?:<a[^>]*>)?([^<]*)(?:</a>)?</th>((?:\s*<td>[^<]*</td>)+)", page)
    table = {name: re.findall(r"<td>([^<]*)</td>", cells) for name, cells in rows if name.startswith(("sub", "mean"))}
    assert list(table) == ["sub-02", "sub-01", "mean of 2 people"]
    dice = [score_person(truth(shift), truth(), REGIONS, AFFINE)["dice"] for shift in (4, 1)]
    expected = [[each.mean(), each["edema"], each["<i>core</i>"]] for each in dice]
    for row, numbers in zip(table.values(), [*expected, np.mean(expected, axis=0)], strict=True):
        assert row == [f"{number:.2f}" for number in numbers]


def test_names_are_escaped_and_who_is_not_predicted_is_named(page):
    assert "<i>" not in page
    assert "&lt;i&gt;core&lt;/i&gt;" in page
    assert "<h1>Predicted label maps: a &amp; b</h1>" in page
    assert "Not predicted: sub-03." in page
    assert 'id="person-0">sub-02<' in page
    assert '<a href="#person-0">sub-02</a>' in page


def test_a_newcomer_reads_what_to_look_for_and_how_the_network_was_trained(page):
    assert "What to look for" in page
    assert MISSING["drop"] in page
    assert "random ones (from scratch)" in page
    assert "T1w, T2w, on a grid of 6 mm" in page
    assert "&quot;modality_dropout&quot;: 0.3" in page


def test_one_image_truth_and_prediction_are_drawn(network, source, out, monkeypatch):
    drawn = []
    plot = prediction_page.plot_segmentation

    def spy(image, own, predicted, names, affine, **settings):
        drawn.append((image, own, predicted, names, settings["dice"]))
        return plot(image, own, predicted, names, affine, **settings)

    monkeypatch.setattr(prediction_page, "plot_segmentation", spy)
    write_prediction_page(network, source, out)
    image, own, predicted, names, dice = drawn[1]
    stored = nib.load(source / "sub-01/anat/sub-01_T1w.nii.gz").get_fdata()
    assert np.corrcoef(image.ravel(), stored.ravel())[0, 1] > 0.99
    assert np.array_equal(own, truth())
    assert np.array_equal(predicted, truth(1))
    assert names == {1: "edema", 2: "<i>core</i>"}
    assert set(dice) == set(REGIONS)


def test_a_person_whose_files_cannot_be_read_is_named_and_the_others_stay(network, source, out):
    (out / "sub-01_dseg.nii.gz").write_bytes(b"<b>no image")
    save(out / "sub-03_dseg.nii.gz", truth()[1:])
    page = write_prediction_page(network, source, out).read_text(encoding="utf-8")
    assert page.count("<img") == 1
    assert "sub-01 has no Dice: " in page
    assert len(re.findall(r"No picture: [^<]*sub-01_dseg", page)) == 1
    assert len(re.findall(r"No picture: no image of T1w, T2w [^<]*sub-03_dseg", page)) == 1
    assert "<b>no image" not in page


def test_a_prediction_is_shown_where_the_truth_is_broken(network, source, out, tmp_path):
    copy = shutil.copytree(source, tmp_path / "copy")
    label_map(copy, "sub-01", truth() + 0.25)
    page = write_prediction_page(network, copy, out).read_text(encoding="utf-8")
    assert re.search(r"sub-01 has no Dice: [^<]*sub-01_desc-tumor_dseg[^<]* not whole numbers", page)
    assert "T1w of sub-01 and prediction" in page


def test_names_of_people_are_escaped(network, tmp_path):
    folder, name = bids(tmp_path / "data", "sub-a&lt;b"), "sub-a&lt;b"
    save(tmp_path / f"{name}_dseg.nii.gz", truth())
    page = write_prediction_page(network, folder, tmp_path).read_text(encoding="utf-8")
    assert page.count("sub-a&amp;lt;b") == page.count("sub-a&") == 4  # table, heading, caption twice


def test_the_image_with_the_grid_of_the_prediction_is_shown_where_the_first_is_broken(network, source, out, tmp_path):
    copy = shutil.copytree(source, tmp_path / "copy")
    (copy / "sub-01/anat/sub-01_T1w.nii.gz").write_bytes(b"broken")
    page = write_prediction_page(network, copy, out).read_text(encoding="utf-8")
    assert "T2w of sub-01, truth and prediction" in page
    assert "T1w of sub-02, truth and prediction" in page


def test_truth_on_another_grid_is_compared_there(network, source, out, tmp_path):
    copy = shutil.copytree(source, tmp_path / "copy")
    fine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    fine[:3, 3] -= 0.75  # the first corner stays where it is
    label_map(copy, "sub-01", truth(1).repeat(2, 0).repeat(2, 1).repeat(2, 2), fine)
    page = write_prediction_page(network, copy, out).read_text(encoding="utf-8")
    assert re.search(r"sub-01</a></th>\s*<td>1.00</td>\s*<td>1.00</td>\s*<td>1.00</td>", page)


def test_without_truth_there_are_pictures_and_no_dice(network, out, tmp_path):
    page = write_prediction_page(network, bids(tmp_path / "bare", *PEOPLE), out).read_text(encoding="utf-8")
    assert page.count("<img") == 2
    assert "T1w of sub-01 and prediction" in page
    assert re.search(r"sub-01</a></th>\s*<td>–</td>", page)


def test_beyond_the_number_of_pictures_people_are_in_the_table_only(network, source, out, monkeypatch):
    monkeypatch.setattr(prediction_page, "PICTURES", 1)
    page = write_prediction_page(network, source, out).read_text(encoding="utf-8")
    assert page.count("<img") == 1
    assert re.search(r"<th>sub-01</th>\s*<td>0\.\d\d</td>", page)
    assert "the first 1 of 2 people" in page


def test_weights_and_people_trained_on_are_read_from_the_run(source, out, tmp_path):
    target = Target("segmentation", "tumor_dseg", (0, 1, 2), ("background", *NAMES), REGIONS)
    folder = tmp_path / "run/shots2-fold1"
    folder.mkdir(parents=True)
    made_network(folder, target, from_scratch=False, freeze=True)
    runs = [
        {"train": ["sub-01"], "validation": [], "judged": ["sub-02"], "group": "shots2", "fold": "fold1"},
        {"train": ["sub-02"], "validation": [], "judged": ["sub-01"], "group": "shots2", "fold": "fold0"},
    ]
    (tmp_path / "run/split.json").write_text(json.dumps({"runs": runs}))
    (tmp_path / "run/results.json").write_text(json.dumps({"config": {"weights": "<w>.safetensors"}}))
    page = write_prediction_page(folder, source, out).read_text(encoding="utf-8")
    assert "&lt;w&gt;.safetensors, kept as they were" in page
    assert re.search(r"trained on people of these names[^<]*: sub-01\.", page)


def test_many_classes_have_their_lowest_dice_in_the_table(source, out, tmp_path):
    names = tuple(f"class {label}" for label in range(1, 11))
    target = Target(
        "segmentation",
        "tumor_dseg",
        tuple(range(11)),
        ("background", *names),
        {name: (label,) for label, name in enumerate(names, start=1)},
    )
    made_network(tmp_path, target)
    page = write_prediction_page(tmp_path, source, out).read_text(encoding="utf-8")
    assert "lowest Dice" in page
    assert re.search(r"sub-02</a></th>(\s*<td>[\d.]+</td>){2}\s*<td>class 2</td>", page)


def test_errors_are_one_line(network, source, tmp_path):
    with pytest.raises(ValueError, match=r"has no NAME_dseg\.nii\.gz of the people in .*'toposlearn predict'"):
        write_prediction_page(network, source, tmp_path)
    made_network(tmp_path, Target("regression", "age", names=("age",)))
    with pytest.raises(ValueError, match="predicts age, not label maps"):
        write_prediction_page(tmp_path, source, tmp_path)
