"""Each layout of a data folder, what its files become, and what is refused because its meaning is not clear."""

from pathlib import Path

import numpy as np
import pytest
from foreign_maker import NAMES, write_foreign
from image_maker import bids, head, save

from toposlearn import cli
from toposlearn.config import preset
from toposlearn.data import Manifest, Record, config_for, inspect_folder, load_posed, pair_of, prepare, read_manifest
from toposlearn.data.layouts.names import modality_of, subject_in


def files(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        save(root / name, head(number))
    return root


def read(root: Path) -> dict[str, dict[str, str]]:
    return {
        record.subject: {name: path.name for name, path in record.images.items()}
        for record in read_manifest(root).records
    }


def test_bids(tmp_path):
    manifest = read_manifest(bids(tmp_path))
    assert manifest.layout.startswith("BIDS")
    assert manifest.ignored == ()


def test_brats_2021(tmp_path):
    subject = "BraTS2021_00000"
    files(tmp_path, *[f"{subject}/{subject}_{end}.nii.gz" for end in ("t1", "t1ce", "t2", "flair", "seg")])
    manifest = read_manifest(tmp_path)
    (record,) = manifest.records
    assert manifest.layout.startswith("BraTS 2021")
    assert set(record.images) == {"T1w", "ce-gadolinium_T1w", "T2w", "FLAIR"}
    assert record.images["ce-gadolinium_T1w"].name == f"{subject}_t1ce.nii.gz"
    assert record.lesion.name == f"{subject}_seg.nii.gz"
    assert record.labels is None


def test_brats_2023(tmp_path):
    subject = "BraTS-GLI-00000-000"
    files(tmp_path, *[f"{subject}/{subject}-{end}.nii.gz" for end in ("t1n", "t1c", "t2w", "t2f", "seg")])
    manifest = read_manifest(tmp_path)
    assert manifest.layout.startswith("BraTS 2023")
    assert read(tmp_path)["BraTS-GLI-00000"] == {
        "ce-gadolinium_T1w": f"{subject}-t1c.nii.gz",
        "T1w": f"{subject}-t1n.nii.gz",
        "FLAIR": f"{subject}-t2f.nii.gz",
        "T2w": f"{subject}-t2w.nii.gz",
    }
    assert manifest.records[0].lesion.name == f"{subject}-seg.nii.gz"


def test_one_folder_per_person(tmp_path):
    files(tmp_path, "anna/MPRAGE.nii.gz", "anna/T2_FLAIR.nii", "PD-01/PD-01_T1.nii.gz", "PD-01/PD-01_flair.nii.gz")
    (tmp_path / "anna" / "letter.txt").write_text("dear")
    assert read_manifest(tmp_path).layout == "one folder per person"
    assert read(tmp_path) == {
        "PD-01": {"T1w": "PD-01_T1.nii.gz", "FLAIR": "PD-01_flair.nii.gz"},
        "anna": {"T1w": "MPRAGE.nii.gz", "FLAIR": "T2_FLAIR.nii"},
    }


def test_all_files_in_one_folder(tmp_path):
    files(
        tmp_path, "anna_T1.nii.gz", "anna-FLAIR.nii", "P02-flair.nii", "P02-t1.nii.gz", "pdw_eve.nii", "anna_mask.nii"
    )
    manifest = read_manifest(tmp_path)
    assert manifest.layout.startswith("all files in one folder")
    assert read(tmp_path) == {
        "P02": {"FLAIR": "P02-flair.nii", "T1w": "P02-t1.nii.gz"},
        "anna": {"FLAIR": "anna-FLAIR.nii", "T1w": "anna_T1.nii.gz"},
        "eve": {"PDw": "pdw_eve.nii"},
    }
    assert [path.name for path in manifest.ignored] == ["anna_mask.nii"]


def test_diffusion_of_bids_lies_in_a_folder_of_its_own(tmp_path):
    bids(tmp_path, "sub-01", "sub-02", "sub-03")
    files(tmp_path, "sub-01/dwi/sub-01_dwi.nii.gz", "sub-01/dwi/sub-01_ADC.nii.gz", "sub-01/dwi/sub-01_FA.nii.gz")
    files(tmp_path, "sub-02/dwi/sub-02_run-1_dwi.nii.gz", "sub-02/dwi/sub-02_run-2_dwi.nii.gz")
    save(tmp_path / "sub-03/dwi/sub-03_dwi.nii.gz", np.stack([head(), head(1)], -1))  # a series
    files(tmp_path, "sub-03/dwi/sub-03_trace.nii.gz")
    manifest = read_manifest(tmp_path)
    assert [set(record.images) - {"T1w", "T2w"} for record in manifest.records] == [{"dwi", "ADC"}, set(), {"dwi"}]
    assert manifest.records[2].images["dwi"].name == "sub-03_trace.nii.gz"
    assert len(manifest.ignored) == 4


def test_several_files_of_diffusion_are_ignored_as_ever(tmp_path):
    files(tmp_path / "folders", "anna/T1.nii.gz", "anna/dwi_b0.nii.gz", "anna/dwi_b1000.nii.gz", "anna/adc.nii.gz")
    assert set(read(tmp_path / "folders")["anna"]) == {"T1w", "ADC"}
    files(tmp_path / "flat", "anna_T1.nii.gz", "anna_dwi.nii.gz", "series7_dwi.nii.gz", "dwi.nii.gz", "adc_b.nii.gz")
    assert read(tmp_path / "flat") == {"anna": {"T1w": "anna_T1.nii.gz", "dwi": "anna_dwi.nii.gz"}}
    assert len(read_manifest(tmp_path / "flat").ignored) == 3


def test_the_people_of_any_layout_may_have_a_table(tmp_path):
    files(tmp_path, "anna/T1.nii.gz", "ben/T1.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nben\t30\n")
    assert [record.info.get("age") for record in read_manifest(tmp_path).records] == [None, "30"]


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("T1", "T1w"),
        ("anna_T1w_brain", "T1w"),
        ("3_t1_mprage_sag_p2_iso", "T1w"),
        ("t1_post-gd", "ce-gadolinium_T1w"),
        ("ce_T1", "ce-gadolinium_T1w"),
        ("T1Gd", "ce-gadolinium_T1w"),
        ("t2_space_dark-fluid", "FLAIR"),
        ("t2_flair", "FLAIR"),
        ("T2F", "FLAIR"),
        ("t2_tse", "T2w"),
        ("PD", "PDw"),
        ("t1_brainmask", None),
        ("t2_star", None),
        ("dwi_b1000", "dwi"),
        ("ep2d_diff_TRACE", "dwi"),
        ("dwi_ADC", "ADC"),
        ("dwi_mask", None),
        ("T1_to_dwi", None),
        ("t2_trace", "T2w"),
        ("seg", None),
    ],
)
def test_words_name_a_modality(name, modality):
    assert modality_of(Path(f"{name}.nii")) == modality


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["anna/scan3.nii.gz"], "anna/scan3.nii.gz names no modality"),
        (["anna/t1_to_t2.nii.gz"], r"t1_to_t2.nii.gz names more than one modality \(T1w, T2w\): rename it"),
        (["T1.nii.gz"], "names no person: rename it, e.g. to ANNA_T1w.nii.gz"),
    ],
)
def test_what_could_mean_two_things_is_refused_in_one_line(tmp_path, capsys, names, message):
    files(tmp_path, *names)
    with pytest.raises(ValueError, match=message) as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)
    for command in (["inspect", str(tmp_path)], ["pretrain", "--data", str(tmp_path), "--out", str(tmp_path / "run")]):
        assert cli.execute(command) == 1
        assert capsys.readouterr().err == f"error: {caught.value}\n"


@pytest.mark.parametrize("names", [["T1.nii.gz", "t1_mprage.nii.gz"], ["T1.nii.gz", "T1_brain.nii.gz"]])
def test_of_two_that_show_the_same_the_plain_one_is_used_and_told(tmp_path, names):
    manifest = read_manifest(files(tmp_path, *(f"anna/{name}" for name in names)))
    assert manifest.records[0].images["T1w"].name == names[0]
    assert all(name in manifest.notes[0] for name in names)


def test_a_loose_file_beside_folders_of_people_is_nobody(tmp_path):
    manifest = read_manifest(files(tmp_path, "ben/T1.nii.gz", "anna_T1.nii.gz"))
    assert [record.subject for record in manifest.records] == ["ben"]
    assert "anna_T1.nii.gz lies beside folders with images, such as ben: move it away" in manifest.notes[0]


def test_images_may_lie_deeper(tmp_path):
    assert list(read(files(tmp_path, "download/people/anna/T1.nii.gz"))) == ["anna"]


def test_our_cache_in_a_folder_is_no_person(tmp_path):
    files(tmp_path, "anna_T1.nii.gz", "derivatives/toposlearn/T1.nii.gz")
    assert list(read(tmp_path)) == ["anna"]


def test_the_person_stands_before_or_after():
    assert subject_in(Path("IXI002-Guys-0828-T1.nii.gz")) == "IXI002-Guys-0828"
    assert subject_in(Path("T1_anna.nii")) == "anna"
    assert subject_in(Path("anna_ce_T1_brain.nii")) == "anna"


def manifest_of(*modalities: tuple[str, ...]) -> Manifest:
    subjects = (Record(f"p{n}", {name: Path(name) for name in names}) for n, names in enumerate(modalities))
    return Manifest(Path("data"), tuple(subjects))


def test_the_modalities_of_a_run():
    lab = preset("lab")
    assert config_for(lab, manifest_of(("T1w", "T2w", "FLAIR", "PDw", "T2star"))) == lab
    some = config_for(
        lab, manifest_of(("ce-gadolinium_T1w", "FLAIR", "T1w"), ("ce-gadolinium_T1w", "FLAIR", "T1w", "T2w"))
    )
    assert some.volume.modalities == ("T1w", "FLAIR", "ce-gadolinium_T1w")
    assert some == lab.replace(volume={"modalities": some.volume.modalities})
    with pytest.raises(ValueError, match=r"the 2 people of data share T1w \(p1 has T1w\): add images"):
        config_for(lab, manifest_of(("T1w", "T2w"), ("T1w",)))


def test_one_missing_scan_does_not_exclude_the_modality():
    lab, whole = preset("lab"), ("T1w", "T2w", "FLAIR", "PDw")
    assert config_for(lab, manifest_of(*[whole] * 4, ("T1w", "T2w"))) == lab
    fewer = config_for(lab, manifest_of(*[whole] * 3, ("T1w", "T2w")))
    assert fewer.volume.modalities == ("T1w", "T2w")


def test_a_pair_falls_back_to_the_first_two():
    assert pair_of(("T1w", "FLAIR", "T2w"), "T2w", "T1w") == ("T2w", "T1w")
    assert pair_of(("T1w", "FLAIR"), "T1w", "T2w") == ("T1w", "FLAIR")


@pytest.fixture(scope="module")
def foreign(manifest, tmp_path_factory) -> Path:
    return write_foreign(tmp_path_factory.mktemp("foreign") / "scans", manifest.records[:2])


def test_inspect_lists_what_became_what(foreign):
    assert inspect_folder(foreign).page().splitlines() == [
        f"{foreign}: 2 people",
        "layout: one folder per person",
        "  FLAIR              T2_FLAIR.nii  (2)",
        "  T1w                t1_mprage.nii.gz  (2)",
        "  ce-gadolinium_T1w  t1_post-gd.nii.gz  (2)",
        "  not used           brainmask.nii.gz  (2)",
        "names as patterns, to edit and to give again:",
        "  --pattern 'FLAIR={subject}/T2_FLAIR.nii'",
        "  --pattern 'T1w={subject}/t1_mprage.nii.gz'",
        "  --pattern 'ce-gadolinium_T1w={subject}/t1_post-gd.nii.gz'",
        "grids: size in voxels, spacing in mm, orientation",
        *[f"  {name:<18} 186 x 213 x 75  1.2 x 1.2 x 3 mm  LPS  (2)" for name in ("FLAIR", "T1w", "ce-gadolinium_T1w")],
        "pairs of images: 6 registered (not compared with pairs of different people: that needs 3 people)",
        "modalities that everyone has: FLAIR, T1w, ce-gadolinium_T1w",
    ]


def test_whole_heads_in_noise_have_a_head_for_foreground(foreign, manifest, smoke, subjects):
    theirs = read_manifest(foreign)
    config = config_for(smoke, theirs)
    cache = prepare(theirs, config.volume, progress=False)
    for index, record in enumerate(theirs.records):
        subject = cache[index]
        share = float(subject.foreground.float().mean())
        brain = float(subjects[NAMES.index(record.subject)].foreground.float().mean())
        assert 1.1 * brain < share < 2.2 * brain  # skull and scalp around the brain
        corners = subject.foreground[::31, ::31, ::31]
        assert not corners.any()
        assert not subject.volumes[:, ~subject.foreground].any()  # the noise is gone
        inside = subject.foreground[13:19, 13:19, 13:19]
        assert inside.all()  # ventricles and all


@pytest.mark.parametrize("axes", ["LPS", "PIR"])
def test_right_stays_right(tmp_path, smoke, axes):
    for subject in ("anna", "ben"):
        for number, modality in enumerate(("T1", "T2")):
            save(tmp_path / f"{subject}_{modality}.nii.gz", head(number), axes=axes)
    manifest = read_manifest(tmp_path)
    volume = prepare(manifest, config_for(smoke, manifest).volume, progress=False)[0].volumes[0]
    middle = len(volume) // 2
    assert volume[middle:].mean() > 1.1 * volume[:middle].mean()  # the head is brighter on the right


def test_too_few_people_are_refused(tmp_path, smoke):
    files(tmp_path, "anna_T1.nii.gz", "anna_T2.nii.gz", "ben_T1.nii.gz", "ben_T2.nii.gz")
    with pytest.raises(
        ValueError, match=r"holds 2 people, of whom 1 would be held out, but 2 are needed: bring at least 6 people"
    ):
        load_posed(tmp_path, smoke, 4)
