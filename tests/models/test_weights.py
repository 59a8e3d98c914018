"""Weights on disk: what is written is read back, nothing foreign is believed, nothing is unpickled."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from monai.networks.nets import SwinUNETR
from safetensors import safe_open
from safetensors.torch import save_file

from toposlearn.config import with_variant
from toposlearn.models import Taco, load_weights, model_card, save_weights
from toposlearn.models.taco import FORMAT

SHIPPED = Path(__file__).parents[2] / "checkpoints/lab/full.safetensors"


@pytest.fixture(scope="module")
def model(smoke) -> Taco:
    torch.manual_seed(1)
    return Taco(smoke.model)


@pytest.fixture(scope="module")
def file(model, smoke, tmp_path_factory):
    return save_weights(tmp_path_factory.mktemp("weights") / "new" / "weights.safetensors", model, smoke)


def test_weights_come_back_exactly_with_their_settings(file, model, smoke):
    read, config = load_weights(file)
    assert config == smoke
    assert not read.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor), name


@torch.no_grad()
def test_half_precision_is_half_as_large_and_nearly_the_same(file, model, smoke, tmp_path):
    half = save_weights(tmp_path / "half.safetensors", model, smoke, half=True)
    assert half.stat().st_size < 0.55 * file.stat().st_size
    volume = torch.rand(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    exact, close = (load_weights(path)[0](volume) for path in (file, half))
    assert {weight.dtype for weight in load_weights(half)[0].parameters()} == {torch.float32}
    for stride, tokens in exact.tokens.items():
        similarity = torch.nn.functional.cosine_similarity(tokens, close.tokens[stride], dim=-1)
        assert similarity.min() > 0.999


def test_the_configuration_lies_inside_the_file(file, smoke):
    with safe_open(file, framework="pt") as opened:
        assert json.loads(opened.metadata()["config"]) == smoke.to_dict()


def damage(path, file):
    path.write_bytes(file.read_bytes()[:-1000])


def text(path, file):
    path.write_text("weights, honestly")


def empty(path, file):
    path.write_bytes(b"")


def foreign(path, file):
    save_file({"weight": torch.zeros(3)}, path)


def other_metadata(path, file):
    save_file({"weight": torch.zeros(3)}, path, metadata={"config": "{"})


def other_network(path, file):
    with safe_open(file, framework="pt") as opened:
        save_file({"weight": torch.zeros(3)}, path, metadata=opened.metadata())


def checkpoint(path, file):
    torch.save({"weight": torch.zeros(3)}, path)


@pytest.mark.parametrize("ill", [damage, text, empty, foreign, other_metadata, other_network, checkpoint])
def test_another_file_is_refused_in_one_line_that_names_it(tmp_path, file, ill):
    path = tmp_path / "bad.safetensors"
    ill(path, file)
    with pytest.raises(ValueError, match=r"bad.safetensors is not a weights file written by toposlearn") as caught:
        load_weights(path)
    assert "\n" not in str(caught.value)


def test_an_absent_file_says_what_to_do():
    with pytest.raises(FileNotFoundError, match="weights nowhere do not exist: pre-train first"):
        load_weights("nowhere")


class Burglar:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file was run')",))


def test_no_code_of_a_file_is_run(tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(pickle.dumps(Burglar()))
    with pytest.raises(ValueError, match="not a weights file"):
        load_weights(path)
    torch.save(Burglar(), path)
    with pytest.raises(ValueError, match="not a weights file"):
        load_weights(path)


def test_an_interrupted_write_leaves_the_file_before(file, model, smoke, tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(file.read_bytes())

    def interrupted(tensors, partial, metadata):
        partial.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("toposlearn.models.weights.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_weights(path, model, smoke)
    assert path.read_bytes() == file.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_a_card_says_what_the_weights_are_and_are_not(smoke):
    card = model_card("Name", smoke, {"people trained on": 4}, untrained=["encoder.layers4"], origin="phantoms, CC0")
    assert card.startswith("# Name\n")
    assert "reconstruction x 1, intra x 1, inter x 1; seed 0, 10 steps" in card
    assert "- people trained on: 4" in card
    assert "- weights that no loss term reached: encoder.layers4" in card
    assert "- trained on: phantoms, CC0" in card
    assert "Not a medical device" in card
    without = model_card("Name", with_variant(smoke, "reconstruction"), {}, origin="")
    assert "reconstruction x 1; seed" in without
    assert "reached: none" in without


def test_the_encoder_fits_the_network_of_monai_for_segmentation():
    """As the page on own data shows: every weight of the encoder, and the same features."""
    taco, config = load_weights(SHIPPED)
    names = ("feature_size", "depths", "num_heads", "patch_size", "window_size", "use_v2")
    settings = {name: getattr(config.model, name) for name in names}
    network = SwinUNETR(in_channels=1, out_channels=2, downsample="mergingv2", **settings).eval()
    network.swinViT.load_state_dict(taco.encoder.state_dict())
    network.to(memory_format=FORMAT)  # the order of voxels in memory decides the last digits
    volume = torch.rand(1, 1, 64, 64, 64, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=FORMAT)
    with torch.no_grad():
        pairs = zip(network.swinViT(volume), taco.encoder(volume), strict=True)
        assert all(torch.equal(theirs, ours) for theirs, ours in pairs)
