"""Settings of fine-tuning: what is refused in one line, what survives JSON, and which grid a task gets."""

import dataclasses
import json

import pytest

from toposlearn.config import PRESETS, preset
from toposlearn.downstream.settings import (
    MISSING,
    REGIONS,
    FinetuneConfig,
    TaskConfig,
    finetune_config,
    parse_regions,
    parse_where,
)

SEX = TaskConfig("classification", target="sex")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("task", [TaskConfig(), TaskConfig(regions=REGIONS["brats"]), SEX])
def test_every_preset_makes_settings_that_survive_json(name, task):
    config = finetune_config(preset(name), task)
    assert config.patch == config.volume.shape == preset(name).volume.shape
    again = FinetuneConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.task.regions == task.regions


def test_a_finer_grid_covers_the_same_place_in_patches_for_segmentation_only():
    config = finetune_config(preset("lab"), TaskConfig(), spacing=2.0)
    assert config.volume.shape == (128, 128, 128)  # 64 * 3 / 2 = 96, in steps of 64
    assert config.patch == (64, 64, 64)
    whole = finetune_config(preset("lab"), SEX, spacing=2.0)
    assert whole.patch == whole.volume.shape == (128, 128, 128)
    coarse = finetune_config(preset("gpu"), TaskConfig(), spacing=4.0)
    assert coarse.patch == coarse.volume.shape == (64, 64, 64)  # 96 * 2 / 4 = 48, in steps of 32


def test_runs_that_differ_in_workers_only_are_one_run():
    config = finetune_config(preset("smoke"), TaskConfig())
    assert config.replace(workers=3) == config
    assert config.replace(seed=3) != config


@pytest.mark.parametrize(
    ("kind", "values", "reason"),
    [
        (TaskConfig, {"kind": "detection"}, "task.kind must be one of segmentation, classification, regression"),
        (TaskConfig, {"kind": "classification"}, "name it with --target"),
        (TaskConfig, {"target": "sex"}, "task.target 'sex' is not read with segmentation"),
        (TaskConfig, {"kind": "regression", "target": "age", "labels": "seg"}, "read with segmentation only"),
        (TaskConfig, {"kind": "regression", "target": "age", "regions": {"a": (1,)}}, "read with segmentation only"),
        (TaskConfig, {"regions": {"air": (0, 1)}}, "air must name labels of 1 or more"),
        (FinetuneConfig, {"steps": 0}, "finetune.steps must be >= 1"),
        (FinetuneConfig, {"missing": "guess"}, f"must be one of {', '.join(MISSING)}"),
        (FinetuneConfig, {"pooling": "attention"}, "read with classification and regression only"),
        (FinetuneConfig, {"freeze": True, "from_scratch": True}, "--freeze keeps pre-trained weights"),
        (FinetuneConfig, {"modality_dropout": 1.0}, "must be below 1"),
        (FinetuneConfig, {"clip_norm": 0.0}, "clip_norm must be positive"),
        (FinetuneConfig, {"patch": (32, 64, 64)}, "patch must be three multiples of 64"),
        (FinetuneConfig, {"patch": (128, 64, 64)}, "must lie in volume.shape"),
        (FinetuneConfig, {"workers": -1}, "finetune.workers must be >= 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(kind, values, reason):
    with pytest.raises(ValueError, match=reason) as error:
        kind(**values)
    assert "\n" not in str(error.value)


def test_a_decoder_needs_strides_that_can_be_halved_and_patches_a_segmentation():
    model = dataclasses.replace(preset("smoke").model, patch_size=3, token_strides=(6,), reconstruct_stride=6)
    volume = dataclasses.replace(preset("smoke").volume, shape=(48, 48, 48))
    with pytest.raises(ValueError, match="power of 2 for segmentation, got 3"):
        FinetuneConfig(model=model, volume=volume, patch=(48, 48, 48))
    assert FinetuneConfig(task=SEX, model=model, volume=volume, patch=(48, 48, 48)).model.patch_size == 3
    smoke = preset("smoke").model
    with pytest.raises(ValueError, match="patches are read with segmentation only"):
        FinetuneConfig(task=SEX, model=smoke, patch=(32, 32, 32))
    with pytest.raises(ValueError, match="--spacing must be positive"):
        finetune_config(preset("smoke"), TaskConfig(), spacing=0.0)


def test_regions_are_named_or_written_out():
    assert parse_regions("") == {}
    assert parse_regions("whole=1, 2,3; core=1,3") == {"whole": (1, 2, 3), "core": (1, 3)}
    for name, regions in REGIONS.items():
        assert parse_regions(name) == regions
        whole, core, enhancing = (set(regions[f"{part} tumor" if part != "core" else "tumor core"]) for part in PARTS)
        assert enhancing < core < whole
    assert 4 not in parse_regions("brats-2024")["whole tumor"]  # the cavity that surgery left


PARTS = ("whole", "core", "enhancing")


@pytest.mark.parametrize("text", ["tumor", "whole=", "=1", "whole=1,x", "whole=1;core", "whole=-1", "whole=²"])
def test_regions_that_cannot_be_read_are_shown(text):
    with pytest.raises(ValueError, match="is not understood: write brats, brats-2024, or as in"):
        parse_regions(text)


def test_people_are_chosen_by_columns():
    where = parse_where(["lesion_type=stroke, metastases", "sex = F"])
    assert where == {"lesion_type": ("stroke", "metastases"), "sex": ("F",)}
    config = finetune_config(preset("smoke"), dataclasses.replace(SEX, where=where))
    assert FinetuneConfig.from_dict(json.loads(json.dumps(config.to_dict()))).task.where == where
    with pytest.raises(ValueError, match="--where 'sex' is not of the form COLUMN=VALUES"):
        parse_where(["sex"])
