"""Data sets that list their images in a file, in miniature."""

import json

import pytest
from foreign_maker import touch, tree

from toposlearn.data import Source, read_manifest

T1CE = "ce-gadolinium_T1w"


def write(path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_decathlon_holds_all_channels_in_one_file(tmp_path):
    folder = tmp_path / "Task01_BrainTumour"
    touch(
        folder, [*tree("{place}/BRATS_00{n}.nii.gz", place="imagesTr labelsTr", n="1 2"), "imagesTs/BRATS_009.nii.gz"]
    )
    names = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    write(folder / "dataset.json", {"modality": names, "labels": {"0": "background", "1": "edema"}, "training": []})
    for root in (folder, tmp_path):
        manifest = read_manifest(root)
        assert manifest.layout == "Medical Segmentation Decathlon, dataset.json"
        assert [record.subject for record in manifest.records] == ["BRATS_001", "BRATS_002", "BRATS_009"]
    record = manifest.records[0]
    assert record.channels == {"FLAIR": 0, "T1w": 1, T1CE: 2, "T2w": 3}
    assert set(record.images.values()) == {folder / "imagesTr/BRATS_001.nii.gz"}
    assert record.lesion == folder / "labelsTr/BRATS_001.nii.gz"
    assert manifest.records[2].lesion is None


def test_nnunet_holds_a_file_per_channel(tmp_path):
    cases = "BraTS-GLI-00008-000 BraTS-GLI-00008-001 case7"
    touch(tmp_path, tree("imagesTr/{case}_000{n}.nii.gz", case=cases, n="0 1"))
    touch(tmp_path, tree("labelsTr/{case}.nii.gz", case=cases))
    labels = {"background": 0, "hippocampus": 1}
    write(
        tmp_path / "dataset.json", {"channel_names": {"0": "T1", "1": "T2"}, "labels": labels, "file_ending": ".nii.gz"}
    )
    manifest = read_manifest(tmp_path)
    assert manifest.layout == "nnU-Net, dataset.json"
    assert [record.subject for record in manifest.records] == ["BraTS-GLI-00008", "case7"]
    record = manifest.records[1]
    assert {name: path.name for name, path in record.images.items()} == {
        "T1w": "case7_0000.nii.gz",
        "T2w": "case7_0001.nii.gz",
    }
    assert record.channels == {}
    assert record.label_maps == {"labelsTr": tmp_path / "labelsTr/case7.nii.gz"}


def test_a_channel_without_a_modality_is_told(tmp_path):
    touch(tmp_path, ["imagesTr/c_0000.nii.gz", "imagesTr/c_0001.nii.gz"])
    write(tmp_path / "dataset.json", {"channel_names": {"0": "T1", "1": "MRI"}})
    manifest = read_manifest(tmp_path)
    assert list(manifest.records[0].images) == ["T1w"]
    assert "'MRI' in the list names no modality" in manifest.notes[0]


def test_nnssl(tmp_path, monkeypatch):
    monkeypatch.setenv("nnssl_raw", str(tmp_path / "raw"))

    def image(name, modality, mask=None):
        masks = {"anatomy_mask": mask, "anonymization_mask": "$nnssl_raw/face.nii.gz"}
        return {"name": name, "modality": modality, "image_path": f"$nnssl_raw/{name}", "associated_masks": masks}

    def subject(*images):
        return {"subject_info": {}, "sessions": {"ses-DEFAULT": {"session_info": None, "images": list(images)}}}

    pictures = [image("a.nii.gz", "T1w", "$nnssl_raw/anat.nii.gz"), image("b.nii.gz", "T2w"), image("c.nii.gz", "FA")]
    datasets = {name: {"dataset_index": name, "subjects": {"sub-01": subject(*pictures)}} for name in ("ds1", "ds2")}
    write(tmp_path / "raw/pretrain_data.json", {"collection_index": 1, "collection_name": "x", "datasets": datasets})
    touch(tmp_path / "raw", ["a.nii.gz", "b.nii.gz", "c.nii.gz", "anat.nii.gz", "face.nii.gz"])
    manifest = read_manifest(tmp_path / "raw")
    assert [record.subject for record in manifest.records] == ["ds1_sub-01", "ds2_sub-01"]
    record = manifest.records[0]
    assert record.images == {"T1w": tmp_path / "raw/a.nii.gz", "T2w": tmp_path / "raw/b.nii.gz"}
    assert record.label_maps == {"anatomy_mask": tmp_path / "raw/anat.nii.gz"}


A1, A2, B1 = "ANNA/T1.nii.gz", "ANNA/T2.nii.gz", "BEN/T1.nii.gz"


@pytest.mark.parametrize(
    "content",
    [
        [{"subject": "ANNA", "T1w": A1, "T2w": A2}, {"subject": "BEN", "T1w": B1}],
        [{"id": "ANNA", "t1": A1, "t2": A2}, {"id": "BEN", "t1": B1}],
        {"ANNA": {"T1w": A1, "T2w": A2}, "BEN": {"T1w": B1}},
        {"ANNA": {"ses-1": {"T1w": A1, "T2w": A2}}, "BEN": {"ses-1": {"T1w": B1}}},
        {"ANNA": [A1, A2], "BEN": [B1]},
        {
            "name": "my data",
            "training": [{"image": [A1, A2], "label": "ANNA/seg.nii.gz"}],
            "validation": [{"image": B1}],
        },
        [A1, A2, B1],
    ],
)
def test_plain_lists(tmp_path, content):
    touch(tmp_path, [A1, A2, B1, "ANNA/seg.nii.gz", "CARL/T1.nii.gz"])
    write(tmp_path / "list.json", content)
    manifest = read_manifest(tmp_path / "list.json")
    assert {record.subject: dict(record.images) for record in manifest.records} == {
        "ANNA": {"T1w": tmp_path / A1, "T2w": tmp_path / A2},
        "BEN": {"T1w": tmp_path / B1},
    }
    assert manifest.root == tmp_path
    if "training" in content:
        assert list(manifest.records[0].label_maps) == ["seg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "list.json is not valid JSON"),
        ("[]", "list.json lists no image: write, for each person, the paths"),
        ('{"datasets": [1]}', "list.json is not as nnssl writes it"),
        ('{"datasets": {"a": {"subjects": {"s": {"sessions": {"x": {"images": [1]}}}}}}}', "list.json is not as nnssl"),
    ],
)
def test_damaged_lists_are_refused_in_one_line(tmp_path, text, message):
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_manifest(tmp_path / "list.json")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_list_is_refused(tmp_path):
    (tmp_path / "scan.nii.gz").touch()
    with pytest.raises(NotADirectoryError, match="is no folder: give the folder of the images, or a JSON file"):
        read_manifest(tmp_path / "scan.nii.gz")


def test_an_image_that_is_listed_and_not_there_is_told(tmp_path):
    touch(tmp_path, ["imagesTr/a.nii.gz"])
    listed = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in "ab"]
    write(tmp_path / "dataset.json", {"modality": {"0": "T1"}, "training": listed})
    manifest = read_manifest(tmp_path)
    assert [record.subject for record in manifest.records] == ["a"]
    assert f"{tmp_path}/imagesTr/b.nii.gz does not exist, but dataset.json lists it: copy it" in manifest.notes[0]


def test_lists_are_read_as_editors_leave_them(tmp_path):
    touch(tmp_path, ["imagesTr/a.nii.gz"])
    (tmp_path / "dataset.json").write_bytes(b'\xef\xbb\xbf{"modality": {"0": "T1",}, "training": [],}')
    assert len(read_manifest(tmp_path)) == 1
    (tmp_path / "dataset.json").write_text('{"modality": ')
    with pytest.raises(ValueError, match=r"dataset.json is no JSON .*: correct it, or remove it from the folder"):
        read_manifest(tmp_path)


def test_a_list_without_a_modality_is_told_and_a_pattern_helps(tmp_path):
    touch(tmp_path, ["imagesTr/a.nii.gz"])
    write(tmp_path / "dataset.json", {"training": []})
    with pytest.raises(ValueError, match=r"has no modality in dataset.json: name it in the list, or with --pattern"):
        read_manifest(tmp_path)
    source = Source.of_options(tmp_path, patterns=["T1w=imagesTr/{subject}.nii.gz"])
    assert list(read_manifest(source).records[0].images) == ["T1w"]


def test_a_folder_of_data_sets_is_told(tmp_path):
    for name in ("Dataset001_A", "Dataset002_B"):
        touch(tmp_path / name, ["imagesTr/a_0000.nii.gz"])
        write(tmp_path / name / "dataset.json", {"channel_names": {"0": "T1"}})
    with pytest.raises(ValueError, match=r"holds 2 data sets, such as Dataset001_A, .*: give each by its own --data"):
        read_manifest(tmp_path)
