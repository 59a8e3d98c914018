"""Settings: what is written is read back, what makes no sense is refused with a message that says so."""

import dataclasses
import json

import pytest

from toposlearn.config import (
    MATCHERS,
    PRESETS,
    RELEASED,
    VARIANTS,
    AugmentConfig,
    LossConfig,
    ModelConfig,
    TacoConfig,
    TrainConfig,
    VolumeConfig,
    preset,
    with_variant,
)

DEEPEST = {name: config.model.patch_size * 16 for name, config in PRESETS.items()}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_a_round_trip_through_json(tmp_path, name):
    config = preset(name)
    assert TacoConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    config.save(tmp_path / "config.json")
    assert TacoConfig.load(tmp_path / "config.json") == config
    assert hash(TacoConfig.load(tmp_path / "config.json")) == hash(config)  # lists came back as tuples


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_themselves_and_fit_their_network(name):
    config = preset(name)
    assert config.preset == name
    assert all(side % DEEPEST[name] == 0 for side in config.volume.shape)
    assert config.train.warmup_steps < config.train.steps
    tokens = [(config.volume.shape[0] // stride) ** 3 for stride in config.model.token_strides]
    assert min(tokens) >= config.loss.k + 2  # fewer would be refused by the losses
    assert all(
        features % heads == 0
        for features, heads in zip(config.model.stage_features, config.model.num_heads, strict=False)
    )


def test_presets_have_the_token_grids_they_promise():
    def grids(name):
        config = preset(name)
        return {config.volume.shape[0] // stride for stride in config.model.token_strides}

    assert {name: grids(name) for name in PRESETS} == {
        "smoke": {8, 4},
        "lab": {16, 8},
        "gpu": {24, 12},
        "paper": {12, 3},
    }


def test_an_unknown_preset_or_variant_lists_the_choices():
    with pytest.raises(ValueError, match="unknown preset 'huge': choose one of smoke, lab, gpu, paper"):
        preset("huge")
    with pytest.raises(ValueError, match="unknown variant 'both': choose one of reconstruction, intra, inter, full"):
        with_variant(preset("lab"), "both")


def test_unknown_settings_are_refused_by_name():
    with pytest.raises(ValueError, match="unknown setting sted in TacoConfig"):
        TacoConfig.from_dict({"sted": 1})
    with pytest.raises(ValueError, match="unknown setting leraning_rate in TrainConfig"):
        TacoConfig.from_dict({"train": {"leraning_rate": 1e-3}})


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (VolumeConfig, {"shape": (64, 64)}, r"volume.shape must be three sizes, got \(64, 64\)"),
        (VolumeConfig, {"shape": (64, 64, 0)}, r"volume.shape must be three sizes, got \(64, 64, 0\)"),
        (VolumeConfig, {"spacing": 0.0}, r"volume.spacing must be positive \(mm\), got 0.0"),
        (VolumeConfig, {"modalities": ()}, "volume.modalities must name at least one"),
        (AugmentConfig, {"rotation": -1.0}, "augment values must be >= 0"),
        (AugmentConfig, {"scale": 1.0}, "augment.scale and augment.gamma must be below 1"),
        (ModelConfig, {"feature_size": 13, "num_heads": (2, 2, 4, 8)}, "model.feature_size must be a multiple"),
        (
            ModelConfig,
            {"patch_size": 2, "token_strides": (5,)},
            r"model.token_strides must be among \(2, 4, 8, 16, 32\), got \(5,\)",
        ),
        (ModelConfig, {"token_strides": ()}, "model.token_strides must name at least one level"),
        (ModelConfig, {"reconstruct_stride": 3}, r"model.reconstruct_stride must be among .* got \(3,\)"),
        (LossConfig, {"weight_inter": -1.0}, r"loss weights must be >= 0, got \(1.0, 1.0, -1.0\)"),
        (LossConfig, {"k": 0}, "loss.k must be >= 1, got 0"),
        (LossConfig, {"margin_intra": -0.1}, "loss margins must be >= 0"),
        (LossConfig, {"form": "both"}, "loss.form must be one of within, cross, got 'both'"),
        (LossConfig, {"metric": "manhattan"}, "loss.metric must be one of cosine, euclidean, got 'manhattan'"),
        (TrainConfig, {"steps": 0}, "train.steps must be >= 1, got 0"),
        (TrainConfig, {"subjects_per_step": 0}, "train.subjects_per_step must be >= 1, got 0"),
        (TrainConfig, {"learning_rate": 0.0}, "train.learning_rate must be positive, got 0.0"),
        (TrainConfig, {"checkpoint_every": 0}, "train.checkpoint_every must be >= 1, got 0"),
        (TrainConfig, {"precision": "fp8"}, "train.precision must be no, bf16 or fp16, got 'fp8'"),
        (TrainConfig, {"test_fraction": 1.0}, "train.test_fraction must be between 0 and 1, got 1.0"),
        (TacoConfig, {"volume": VolumeConfig(shape=(48, 64, 64))}, r"must be a multiple of \d+, the encoder's deepest"),
    ],
)
def test_each_setting_that_makes_no_sense_says_so(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(**values)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("lab").train.steps = 3


def test_replace_changes_what_is_named_and_checks_it():
    config = preset("lab").replace(train={"steps": 7}, variant="intra")
    assert (config.train.steps, config.variant) == (7, "intra")
    steps = preset("lab").train.steps
    assert config.replace(train={"steps": steps}, variant="full") == preset("lab")
    with pytest.raises(ValueError, match=r"train.steps"):
        config.replace(train={"steps": 0})


@pytest.mark.parametrize("variant", ["reconstruction", "intra", "inter", "full"])
def test_a_variant_switches_terms_off_and_nothing_else(variant):
    config = with_variant(preset("lab"), variant)
    on = {"reconstruction": (0, 0), "intra": (1, 0), "inter": (0, 1), "full": (1, 1)}[variant]
    assert (config.loss.weight_intra, config.loss.weight_inter) == on
    assert config.loss.weight_reconstruction == 1
    assert config.replace(variant="full", loss={"weight_intra": 1.0, "weight_inter": 1.0}) == preset("lab")


def test_every_variant_is_named_after_itself():
    assert [with_variant(preset("lab"), variant).variant for variant in VARIANTS] == list(VARIANTS)


def test_the_variant_as_described_shares_the_pose_and_reads_within_a_modality():
    config = with_variant(preset("lab"), "shared_pose")
    assert (config.augment.shared_pose, config.loss.form) == (True, "within")
    assert (config.loss.weight_intra, config.loss.weight_inter) == (1, 1)


def test_stages_double_in_stride_and_width():
    model = ModelConfig(feature_size=12, patch_size=2)
    assert model.stage_strides == (2, 4, 8, 16, 32)
    assert model.stage_features == (12, 24, 48, 96, 192)


def test_a_matcher_changes_the_matcher_and_its_gates_only():
    for terms in ("inter", "full"):
        usual = with_variant(preset("lab"), terms)
        for name, settings in MATCHERS.items():
            config = with_variant(preset("lab"), f"{terms}-{name}")
            assert config == usual.replace(variant=f"{terms}-{name}", loss=settings)
    assert with_variant(preset("lab"), "inter-mutual").loss == with_variant(preset("lab"), "inter").loss
    with pytest.raises(ValueError, match=r"unknown variant 'intra-oracle'.* with a matcher of nearest, mutual"):
        with_variant(preset("lab"), "intra-oracle")


def test_released_sets_all_that_the_released_code_does_and_says_so():
    loss = LossConfig(released=True, form="cross", margin_intra=0.7, matcher="oracle", inter_start=100)
    assert {name: getattr(loss, name) for name in RELEASED} == RELEASED
    assert with_variant(preset("lab"), "released").loss.scrambled
    config = preset("lab").replace(loss={"released": True})
    assert TacoConfig.from_dict(config.to_dict()) == config
    assert config.to_dict()["loss"]["margin_intra"] == 0.05


def test_scrambled_changes_the_tokens_only():
    config = with_variant(preset("lab"), "scrambled")
    assert config.replace(variant="full", loss={"scrambled": False}) == preset("lab")


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"ratio": 1.2}, "loss.ratio must be between 0 and 1, got 1.2"),
        ({"min_similarity": 5}, "loss.min_similarity must be between -1 and 1, got 5"),
        ({"dustbin": 9}, "loss.dustbin must be between -1 and 1, got 9"),
        ({"scrambled": True, "matcher": "oracle"}, "loss.scrambled tokens have no place"),
        ({"scrambled": True, "max_distance": 50.0}, "loss.scrambled tokens have no place"),
    ],
)
def test_gates_that_nothing_can_pass_are_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        LossConfig(**loss)
