"""A folder on one page: which images are missing, which grids there are, which images do not lie together."""

import shutil

import nibabel as nib
import numpy as np
import pytest
from image_maker import bids

from toposlearn import cli
from toposlearn.settings import TRUTH
from toposlearn.data import inspect_folder, prepare, read_manifest
from toposlearn.data.images import BadImageError
from toposlearn.data.inspection import MOST_LINES


@pytest.fixture
def misplaced(cohort, tmp_path):
    """Four people: one whose T2w lies 15 mm off by its header, one without a FLAIR."""
    root = tmp_path / "data"
    for number in range(1, 5):
        name = f"sub-{number:03d}"
        shutil.copytree(cohort / name, root / name)
    file = root / "sub-002/anat/sub-002_T2w.nii.gz"
    image = nib.load(file)
    affine = image.affine.copy()
    affine[0, 3] += 15
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), affine), tmp_path / "moved.nii.gz")
    shutil.move(tmp_path / "moved.nii.gz", file)
    (root / "sub-003/anat/sub-003_FLAIR.nii.gz").unlink()
    return root


def test_misplaced_images_are_listed_with_their_evidence(misplaced):
    inspection = inspect_folder(misplaced)
    suspicious = list(inspection.suspicious())
    assert {subject for subject, _ in suspicious} == {"sub-002"}
    assert all("T2w" in (pair.first, pair.second) for _, pair in suspicious)
    assert all(pair.evidence.shift == pytest.approx(15, abs=1.5) for _, pair in suspicious)
    inspection.raise_if_bad()  # nothing is broken
    page = inspection.page()
    assert "sub-003  no FLAIR" in page
    assert f"{len(suspicious)} inter only" in page
    assert page.count("inter only: the images lie about") == len(suspicious) == 3


def test_the_page_shows_every_image_and_needs_nothing_else(misplaced, tmp_path, capsys):
    page = tmp_path / "pages" / "inspect.html"
    assert cli.execute(["inspect", str(misplaced), "--html", str(page)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    text = page.read_text()
    assert text.count("data:image/jpeg") == 4 * 4 - 1
    assert text.count("data:image/png") == 3  # the pairs that do not lie together
    assert "no image" in text
    assert "http" not in text


def test_people_of_the_full_recipe_lie_together_on_grids_of_their_own(full_cohort):
    inspection = inspect_folder(full_cohort)
    assert inspection.counts["inter only"] == inspection.counts["left out"] == 0
    assert inspection.counts["resampled"] > 0
    assert len(inspection.page().splitlines()) < 40


@pytest.fixture
def pair_of_people(cohort, tmp_path):
    """Two people with their truth."""
    root = tmp_path / "data"
    for name in ("sub-001", "sub-002"):
        for place in (name, f"{TRUTH}/{name}"):
            shutil.copytree(cohort / place, root / place)
    return root


@pytest.mark.parametrize("ending", ["dseg", "label-lesion_mask", "from-subject_to-template_xfm"])
def test_damaged_truth_is_reported_and_nothing_is_prepared_from_it(pair_of_people, smoke, tmp_path, capsys, ending):
    file = pair_of_people / f"{TRUTH}/sub-002/anat/sub-002_{ending}.nii.gz"
    file.write_bytes(file.read_bytes()[:-200])  # the header stays whole
    said = f"{file} is truncated or damaged "
    assert cli.execute(["inspect", str(pair_of_people)]) == 1
    printed = capsys.readouterr()
    assert f"\n  ground truth: {said}" in printed.out
    assert printed.err.startswith(f"error: {said}")
    with pytest.raises(BadImageError) as caught:
        prepare(read_manifest(pair_of_people), smoke.volume, folder=tmp_path / "cache", progress=False)
    assert str(caught.value).startswith(said)


def test_truth_that_holds_no_numbers_is_reported(pair_of_people):
    file = pair_of_people / f"{TRUTH}/sub-001/anat/sub-001_from-subject_to-template_xfm.nii.gz"
    image = nib.load(file)
    nib.save(nib.Nifti1Image(np.full(image.shape, np.nan, dtype=np.float32), image.affine), file)
    (line,) = inspect_folder(pair_of_people).damaged
    assert line.startswith(f"{file} holds ")


def test_the_truth_is_listed(cohort):
    page = inspect_folder(cohort).page()
    assert "  map to template    PERSON_from-subject_to-template_xfm.nii.gz  (6)\n" in page
    assert "  labels             PERSON_dseg.nii.gz  (6)\n" in page


def test_a_modality_with_a_broken_image_is_not_one_that_everyone_has(pair_of_people):
    file = pair_of_people / "sub-002/anat/sub-002_T1w.nii.gz"
    file.write_bytes(file.read_bytes()[:-2000])
    assert inspect_folder(pair_of_people).page().endswith("modalities that everyone has: FLAIR, PDw, T2w")


def test_lines_that_the_console_omits_are_on_the_page(tmp_path, capsys):
    count = MOST_LINES + 3
    bids(tmp_path / "data", *(f"sub-{number:02d}" for number in range(count)))
    files = sorted((tmp_path / "data").rglob("*_T2w.nii.gz"))
    for file in files:
        file.write_bytes(b"")
    assert cli.execute(["inspect", str(tmp_path / "data"), "--html", str(tmp_path / "page.html")]) == 1
    out = capsys.readouterr().out
    assert out.count("left out: ") == MOST_LINES
    assert "\n  and 3 more: --html FILE lists all\n" in out
    listed = (tmp_path / "page.html").read_text().partition("</pre>")[0]
    assert all(f"left out: {file} " in listed for file in files)
