"""What a network costs: parts add up, products are counted as by hand, all presets stand in the table."""

import pytest
import torch
from torch import nn

from toposlearn.config import PRESETS, preset
from toposlearn.models import Taco, preset_table
from toposlearn.models.cost import network_cost

WEIGHTS, MACS = "parameters (M), ", "multiply-adds per volume (G), "


@pytest.fixture(scope="module")
def costs():
    return {name: network_cost(config) for name, config in PRESETS.items()}


@pytest.mark.parametrize("name", PRESETS)
def test_the_parts_are_the_whole_and_the_decoder_the_lighter_one(costs, name):
    *parts, whole = costs[name].values()
    assert sum(part.parameters for part in parts) == whole.parameters
    assert sum(part.macs for part in parts) == whole.macs
    assert 0 < costs[name]["decoder"].parameters < costs[name]["encoder"].parameters
    assert (costs[name]["top-down path"].macs > 0) == preset(name).model.top_down


@pytest.mark.parametrize("name", PRESETS)
def test_multiply_adds_of_the_decoder_are_those_of_its_convolutions(costs, name):
    """Each weight once for each place of the map that its convolution writes."""
    config = preset(name)
    decoder, places = Taco(config.model).decoder, []
    for part in decoder.modules():
        if isinstance(part, nn.Conv3d):
            part.register_forward_hook(lambda conv, _, out: places.append(conv.weight.numel() * out[0, 0].numel()))
    width = next(decoder.parameters()).shape[1]
    grid = [side // config.model.reconstruct_stride for side in config.volume.shape]
    with torch.no_grad():
        decoder(torch.zeros(1, width, *grid))
    assert costs[name]["decoder"].macs == sum(places)


def test_the_table_has_a_column_for_each_preset_and_the_numbers_of_its_network(costs):
    lines = [line.strip("|\n").split("|") for line in preset_table().splitlines()]
    table = {words.strip(): dict(zip(PRESETS, map(str.strip, cells), strict=True)) for words, *cells in lines}
    assert table[""] == {name: f"preset `{name}`" for name in PRESETS}
    assert table["voxels"]["lab"] == "64 x 64 x 64 of 3 mm"
    assert table["tokens of each level"]["paper"] == "12 x 12 x 12 of 8 mm; 3 x 3 x 3 of 32 mm"
    assert table["training"]["gpu"] == "5000 steps of 8 volumes"
    assert table[WEIGHTS + "top-down path"]["paper"] == "none"
    for name, cost in costs.items():
        for words, part in cost.items():
            for row, value in ((WEIGHTS + words, part.parameters / 1e6), (MACS + words, part.macs / 1e9)):
                shown = table[row][name]
                assert float(shown.replace("none", "0")) == pytest.approx(value, rel=0.005)
