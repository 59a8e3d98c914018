import pandas as pd
import pytest
import torch

from toposlearn.config import preset
from toposlearn.explore.gradients import (
    gradient_norms,
    part_of,
    plot_gradient_norms,
    plot_steering,
    steering,
    term_gradients,
)
from toposlearn.models import Taco


@pytest.fixture(scope="module")
def gradients():
    torch.manual_seed(0)
    config = preset("smoke").model
    model = Taco(config)
    output = model(torch.rand(1, 1, 32, 32, 32))
    coarse = output.tokens[max(config.token_strides)]
    return term_gradients(model, {"reconstruction": output.reconstruction.square().mean(), "intra": coarse.std()})


def test_every_parameter_has_a_part():
    assert part_of("encoder.patch_embed.proj.weight") == "patches"
    assert part_of("encoder.layers2.0.blocks.0.attn.qkv.weight") == "stage 2"
    assert part_of("encoder.layers4c.0.layer.conv1.conv.weight") == "stage 4"
    assert part_of("pyramid.inner_blocks.0.0.weight") == "top-down path"
    assert part_of("decoder.0.conv.weight") == "decoder"


def test_a_term_on_tokens_does_not_reach_the_decoder(gradients):
    norms = gradient_norms(gradients)
    assert list(norms.columns) == ["reconstruction", "intra"]
    assert norms.loc["decoder", "intra"] == 0
    assert norms.loc["decoder", "reconstruction"] > 0
    assert (norms.drop("decoder") > 0).all().all()


def test_gradients_are_those_of_backward(gradients):
    torch.manual_seed(0)
    model = Taco(preset("smoke").model)
    model(torch.rand(1, 1, 32, 32, 32)).reconstruction.square().mean().backward()
    decoder = torch.cat([weight.grad.flatten() for name, weight in model.named_parameters() if "decoder" in name])
    assert torch.allclose(gradients["reconstruction"]["decoder"], decoder, atol=1e-6)


def test_the_weight_decides_who_steers():
    across = {"reconstruction": {"a": torch.tensor([1.0, 0.0])}, "intra": {"a": torch.tensor([0.0, 1.0])}}
    table = steering(across, [0.0, 1.0, 1e6])
    assert table["reconstruction"].tolist() == pytest.approx([1, 0.5**0.5, 0], abs=1e-5)
    assert table["intra"].tolist() == pytest.approx([0, 0.5**0.5, 1], abs=1e-5)
    with pytest.raises(ValueError, match="'reconstruction', got intra"):
        steering({"intra": across["intra"]}, [1.0])


def test_figures_have_a_panel_per_network(gradients):
    norms = gradient_norms(gradients)
    figure = plot_gradient_norms({"untrained": norms, "trained": norms})
    assert [ax.get_title() for ax in figure.axes] == ["untrained", "trained"]
    assert len(figure.axes[0].patches) == norms.size
    table = pd.DataFrame({"reconstruction": [1.0, 0.2], "intra": [0.0, 0.9]}, index=[0.1, 10])
    assert len(plot_steering({"trained": table}).axes[0].lines) == 3
