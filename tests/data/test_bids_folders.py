"""BIDS folders as researchers have them: which file is used, which session, and what is said of the rest."""

import os
from pathlib import Path

import pytest

from toposlearn.data import Source, read_manifest
from toposlearn.data.layouts.bids import bids_file
from toposlearn.settings import T1CE


def touch(root: Path, *names: str) -> Path:
    """Empty files: the manifest is made from names alone."""
    for name in names:
        path = root / (name if name.endswith(".nii") else f"{name}.nii.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def anat(root: Path, subject: str, *endings: str, session: str = "") -> Path:
    folder, stem = (f"{subject}/{session}", f"{subject}_{session}") if session else (subject, subject)
    return touch(root, *(f"{folder}/anat/{stem}_{ending}" for ending in endings))


def used(data, modalities=()) -> dict[str, dict[str, str]]:
    """Person -> modality -> the part of the file's name after the person's."""
    records = read_manifest(data, modalities).records
    return {
        record.name: {
            name: path.name.split(".")[0].removeprefix(f"{record.subject}_") for name, path in record.images.items()
        }
        for record in records
    }


@pytest.mark.parametrize(
    ("ending", "modality"),
    [
        ("T1w", "T1w"),
        ("t1w", "T1w"),
        ("T1", "T1w"),
        ("FLAIR", "FLAIR"),
        ("flair", "FLAIR"),
        ("PD", "PDw"),
        ("T2star", "T2starw"),
        ("inplaneT2", "inplaneT2"),
        ("angio", "angio"),
        ("part-mag_T2starw", "T2starw"),
        ("echo-2_T2w", "T2w"),
        ("desc-preproc_T1w", "T1w"),
        ("ce-gadolinium_T1w", T1CE),
        ("ce-Gd_T1w", T1CE),
        ("acq-postGd_T1w", T1CE),
        ("acq-preContrast_T1w", "T1w"),
        ("acq-MPRAGEPostContrast_T1w", T1CE),
        ("ce-feraheme_T1w", "ce-feraheme_T1w"),
        *((f"{ending}", "") for ending in ("UNIT1", "T1map", "T2map", "R1map", "MTsat", "Chimap", "defacemask")),
        *((f"{ending}", "") for ending in ("MP2RAGE", "MPM", "VFA", "MEGRE", "MESE", "TB1TFL", "PDT2", "xfm")),
        ("inv-1_T1w", ""),
        ("part-phase_T1w", ""),
        ("mt-on_PDw", ""),
        ("flip-2_T1w", ""),
        ("acq-AAHScout_T1w", ""),
        ("acq-localizer_T2w", ""),
        ("label-GM_probseg", ""),
        ("desc-brain_mask", ""),
        ("T1w (1)", ""),
        ("T1w_defaced", "T1w"),
        ("T1w_xyz", ""),
    ],
)
def test_suffix_and_entities_say_what_an_image_shows(ending, modality):
    assert bids_file(Path(f"data/sub-01/anat/sub-01_{ending}.nii.gz"), "sub-01").modality == modality


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("dseg", "dseg"),
        ("desc-aseg_dseg", "aseg_dseg"),
        ("desc-brain_mask", "brain_mask"),
        ("label-lesion_mask", "lesion_mask"),
        ("label-L_desc-T1lesion_mask", "L_T1lesion_mask"),
        ("T2w_lesion-manual", "T2w_lesion"),
        ("msk", "lesion"),
        ("synthseg", "synthseg"),
        ("mod-T1w_defacemask", ""),
        ("label-GM_probseg", ""),
    ],
)
def test_suffix_and_entities_say_what_a_label_map_shows(ending, kind):
    assert bids_file(Path(f"data/sub-01/anat/sub-01_{ending}.nii.gz"), "sub-01").label_map == kind


@pytest.mark.parametrize(
    ("endings", "chosen"),
    [
        (("T1w", "rec-norm_T1w"), "rec-norm_T1w"),
        (("rec-dis_T1w", "T1w"), "T1w"),
        (("run-2_T1w", "T1w"), "T1w"),
        (("run-10_T1w", "run-2_T1w"), "run-2_T1w"),
        (("run-02_T1w", "run-1_T1w"), "run-1_T1w"),
        (("acq-b_T1w", "acq-a_T1w"), "acq-a_T1w"),
        (("echo-2_T1w", "echo-1_T1w"), "echo-1_T1w"),
        (("desc-skull_T1w", "desc-preproc_T1w"), "desc-preproc_T1w"),
        (("space-MNI152_T1w", "T1w"), "T1w"),
        (("t1w", "T1w"), "T1w"),
        (("run-2_rec-norm_T1w", "run-1_T1w"), "run-2_rec-norm_T1w"),
    ],
)
def test_of_several_files_one_is_chosen_and_named(tmp_path, endings, chosen):
    anat(tmp_path, "sub-01", *endings, "T2w")
    manifest = read_manifest(tmp_path)
    assert manifest.records[0].images["T1w"].name == f"sub-01_{chosen}.nii.gz"
    assert manifest.records[0].images["T2w"].name == "sub-01_T2w.nii.gz"
    (note,) = manifest.notes
    assert note.startswith(f"T1w of sub-01: sub-01_{chosen}.nii.gz is used instead of sub-01_")


def test_a_choice_made_for_many_is_one_line_and_the_user_can_overrule_it(tmp_path):
    for number in range(1, 7):
        anat(tmp_path, f"sub-{number:02d}", "T1w", "rec-norm_T1w", "run-1_T2w", "run-2_T2w")
    rec, run = read_manifest(tmp_path).notes
    assert rec.startswith(
        "T1w: rec-norm of several (6 people; sub-01_rec-norm_T1w.nii.gz is used instead of sub-01_T1w"
    )
    assert run.startswith("T2w: run-1 of several (6 people; ")
    chosen = used(Source((tmp_path,), entities={"rec": "", "run": "2"}))
    assert chosen["sub-03"] == {"T1w": "T1w", "T2w": "run-2_T2w"}
    notes = read_manifest(Source((tmp_path,), entities={"rec": "nrom"})).notes
    assert "no file has rec-nrom, which --entity rec=nrom prefers" in notes


def test_nothing_is_said_of_modalities_that_nobody_asked_for(tmp_path):
    anat(tmp_path, "sub-01", "T1w", "run-2_T1w", "T2w", "FLAIR")
    manifest = read_manifest(tmp_path, ("T2w", "FLAIR"))
    assert manifest.notes == ()
    assert set(manifest.records[0].images) == {"T1w", "T2w", "FLAIR"}


@pytest.mark.parametrize("place", ["fmriprep", "derivatives/fmriprep"])
def test_derivatives_are_used_in_native_space(tmp_path, place):
    mni = "space-MNI152NLin2009cAsym_res-2"
    for subject in ("sub-01", "sub-02"):
        anat(tmp_path / place, subject, "desc-preproc_T1w", f"{mni}_desc-preproc_T1w", "desc-preproc_T2w", "dseg")
        anat(tmp_path / place, subject, "desc-brain_mask", f"{mni}_desc-brain_mask", f"{mni}_dseg", "label-GM_probseg")
    manifest = read_manifest(tmp_path / place)
    assert used(tmp_path / place)["sub-02"] == {"T1w": "desc-preproc_T1w", "T2w": "desc-preproc_T2w"}
    maps = {kind: path.name for kind, path in manifest.records[0].label_maps.items()}
    assert maps == {"brain_mask": "sub-01_desc-brain_mask.nii.gz", "dseg": "sub-01_dseg.nii.gz"}


def test_images_are_used_in_the_space_that_most_of_them_share(tmp_path):
    anat(tmp_path, "sub-01", "T1w", "space-MNI_T1w", "space-MNI_T2w", "space-MNI_FLAIR", "dseg", "space-MNI_dseg")
    (record,) = read_manifest(tmp_path).records
    assert all("space-MNI" in path.name for path in (*record.images.values(), *record.label_maps.values()))


def test_label_maps_in_another_space_than_the_images_are_left_out(tmp_path):
    anat(tmp_path, "sub-01", "T1w", "space-MNI_dseg", "space-orig_desc-aseg_dseg")
    assert set(read_manifest(tmp_path).records[0].label_maps) == {"aseg_dseg"}


def test_lesions_and_label_maps_are_found_in_derivatives(tmp_path):
    anat(tmp_path, "sub-01", "T1w", "dseg")
    anat(tmp_path / "derivatives/manual", "sub-01", "label-lesion_mask", "T1w")
    anat(tmp_path / "derivatives/synthseg", "sub-01", "desc-synthseg_dseg")
    anat(tmp_path / "derivatives/synthseg", "sub-99", "desc-synthseg_dseg")
    manifest = read_manifest(tmp_path)
    (record,) = manifest.records
    assert set(record.label_maps) == {"dseg", "lesion_mask", "synthseg_dseg"}
    assert record.lesion == tmp_path / "derivatives/manual/sub-01/anat/sub-01_label-lesion_mask.nii.gz"
    assert record.images == {"T1w": tmp_path / "sub-01/anat/sub-01_T1w.nii.gz"}
    assert manifest.ignored == ()
    assert manifest.notes == ()


def test_label_maps_of_freesurfer_are_found_in_derivatives(tmp_path):
    anat(tmp_path, "sub-01", "T1w")
    for name in ("T1", "aseg", "aseg.presurf", "aparc+aseg"):
        (tmp_path / "derivatives/freesurfer/sub-01/mri").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"derivatives/freesurfer/sub-01/mri/{name}.mgz").write_bytes(b"")
    (record,) = read_manifest(tmp_path).records
    assert set(record.label_maps) == {"aseg", "aparc+aseg"}
    assert set(record.images) == {"T1w"}


def test_sessions_are_in_natural_order_and_the_first_that_has_what_is_needed_is_used(tmp_path):
    for session, endings in {"ses-10": ("T1w", "T2w"), "ses-2": ("T1w", "T2w"), "ses-1": ("T1w",)}.items():
        anat(tmp_path, "sub-01", *endings, session=session)
    anat(tmp_path, "sub-02", "T1w", "T2w", session="ses-1")
    anat(tmp_path, "sub-03", "T1w", "T2w")
    touch(tmp_path, "sub-03/ses-1/func/sub-03_ses-1_bold")
    assert used(tmp_path)["sub-01"] == {"T1w": "ses-2_T1w", "T2w": "ses-2_T2w"}
    assert used(tmp_path, ("T1w",))["sub-01"] == {"T1w": "ses-1_T1w"}
    assert used(tmp_path)["sub-03"] == {"T1w": "T1w", "T2w": "T2w"}
    (note,) = read_manifest(tmp_path).notes
    assert note.startswith("sessions: one is used of 1 person with several: 2 (1); --session LABEL or all")


def test_labels_of_sessions_are_words_too(tmp_path):
    for session in ("ses-baseline", "ses-m06", "ses-m12"):
        anat(tmp_path, "sub-01", "T1w", session=session)
    assert used(Source((tmp_path,), session="m6")) == {"sub-01": {"T1w": "ses-m06_T1w"}}
    assert used(tmp_path) == {"sub-01": {"T1w": "ses-baseline_T1w"}}


@pytest.mark.parametrize("label", ["2", "ses-2", "02", "SES-2"])
def test_a_session_is_chosen_by_its_label(tmp_path, label):
    anat(tmp_path, "sub-01", "T1w", session="ses-1")
    anat(tmp_path, "sub-01", "T1w", session="ses-2")
    anat(tmp_path, "sub-02", "T1w", session="ses-1")
    manifest = read_manifest(Source((tmp_path,), session=label))
    assert used(Source((tmp_path,), session=label)) == {"sub-01": {"T1w": "ses-2_T1w"}}
    assert manifest.records[0].session == ""
    assert manifest.notes[0] == f"1 person without images of session {label}: sub-02"
    with pytest.raises(ValueError, match=r"no person has images of session 7: there are 1, 2"):
        read_manifest(Source((tmp_path,), session="7"))


def test_all_sessions_are_records_of_one_person(tmp_path):
    for session in ("ses-10", "ses-2"):
        anat(tmp_path, "sub-01", "T1w", "label-lesion_mask", session=session)
    records = read_manifest(Source((tmp_path,), session="all")).records
    assert [record.name for record in records] == ["sub-01_ses-2", "sub-01_ses-10"]
    assert {record.subject for record in records} == {"sub-01"}
    assert all(record.session in record.lesion.name for record in records)


def test_files_in_one_folder_are_read_as_in_many(tmp_path):
    touch(tmp_path, *(f"sub-0{n}_ses-{s}_{m}" for n in (1, 2) for s in (1, 2) for m in ("T1w", "T2w", "msk")))
    touch(tmp_path, "sub-01_ses-1_T1map")
    manifest = read_manifest(tmp_path)
    assert used(tmp_path) == {f"sub-0{n}": {"T1w": "ses-1_T1w", "T2w": "ses-1_T2w"} for n in (1, 2)}
    assert manifest.records[1].lesion.name == "sub-02_ses-1_msk.nii.gz"


@pytest.mark.parametrize(
    "names",
    [
        ("sub-01/sub-01_T1w", "sub-01/sub-01_T2w"),  # without anat
        ("sub-01/ses-1/sub-01_ses-1_T1w", "sub-01/ses-1/sub-01_ses-1_T2w"),
        ("sub-01/anat/sub-01_ses-1_T1w", "sub-01/anat/sub-01_ses-1_T2w"),  # without a folder of the session
        ("sub-01/anat/T1.nii", "sub-01/anat/t2_tse"),  # in folders of BIDS, with names of a scanner
        ("sub-01/ses-1/mprage", "sub-01/ses-1/t2"),
        ("sub-MD_0001/anat/sub-MD_0001_T1w", "sub-MD_0001/anat/sub-MD_0001_T2w"),  # PD, MD and FA are no modalities
        ("P001/anat/T1w", "P001/anat/T2w"),
        ("sub-01/Anat/sub-01_T1w", "sub-01/Anat/sub-01_t2w"),
        ("sub-01/anat/sub-1_T1w", "sub-01/anat/SUB-01_T2w"),
    ],
)
def test_folders_that_are_nearly_bids(tmp_path, names):
    (record,) = read_manifest(touch(tmp_path, *names)).records
    assert set(record.images) == {"T1w", "T2w"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sub-02/anat/sub-01_T2w", "lies in the folder of sub-02: move it to that of sub-01"),
        ("sub-02/ses-1/anat/sub-02_ses-2_T2w", "lies in the folder of ses-1: move it to that of ses-2"),
        ("sub-02/anat/sub-02_XYZ", "is not used, since _XYZ is no suffix of an image in BIDS"),
        ("sub-02/anat/scan", "names no modality"),
        ("sub-03_T1w", "lies beside the folders of the people"),
    ],
)
def test_what_is_not_clear_is_not_used_and_ends_nothing(tmp_path, name, said):
    anat(tmp_path, "sub-01", "T1w", "T2w")
    anat(tmp_path, "sub-02", "T1w")
    touch(tmp_path, name)
    manifest = read_manifest(tmp_path)
    assert [set(record.images) for record in manifest.records] == [{"T1w", "T2w"}, {"T1w"}]
    assert said in manifest.notes[0]
    assert manifest.ignored == (tmp_path / f"{name}.nii.gz",)


def test_problems_of_one_kind_are_one_line(tmp_path):
    for number in range(1, 6):
        anat(tmp_path, f"sub-{number}", "T1w", "XYZ")
    (note,) = read_manifest(tmp_path).notes
    assert note.endswith("(and 4 more files like it)")


def test_people_without_images_are_counted_and_named(tmp_path):
    anat(tmp_path, "sub-01", "T1w")
    anat(tmp_path, "sub-02", "UNIT1")
    (tmp_path / "sub-03/func").mkdir(parents=True)
    assert read_manifest(tmp_path).notes == ("2 people without an image that can be used: sub-02, sub-03",)


def test_a_folder_without_any_usable_image_names_what_there_is(tmp_path):
    anat(tmp_path, "sub-01", "UNIT1", "T1map")
    with pytest.raises(FileNotFoundError, match=r"can be used: .*_T1map.nii.gz and 1 more files are not named as"):
        read_manifest(tmp_path)


def test_people_are_found_one_folder_deeper(tmp_path):
    anat(tmp_path / "rawdata", "sub-01", "T1w", "defacemask")
    touch(tmp_path, "sourcedata/series7", "code/template_T1w")
    manifest = read_manifest(tmp_path)
    assert manifest.root == manifest.records[0].root == tmp_path / "rawdata"
    assert used(tmp_path) == {"sub-01": {"T1w": "T1w"}}


def test_several_data_sets_are_told_apart(tmp_path):
    for name in ("one/data", "two/data"):
        anat(tmp_path / name, "sub-01", "T1w", "run-2_T1w")
    manifest = read_manifest([tmp_path / "one/data", tmp_path / "two/data"])
    assert [record.name for record in manifest.records] == ["one-data_sub-01", "two-data_sub-01"]
    assert [record.root for record in manifest.records] == [tmp_path / "one/data", tmp_path / "two/data"]
    assert manifest.layout == "one-data: BIDS; two-data: BIDS"
    assert manifest.notes[1].startswith("two-data: T1w of sub-01: ")


@pytest.mark.parametrize("second", ["data", "../{name}/data", "."])
def test_a_data_set_that_is_given_twice_is_refused(tmp_path, second):
    anat(tmp_path / "data", "sub-01", "T1w")
    with pytest.raises(ValueError, match=r"sub-01_T1w.nii.gz is in both .* and .*: give one of the two data folders"):
        read_manifest([tmp_path / "data", tmp_path / second.format(name=tmp_path.name)])


def test_each_folder_is_listed_once_or_twice_and_no_file_is_opened(tmp_path, monkeypatch):
    for number in range(300):
        anat(tmp_path, f"sub-{number:03d}", "T1w", "T2w", "FLAIR")
    scandir, calls = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda path: calls.append(path) or scandir(path))
    monkeypatch.setattr("toposlearn.data.layouts.records.is_series", None)
    assert len(read_manifest(tmp_path)) == 300
    assert len(calls) <= 2 * 300 + 20


def test_people_whose_names_differ_in_capitals_are_one_if_their_images_complete_each_other(tmp_path):
    touch(tmp_path, "anna_T1", "Anna_T2", "ben_T1", "Ben_T1")
    manifest = read_manifest(tmp_path)
    people = {record.subject: set(record.images) for record in manifest.records}
    assert people == {"anna": {"T1w", "T2w"}, "Ben": {"T1w"}, "ben": {"T1w"}}
    assert manifest.notes == (
        "Anna and anna differ in capitals only, and are taken for one person, anna: name the files alike",
        "Ben and ben differ in capitals only, and are taken for several people: rename them if not",
    )


def test_visits_of_other_layouts_are_sessions_of_one_person(tmp_path):
    touch(tmp_path, *(f"P00{n}_visit{s}/{m}" for n in (1, 2) for s in (1, 2) for m in ("T1w", "T2w")))
    manifest = read_manifest(tmp_path)
    assert [record.name for record in manifest.records] == ["P001", "P002"]
    assert all("visit1" in str(path) for record in manifest.records for path in record.images.values())
    everything = read_manifest(Source((tmp_path,), session="all")).records
    assert len(everything) == 4
    assert {record.subject for record in everything} == {"P001", "P002"}
