"""A folder on one page: who lacks what, which grids there are, which images do not lie together."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from toposlearn import cli
from toposlearn.data import inspect_folder


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


def test_what_does_not_lie_together_is_told_with_its_evidence(misplaced):
    inspection = inspect_folder(misplaced)
    suspicious = list(inspection.suspicious())
    assert {person for person, _ in suspicious} == {"sub-002"}
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
