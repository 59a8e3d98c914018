"""A folder on one page: which images are missing, which grids there are, which images do not lie together."""

import shutil

import nibabel as nib
import numpy as np
import pytest
from image_maker import bids, head, save

from toposlearn import cli
from toposlearn.data import Source, inspect_folder, prepare, read_manifest
from toposlearn.data.inspection import MOST_LINES
from toposlearn.settings import TRUTH


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
    cache = prepare(read_manifest(pair_of_people), smoke.volume, folder=tmp_path / "cache", progress=False)
    assert [record.subject for record in cache.manifest.records] == ["sub-001"]
    assert capsys.readouterr().err.startswith(f"sub-002: left out: {said}")


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


def section(page: str, title: str) -> list[str]:
    """The lines below a title."""
    lines = page.splitlines()
    below = lines[lines.index(title) + 1 :]
    count = next((place for place, line in enumerate(below) if not line.startswith("  ")), len(below))
    return [line.strip() for line in below[:count]]


def test_landmarks_are_listed_and_those_that_cannot_be_read_are_reported(pair_of_people):
    for person, text in (("sub-001", "# CoordinateSystem = 0\n"), ("sub-002", "1,0,0,0,0,0,0,1,1,1,0,AC,,\n")):
        (pair_of_people / person / "anat" / f"{person}_afids.fcsv").write_text(text)
    found = inspect_folder(pair_of_people)
    (line,) = found.damaged
    assert line.endswith("sub-001_afids.fcsv holds no landmark: place one, or give another file")
    assert "  landmarks          PERSON_afids.fcsv  (2)" in found.page().splitlines()


def test_choices_people_without_images_and_damaged_tables_are_notes(tmp_path):
    root = bids(tmp_path, "sub-01", "sub-02")
    save(root / "sub-02/anat/sub-02_run-2_T1w.nii.gz", head(3))
    (root / "sub-03/anat").mkdir(parents=True)
    (root / "participants.tsv").write_bytes(b"")
    page = inspect_folder(root).page()
    assert section(page, "notes:") == [
        "1 person without an image that can be used: sub-03",
        "T1w of sub-02: sub-02_T1w.nii.gz is used instead of sub-02_run-2_T1w.nii.gz (the file without run-)",
        f"{root}/participants.tsv is empty: it is not used",
    ]
    assert "\n  not used           PERSON_run-2_T1w.nii.gz  (1)\n" in page
    assert "--pattern" not in page


def test_label_maps_are_listed_with_their_classes(tmp_path):
    root = bids(tmp_path, "sub-01", "sub-02")
    for number, values in (("01", range(20)), ("02", (0, 1000, 2035))):
        labels = np.resize(np.array(list(values), dtype=np.int16), head().shape)
        save(root / f"sub-{number}/anat/sub-{number}_desc-aseg_dseg.nii.gz", labels)
    save(root / "sub-01/anat/sub-01_label-lesion_mask.nii.gz", (head() > 500).astype(np.uint8))
    (root / "sub-02/anat/sub-02_label-lesion_mask.nii.gz").write_bytes(b"")
    inspection = inspect_folder(root)
    page = inspection.page()
    assert section(page, "label maps: the values that occur")[:2] == [
        "aseg_dseg          0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 10 more  (2)",
        "lesion_mask        0, 1  (2)",
    ]
    assert "  label map aseg_dseg PERSON_desc-aseg_dseg.nii.gz  (2)\n" in page
    assert "  lesion mask        PERSON_label-lesion_mask.nii.gz  (2)\n" in page


def test_people_with_the_same_voxels_are_named(tmp_path):
    root = bids(tmp_path, "sub-01", "sub-02", "sub-03")
    for modality in ("T1w", "T2w"):
        shutil.copy(root / f"sub-01/anat/sub-01_{modality}.nii.gz", root / f"sub-03/anat/sub-03_{modality}.nii.gz")
    assert section(inspect_folder(root).page(), "people with the same images:") == [
        "sub-01 and sub-03 have the same T1w, T2w image: if they are one person, remove all but one"
    ]


def test_names_outside_bids_are_printed_as_patterns(tmp_path):
    for number, person in enumerate(("anna", "ben")):
        save(tmp_path / person / "t1_mprage.nii.gz", head(number))
        save(tmp_path / person / "T2_FLAIR.nii", head(number + 5))
    lines = section(inspect_folder(tmp_path).page(), "names as patterns, to edit and to give again:")
    assert [line.split("=")[0] for line in lines] == ["--pattern 'FLAIR", "--pattern 'T1w"]
    patterns = dict(line.removeprefix("--pattern '").removesuffix("'").split("=", 1) for line in lines)
    again = read_manifest(Source((tmp_path,), patterns=patterns))
    assert [record.images for record in again.records] == [record.images for record in read_manifest(tmp_path).records]


def test_several_data_sets_and_sessions_are_counted(tmp_path):
    for seed, place in enumerate(("berlin/sub-01/ses-1", "berlin/sub-01/ses-2", "paris/sub-01/ses-1")):
        _, subject, session = place.split("/")
        for modality in ("T1w", "T2w"):
            name = f"{subject}_{session}_{modality}.nii.gz"
            save(tmp_path / place / "anat" / name, head(10 * seed + len(modality) + ord(modality[1])))
    page = inspect_folder(Source((tmp_path / "berlin", tmp_path / "paris"), session="all")).page()
    assert page.startswith(
        f"{tmp_path}/berlin, {tmp_path}/paris: 2 people, 3 sessions\nlayout: berlin: BIDS; paris: BIDS\n"
    )
    assert "  T1w                PERSON_SESSION_T1w.nii.gz  (3)\n" in page
    assert section(page, "notes:") == ["berlin: sessions: all are used, of 1 person with several"]
