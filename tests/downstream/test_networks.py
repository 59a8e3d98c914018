"""The networks: what is learned and what is frozen, and that a missing image does exactly what `MISSING` says."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from toposlearn.config import ModelConfig, TacoConfig, preset
from toposlearn.downstream.finetuning import Tuner, task_loss
from toposlearn.downstream.networks import PersonReader, Segmenter, build_network
from toposlearn.downstream.settings import MISSING, FinetuneConfig, TaskConfig, finetune_config
from toposlearn.downstream.whole_heads import predict_head
from toposlearn.models import Taco

AGE = TaskConfig("regression", target="age")
TASKS = {"segmentation": TaskConfig(), "regression": AGE}


def made(base: TacoConfig, task: TaskConfig, outputs: int = 3, **changes) -> tuple[nn.Module, FinetuneConfig]:
    config = finetune_config(base, task, **changes)
    torch.manual_seed(5)
    return build_network(Taco(config.model), config, outputs), config


def inputs(config: FinetuneConfig, people: int = 2, images: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    shape = config.volume.shape
    foreground = torch.zeros(people, 1, *shape, dtype=torch.bool)
    foreground[..., 2:-2, 2:-2, 2:-2] = True
    volumes = torch.rand(people, images, *shape) * foreground
    return volumes, torch.ones(people, images, dtype=torch.bool), foreground


def output_of(network: nn.Module, volumes: Tensor, present: Tensor, foreground: Tensor) -> Tensor:
    with torch.no_grad():
        arguments = (volumes, present) if isinstance(network, Segmenter) else (volumes, present, foreground)
        return network.eval()(*arguments)


SHAPES = {
    "smoke": preset("smoke").model,  # a stage at stride 2, none at 1
    "no top-down": dataclasses.replace(
        preset("smoke").model,
        feature_size=4,
        top_down=False,
        token_features=48,
        token_strides=(8, 32),
        reconstruct_stride=32,
    ),
    "stems at strides 1 and 2": dataclasses.replace(preset("smoke").model, patch_size=4, feature_size=4),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("task", TASKS)
def test_every_shape_of_network_runs_forward_and_backward(name, task):
    model: ModelConfig = SHAPES[name]
    base = preset("smoke").replace(model=model, volume={"shape": (model.stage_strides[-1],) * 3})
    network, config = made(base, TASKS[task])
    volumes, present, foreground = inputs(config, people=1, images=1)
    arguments = (volumes, present) if task == "segmentation" else (volumes, present, foreground)
    output = network(*arguments)
    assert output.shape == ((1, 3, *config.volume.shape) if task == "segmentation" else (1, 3))
    output.square().mean().backward()
    idle = [part for part, weight in network.named_parameters() if weight.grad is None]
    assert all(part.startswith("encoder.") for part in idle)
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.grad is not None)
    patch = network.encoder.encoder.patch_embed.proj.weight
    assert patch.grad is not None
    assert patch.grad.abs().sum() > 0


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("missing", MISSING)
def test_what_a_missing_image_holds_is_never_read(task, missing, tiny):
    network, config = made(tiny, TASKS[task], missing=missing)
    volumes, present, foreground = inputs(config)
    present[0, 1] = present[1, 0] = False
    other = volumes.clone()
    other[~present] = 0.7
    first, second = (output_of(network, each, present, foreground) for each in (volumes, other))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    everything = output_of(network, volumes, torch.ones_like(present), foreground)
    assert (first - everything).abs().max() > 1e-5


@pytest.mark.parametrize("task", TASKS)
def test_mean_is_that_of_the_images_that_are_there(task, tiny):
    network, config = made(tiny, TASKS[task], missing="mean")
    volumes, present, foreground = inputs(config)
    present[:, 1] = False
    alone = output_of(network, volumes[:, [0, 2]], present[:, [0, 2]], foreground)
    torch.testing.assert_close(output_of(network, volumes, present, foreground), alone, rtol=1e-4, atol=1e-5)
    doubled = output_of(network, volumes[:, [0, 2, 0, 2]], present[:, [0, 2, 0, 2]], foreground)
    torch.testing.assert_close(doubled, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_zero_is_an_image_of_zeros_that_counts(task, tiny):
    network, config = made(tiny, TASKS[task], missing="zero")
    volumes, present, foreground = inputs(config)
    mean, _ = made(tiny, TASKS[task], missing="mean")
    mean.load_state_dict(network.state_dict())
    everything = output_of(network, volumes, present, foreground)
    torch.testing.assert_close(everything, output_of(mean, volumes, present, foreground))
    zeroed = volumes.clone()
    zeroed[:, 1] = 0
    filled = output_of(mean, zeroed, present, foreground)
    present[:, 1] = False
    torch.testing.assert_close(output_of(network, volumes, present, foreground), filled)
    assert (filled - output_of(mean, volumes, present, foreground)).abs().max() > 1e-5


def test_drop_is_attention_over_the_images_that_are_there(tiny):
    network, config = made(tiny, TaskConfig(), missing="drop")
    fusion = network.fusions[str(network.start)]
    maps = torch.randn(2, 3, 8, 4, 4, 4)
    present = torch.tensor([[True, True, False], [True, False, False]])
    torch.testing.assert_close(fusion(maps, present)[0], maps[0, :2].mean(dim=0))  # it begins with the mean
    torch.testing.assert_close(fusion(maps, present)[1], maps[1, 0])
    nn.init.normal_(fusion.score.weight)
    scores = torch.einsum("f,mfxyz->mxyz", fusion.score.weight[0], maps[0, :2]).exp()
    weighted = (scores[:, None] / scores.sum(dim=0) * maps[0, :2]).sum(dim=0)
    torch.testing.assert_close(fusion(maps, present)[0], weighted, rtol=1e-4, atol=1e-5)
    volumes, present, _ = inputs(config)
    alone = output_of(network, volumes[:, :1], present[:, :1], present)
    present[:, 1:] = False
    torch.testing.assert_close(output_of(network, volumes, present, present), alone, rtol=1e-4, atol=1e-5)


def test_one_modality_is_the_same_whatever_stands_for_a_missing_one(tiny):
    networks = {missing: made(tiny, TaskConfig(), missing=missing) for missing in MISSING}
    given = inputs(networks["mean"][1], images=1)
    expected = output_of(networks["mean"][0], *given)
    for network, _ in networks.values():
        network.load_state_dict(networks["mean"][0].state_dict(), strict=False)
        torch.testing.assert_close(output_of(network, *given), expected)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_air_is_not_pooled_and_a_head_smaller_than_a_token_is(pooling, tiny):
    network, config = made(tiny, AGE, pooling=pooling, outputs=1)
    tokens, mask = torch.randn(2, 4, 8), torch.tensor([[True, False, True, False], [False] * 4])
    pooled = network._pool(tokens, mask, 2)
    other = tokens.clone()
    other[0, 1] += 100
    torch.testing.assert_close(network._pool(other, mask, 2)[0], pooled[0])
    if pooling == "mean":
        for row, counted in enumerate(([0, 2], [0, 1, 2, 3])):
            expected = tokens[row, counted].mean(dim=0), tokens[row, counted].std(dim=0, correction=0)
            torch.testing.assert_close(pooled[row], torch.cat(expected), atol=1e-5, rtol=1e-5)
    volumes, present, foreground = inputs(config)
    small = torch.zeros_like(foreground)
    small[..., 3, 3, 3] = True
    assert torch.isfinite(output_of(network, volumes, present, small)).all()


@pytest.mark.parametrize("task", TASKS)
def test_frozen_weights_stay_and_those_added_learn(task, tiny, tmp_path):
    config = finetune_config(tiny, TASKS[task], freeze=True, steps=2)
    encoder = Taco(config.model)
    tuner = Tuner(config, encoder, 2 if task == "segmentation" else 1, None, tmp_path)
    before = {name: part.clone() for name, part in tuner.network.state_dict().items()}
    learning = {id(weight) for group in tuner.optimizer.param_groups for weight in group["params"]}
    assert learning == {
        id(weight) for name, weight in tuner.network.named_parameters() if not name.startswith("encoder.")
    }
    volumes, present, foreground = inputs(config)
    truth = foreground.long() if task == "segmentation" else torch.tensor([0.5, -0.5])
    tuner.train_step({"volumes": volumes, "present": present, "foreground": foreground, "truth": truth})
    changed = {name for name, part in tuner.network.state_dict().items() if not torch.equal(part, before[name])}
    assert changed
    assert not any(name.startswith("encoder.") for name in changed)


def test_pre_trained_weights_learn_more_slowly_than_those_added_unless_they_are_random(tiny, tmp_path):
    rates = {}
    for scratch in (False, True):
        config = finetune_config(tiny, AGE, from_scratch=scratch, learning_rate=0.01, encoder_rate=0.3)
        groups = Tuner(config, None, 1, None, tmp_path).optimizer.param_groups
        rates[scratch] = [group["initial_lr"] for group in groups]
    assert rates == {False: [pytest.approx(0.003), 0.01], True: [0.01, 0.01]}


def test_windows_of_a_larger_head_agree_with_it_where_the_network_is_local(tiny):
    config = finetune_config(tiny, TaskConfig(), spacing=4.5)
    assert config.volume.shape == (32, 32, 32)
    assert config.patch == (16, 16, 16)
    volumes, present, foreground = inputs(config, people=1, images=2)

    class Local(Segmenter):
        def forward(self, volumes: Tensor, present: Tensor) -> Tensor:
            assert volumes.shape[2:] == config.patch
            bright = (volumes * present[..., None, None, None]).amax(dim=1)
            return torch.stack([1 - bright, bright], dim=1)

    example = {"volumes": volumes[0], "present": present[0], "foreground": foreground[0]}
    scores = predict_head(Local(Taco(config.model), config, 2), example, config)
    torch.testing.assert_close(scores[1], volumes[0].amax(dim=0), rtol=1e-4, atol=1e-4)


def test_losses_of_the_tasks_in_closed_form():
    scores = torch.zeros(1, 2, 2, 2, 2)
    half = task_loss("segmentation", scores, torch.tensor([0, 1]).repeat(4).view(1, 1, 2, 2, 2))
    assert half.item() == pytest.approx(0.5 + torch.tensor(2.0).log().item(), rel=1e-4)  # Dice 1/2, cross-entropy ln 2
    assert task_loss("classification", torch.zeros(3, 4), torch.tensor([0.0, 3.0, 1.0])).item() == pytest.approx(
        torch.tensor(4.0).log().item()
    )
    assert task_loss("regression", torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 0.0])).item() == pytest.approx(5.0)
    assert isinstance(made(preset("smoke"), AGE, outputs=1)[0], PersonReader)


def test_scores_of_tokens_are_interpolated_and_the_decoder_adds_to_them(tiny):
    """At first the decoder is random: without it the scores are those of a linear reader of tokens."""
    config = finetune_config(tiny, TaskConfig())
    network = build_network(Taco(tiny.model), config, 3).eval()
    nn.init.zeros_(network.classify.weight)
    nn.init.zeros_(network.classify.bias)
    volumes, present = torch.rand(1, 2, 16, 16, 16), torch.ones(1, 2, dtype=torch.bool)
    with torch.no_grad():
        scores = network(volumes, present)
        maps = [network.encoder.feature_maps(volumes[:, one, None])[2] for one in range(2)]
        tokens = network.norm(((maps[0] + maps[1]) / 2).movedim(1, -1))
        coarse = network.classify_tokens(tokens.movedim(-1, 1))
    torch.testing.assert_close(scores, nn.functional.interpolate(coarse, scale_factor=2, mode="trilinear"))
