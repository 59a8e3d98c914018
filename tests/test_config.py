"""Settings: what is written is read back, what makes no sense is refused with a message that says so."""

import dataclasses
import json

import pytest

from toposlearn.config import (
    MATCHERS,
    PRESETS,
    TRIPLETS,
    VARIANTS,
    AugmentConfig,
    LossConfig,
    ModelConfig,
    TacoConfig,
    VolumeConfig,
    preset,
    with_variant,
)
from toposlearn.settings import RELEASED, TrainConfig

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


def test_a_token_has_the_channels_of_the_pyramid_or_of_its_stage():
    assert ModelConfig(token_features=40).features_at(8) == 40
    assert ModelConfig(feature_size=12, patch_size=4, top_down=False).features_at(8) == 24


def test_an_unknown_preset_or_variant_lists_the_choices():
    with pytest.raises(ValueError, match="unknown preset 'huge': choose one of smoke, lab, gpu, paper"):
        preset("huge")
    with pytest.raises(ValueError, match="unknown variant 'both': choose one of reconstruction, intra, triplet, inter"):
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
        (LossConfig, {"weight_inter": -1.0}, "loss.weight_inter must be >= 0, got -1.0"),
        (LossConfig, {"k": 0}, "loss.k must be >= 1, got 0"),
        (LossConfig, {"margin_intra": -0.1}, "loss.margin_intra must be >= 0"),
        (LossConfig, {"form": "both"}, "loss.form must be one of within, cross, listwise, got 'both'"),
        (LossConfig, {"metric": "manhattan"}, "loss.metric must be one of cosine, euclidean, got 'manhattan'"),
        (TrainConfig, {"steps": 0}, "train.steps must be >= 1, got 0"),
        (TrainConfig, {"subjects_per_step": 0}, "train.subjects_per_step must be >= 1, got 0"),
        (TrainConfig, {"learning_rate": 0.0}, "train.learning_rate must be positive, got 0.0"),
        (TrainConfig, {"checkpoint_every": 0}, "train.checkpoint_every must be >= 1, got 0"),
        (TrainConfig, {"precision": "fp8"}, "train.precision must be one of no, bf16, fp16, got 'fp8'"),
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


def test_released_replaces_all_that_the_released_code_does_and_says_so():
    config = preset("lab").replace(loss={"released": True})
    assert {name: getattr(config.loss, name) for name in RELEASED} == RELEASED
    unmarked = config.replace(loss={name: getattr(preset("lab").loss, name) for name in ("released", *RELEASED)})
    assert unmarked == preset("lab")  # and nothing else
    assert TacoConfig.from_dict(config.to_dict()) == config
    assert config.to_dict()["loss"]["margin_intra"] == 0.05


OTHERWISE = {
    "scrambled": False,
    "foreground": True,
    "directions": "mean",
    "form": "cross",
    "metric": "euclidean",
    "margin_intra": 0.3,
    "negatives": "semi_hard",
    "matcher": "nearest",
    "min_similarity": 0.5,
    "ratio": 0.9,
    "max_distance": 40.0,
    "inter_start": 3,
}


@pytest.mark.parametrize("name", RELEASED)
def test_a_given_value_that_contradicts_released_is_refused_never_overwritten(name):
    value = OTHERWISE[name]
    message = rf"loss.released stands for {name}={RELEASED[name]!r} \(got {value!r}\)"
    with pytest.raises(ValueError, match=message):
        preset("lab").replace(loss={"released": True, name: value})
    with pytest.raises(ValueError, match=message):
        preset("lab").replace(loss={"released": True}).replace(loss={name: value})
    with pytest.raises(ValueError, match=message):
        LossConfig(**RELEASED | {"released": True, name: value})
    saved = preset("lab").replace(loss={"released": True}).to_dict()
    saved["loss"][name] = value
    with pytest.raises(ValueError, match=message):
        TacoConfig.from_dict(saved)


def test_released_alone_names_what_is_missing_and_the_remedy():
    with pytest.raises(ValueError, match=r"scrambled=True \(got False\), .*config.replace\(loss={'released': True}\)"):
        LossConfig(released=True)


def test_saved_settings_of_every_age_can_be_read():
    """Some files name fewer settings than there are now; shipped weights carry such a one."""
    assert TacoConfig.from_dict({"loss": {"released": False}}) == TacoConfig()
    old = TacoConfig.from_dict({"loss": {"released": True, "margin_intra": 0.05, "form": "within"}})
    assert old == TacoConfig().replace(loss={"released": True})


def test_the_released_variant_of_the_paper_s_preset_has_the_released_code_s_weights():
    loss = with_variant(preset("paper"), "released").loss
    assert (loss.weight_reconstruction, loss.weight_intra, loss.weight_inter) == (1, 10, 10)
    assert loss.directions == "sum"
    assert {name: getattr(loss, name) for name in RELEASED} == RELEASED


def test_scrambled_changes_the_tokens_only():
    config = with_variant(preset("lab"), "scrambled")
    triplets = preset("lab").replace(loss=TRIPLETS)  # the listwise form needs places
    assert config.replace(variant="full", loss={"scrambled": False}) == triplets


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"ratio": 1.2}, "loss.ratio must be between 0 and 1, got 1.2"),
        ({"min_similarity": 5}, "loss.min_similarity must be between -1 and 1, got 5"),
        ({"dustbin": 9}, "loss.dustbin must be between -1 and 1, got 9"),
        ({"scrambled": True, "matcher": "oracle"}, "loss.scrambled tokens have no place"),
        ({"scrambled": True, "max_distance": 50.0}, "loss.scrambled tokens have no place"),
        ({"scrambled": True, "form": "listwise"}, "loss.scrambled tokens have no place"),
        ({"form": "listwise", "radius": 0.0}, "loss.radius must be positive, got 0.0"),
        ({"form": "listwise", "margin_intra": 0.3}, "loss.margin_intra is read with the forms"),
        ({"radius": 6.0}, "loss.radius is read with the form 'listwise' only"),
    ],
)
def test_gates_that_nothing_can_pass_are_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        LossConfig(**loss)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("volume", {"modalities": ("T1w", "T2w", "T1w")}, "volume.modalities must differ from each other"),
        ("augment", {"misregister_alike": True}, "augment.misregister_alike needs a misregister_shift or _rotation"),
        ("model", {"top_down": False, "token_features": 96}, "model.token_features is read with top_down only: leave"),
        ("model", {"token_strides": (8, 8)}, "model.token_strides must differ from each other"),
        ("loss", {"temperature": 0.2}, "loss.temperature is read with the matcher 'sinkhorn' only: leave it at 0.05"),
        ("loss", {"matcher": "nearest", "dustbin": 0.5}, r"loss.dustbin is read with .* choose that \(got 0.5\)"),
        ("loss", {"token_levels": ()}, "loss.token_levels must name at least one level, or be None"),
        ("loss", {"token_levels": (8, 8)}, "loss.token_levels must differ from each other"),
        ("loss", {"token_levels": (8, 32)}, r"loss.token_levels \[32\] are not among the model's levels \(4, 8\)"),
        ("loss", {"inter_start": 1200}, "loss.inter_start 1200 must be below train.steps 1200"),
        ("train", {"clip_norm": 0.0}, "train.clip_norm must be positive, got 0.0"),
        ("train", {"warmup_steps": -1}, "train.warmup_steps must be >= 0, got -1"),
        ("train", {"score_every": -1}, "train.score_every must be >= 0, got -1"),
        ("train", {"score_people": 1}, "train.score_people must be >= 2, people to compare, got 1"),
    ],
)
def test_a_value_that_nothing_would_read_is_refused(section, values, message):
    with pytest.raises(ValueError, match=message):
        preset("lab").replace(**{section: values})


def test_settings_are_taken_where_something_reads_them():
    config = preset("lab").replace(
        augment={"misregister_alike": True, "misregister_shift": 5.0},
        model={"token_features": 96},
        loss={"matcher": "sinkhorn", "temperature": 0.2, "dustbin": 0.5, "token_levels": (8,), "inter_start": 1199},
    )
    assert (config.loss.temperature, config.loss.dustbin, config.model.token_features) == (0.2, 0.5, 96)


def test_a_variant_is_what_its_name_says_or_refused():
    """Formerly `full` of a configuration without intra was called full."""
    bare = preset("lab").replace(loss={"weight_intra": 0.0})
    with pytest.raises(ValueError, match=r"variant 'full' needs loss.weight_intra above 0"):
        with_variant(bare, "full")
    assert with_variant(bare, "inter").loss == with_variant(preset("lab"), "inter").loss
    with pytest.raises(ValueError, match="variant 'full' is made of variant 'full', got 'reconstruction'"):
        with_variant(with_variant(preset("lab"), "reconstruction"), "full")
