"""Weights in and out: MONAI's network computes our features, files of others are read with a report, or refused."""

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import yaml
from monai.networks.nets import SwinUNETR
from monai.networks.nets.swin_unetr import filter_swinunetr
from monai.networks.utils import pixelshuffle, pixelunshuffle
from safetensors.torch import load_file, save_file

from toposlearn.data import Split
from toposlearn.models import (
    Readout,
    Taco,
    export_to_monai,
    from_pretrained,
    import_encoder,
    import_weights,
    load_readout,
    load_reported,
    load_weights,
    monai_state,
    read_checkpoint,
    save_pretrained,
    save_weights,
    swin_unetr_arguments,
)

SHIPPED = sorted((Path(__file__).parents[2] / "checkpoints/lab").glob("*.safetensors"))
DECODER = ("encoder", "decoder", "out.")


@pytest.fixture(scope="module")
def model(smoke) -> Taco:
    torch.manual_seed(1)
    return Taco(smoke.model).eval()


@pytest.fixture(scope="module")
def models(model) -> dict[str, Taco]:
    return {"smoke": model} | {file.stem: load_weights(file)[0] for file in SHIPPED}


def image(side: int) -> torch.Tensor:
    return torch.rand(1, 1, side, side, side, generator=torch.Generator().manual_seed(0))


def state_of(model: Taco) -> dict[str, torch.Tensor]:
    """The encoder's tensors by its own names, in the order of memory that files have."""
    return {name: tensor.contiguous() for name, tensor in model.encoder.state_dict().items()}


def built_by(lines: str) -> SwinUNETR:
    """The network that printed lines of Python build."""
    names: dict = {}
    exec(lines, names)
    return names["network"].eval()


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, msg=name)


# Out: MONAI's SwinUNETR


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", ["smoke", "full", "intra", "reconstruction"])
@torch.no_grad()
def test_features_of_monai_s_network_are_ours(models, name, channels):
    taco = models[name]
    network = SwinUNETR(**swin_unetr_arguments(taco.config, channels, 3)).eval()
    report = load_reported(network, monai_state(taco, channels), allow_missing=DECODER)
    assert (len(report.loaded), report.unexpected) == (len(taco.encoder.state_dict()), ())
    assert all(name.startswith(DECODER) for name in report.missing)
    volume = image(64)
    pairs = zip(network.swinViT(volume.repeat(1, channels, 1, 1, 1)), taco.encoder(volume), strict=True)
    for theirs, ours in pairs:
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)


def test_all_134_tensors_of_the_shipped_encoder_fit(models):
    assert len(monai_state(models["full"])) == 134


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
@torch.no_grad()
def test_the_printed_lines_build_a_network_that_runs(model, tmp_path, ending):
    made = export_to_monai(model, tmp_path / "new" / f"encoder{ending}", channels=2, out_channels=3)
    network = built_by(made.lines)
    assert made.difference < 1e-5
    assert str(made.report).startswith(f"loaded: {len(model.encoder.state_dict())} of ")
    assert network(image(64).repeat(1, 2, 1, 1, 1)).shape == (1, 3, 64, 64, 64)
    ours, theirs = model.encoder(image(64)), network.swinViT(image(64).repeat(1, 2, 1, 1, 1))
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_patch_size_4_runs_as_a_whole_after_voxels_are_rearranged_into_channels(models, tmp_path):
    """MONAI's network itself refuses it: sides must be multiples of 4⁵."""
    taco, volume = models["full"], image(128)
    plain = export_to_monai(taco, tmp_path / "plain.safetensors")
    assert "--unshuffle" in plain.lines
    with pytest.raises(ValueError, match=r"must be divisible by 4\*\*5"):
        built_by(plain.lines)(volume)
    made = export_to_monai(taco, tmp_path / "encoder.safetensors", unshuffle=2)
    network, rearranged = built_by(made.lines), pixelunshuffle(volume, 3, 2)
    assert pixelshuffle(network(rearranged), 3, 2).shape == (1, 2, 128, 128, 128)
    torch.testing.assert_close(network.swinViT(rearranged), taco.encoder(volume), atol=1e-5, rtol=1e-5)


def test_what_monai_cannot_build_is_refused_in_one_line(model, smoke, tmp_path):
    with pytest.raises(ValueError, match="channels must be at least 1, got 0"):
        monai_state(model, 0)
    narrow = smoke.replace(model={"feature_size": 8}).model
    with pytest.raises(ValueError, match="feature_size is 8, but MONAI's SwinUNETR takes multiples of 12"):
        swin_unetr_arguments(narrow)
    with pytest.raises(ValueError, match=r"encoder.onnx must end with .safetensors, .pt, .pth"):
        export_to_monai(model, tmp_path / "encoder.onnx")
    with pytest.raises(ValueError, match="unshuffle must divide 2, got 3"):
        export_to_monai(model, tmp_path / "encoder.pt", unshuffle=3)
    assert list(tmp_path.iterdir()) == []


# The report


def linear(bias: bool = True) -> torch.nn.Module:
    return torch.nn.ModuleDict({"head": torch.nn.Linear(2, 3, bias=bias)})


def test_the_report_names_what_fits_what_is_missing_and_what_is_not_used():
    module, tensors = linear(), {"head.weight": torch.ones(3, 2), "tail.weight": torch.ones(1)}
    report = load_reported(module, tensors, allow_missing=["head.bias"])
    assert (report.loaded, report.missing, report.unexpected) == (("head.weight",), ("head.bias",), ("tail.weight",))
    assert str(report).splitlines() == [
        "loaded: 1 of 2 tensors",
        "missing in the file, left as they were: 1 (head.*)",
        "not used of the file: 1 (tail.*)",
    ]
    assert torch.equal(module["head"].weight, torch.ones(3, 2))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"head.weight": torch.ones(3, 2)}, "1 tensors of the network are missing in the file: head.bias"),
        (
            {"head.weight": torch.ones(4, 2), "head.bias": torch.ones(3)},
            r"head.weight is \(4, 2\) in the file, \(3, 2\)",
        ),
        ({"tail": torch.ones(1)}, "no tensor fits: the file has tail, the network head.weight, head.bias"),
        ({}, "no tensor fits"),
    ],
)
def test_nothing_is_loaded_where_something_is_wrong(tensors, message):
    module = linear()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(ValueError, match=message) as caught:
        load_reported(module, tensors)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


# In: files of other programs


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_what_was_written_for_monai_comes_back(model, smoke, tmp_path, channels, ending):
    export_to_monai(model, tmp_path / f"encoder{ending}", channels=channels)
    read, config, report = import_encoder(tmp_path / f"encoder{ending}", smoke)
    same_weights(model.encoder, read.encoder)
    assert (config.variant, config.model) == ("imported", smoke.model)
    assert any("summed over the 4 channels" in note for note in report.notes) == (channels == 4)


PREFIXES = ["", "module.", "model.", "net.", "encoder.", "backbone.", "swinViT.", "swin_vit.", "_orig_mod."]
COMBINED = ["module.swinViT.", "_orig_mod.module.", "model.backbone.encoder.", "net.swin_vit.", "student.backbone."]


@pytest.mark.parametrize("prefix", PREFIXES + COMBINED)
def test_usual_prefixes_are_stripped_and_a_decoder_is_named(model, smoke, tmp_path, prefix):
    tensors = {prefix + name: tensor for name, tensor in state_of(model).items()}
    save_file(
        tensors | {"decoder1.conv.weight": torch.zeros(2), "out.bias": torch.zeros(2)}, tmp_path / "a.safetensors"
    )
    read, _, report = import_encoder(tmp_path / "a.safetensors", smoke)
    same_weights(model.encoder, read.encoder)
    assert report.unexpected == ("decoder1.conv.weight", "out.bias")
    assert "not used of the file: 2 (decoder1.*, out.*)" in str(report)


CONTAINERS = ["state_dict", "model", "model_state_dict", "network_weights", "teacher", "student"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_usual_containers_are_opened(model, tmp_path, container):
    state = OrderedDict(state_of(model))
    torch.save({"epoch": 3, "optimizer": {"lr": 1.0}, container: {"state_dict": state}}, tmp_path / "a.ckpt")
    assert read_checkpoint(tmp_path / "a.ckpt").keys() == state.keys()


def test_of_teacher_and_student_the_teacher_is_read(tmp_path):
    torch.save({"student": {"a": torch.zeros(1)}, "teacher": {"a": torch.ones(1)}}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth")["a"] == 1


def without_convolutions(model: Taco) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state_of(model).items() if "c.0." not in name}


def test_the_file_that_monai_s_load_from_reads(model, smoke, tmp_path):
    """As `model_swinvit.pt`: other names of the perceptron, no residual convolutions, a head for pre-training."""
    old = {
        f"module.{name}".replace("mlp.linear", "mlp.fc"): tensor for name, tensor in without_convolutions(model).items()
    }
    torch.save({"state_dict": old | {"module.rotation_head.weight": torch.zeros(4, 4)}}, tmp_path / "a.pt")
    read, config, report = import_encoder(tmp_path / "a.pt", smoke)
    network = SwinUNETR(**swin_unetr_arguments(config.model))
    network.load_from({"state_dict": old})
    same_weights(network.swinViT, read.encoder)
    assert not config.model.use_v2
    assert report.unexpected == ("rotation_head.weight",)
    assert any("use_v2 is False: the file has no layers1c" in note for note in report.notes)


def test_the_names_that_monai_s_filter_translates(model, smoke, tmp_path):
    """``encoder.layers1.0.0.blocks...``, as of Disruptive Autoencoders."""
    own = without_convolutions(model)
    old = {
        f"encoder.{name.replace('.0.', '.0.0.', 1) if name.startswith('layers') else name}": own[name] for name in own
    }
    assert [filter_swinunetr(name, None)[0] for name in old] == [f"swinViT.{name}" for name in own]
    torch.save({"model": old}, tmp_path / "a.pth")
    read = import_encoder(tmp_path / "a.pth", smoke)[0].encoder.state_dict()
    assert read.keys() == own.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in own.items())


def test_index_tables_that_follow_from_the_window_may_be_absent(model, smoke, tmp_path):
    state = {name: part for name, part in state_of(model).items() if not name.endswith("_index")}
    save_file(state, tmp_path / "a.safetensors")
    read, _, report = import_encoder(tmp_path / "a.safetensors", smoke)
    same_weights(model.encoder, read.encoder)
    assert report.missing
    assert all(name.endswith("relative_position_index") for name in report.missing)


def test_another_size_is_refused_with_both_shapes(models, smoke):
    with pytest.raises(
        ValueError, match=r"does not fit preset smoke: patch_embed.proj.weight is \(12, 1, 4, 4, 4\)"
    ) as e:
        import_encoder(SHIPPED[0], smoke)
    assert "(12, 1, 2, 2, 2) in the network" in str(e.value)
    assert "\n" not in str(e.value)


def test_an_incomplete_encoder_and_two_tensors_for_one_place_are_refused(model, smoke, tmp_path):
    state = state_of(model)
    file = tmp_path / "a.safetensors"
    save_file({name: tensor for name, tensor in state.items() if "layers4.0" not in name}, file)
    with pytest.raises(ValueError, match=r"tensors of the network are missing in the file: layers4.0.blocks"):
        import_encoder(file, smoke)
    save_file(state | {"module.patch_embed.proj.bias": state["patch_embed.proj.bias"].clone()}, file)
    with pytest.raises(ValueError, match=r"the file holds .*patch_embed.proj.bias, for one place"):
        import_encoder(file, smoke)


class Burglar:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file was run')",))


ILL = {
    "pickled": (lambda path: path.write_bytes(pickle.dumps(Burglar())), "holds Python objects beside its tensors"),
    "object": (lambda path: torch.save({"state_dict": {}, "args": Burglar()}, path), "holds Python objects beside"),
    "network": (lambda path: torch.save(torch.nn.Linear(1, 1), path), "holds Python objects beside its tensors"),
    "text": (lambda path: path.write_text("hello there"), "is damaged or no file of weights"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged or no file of weights"),
    "list": (lambda path: torch.save([torch.zeros(1)], path), "holds no tensors by name"),
    "numbers": (lambda path: torch.save({"state_dict": {"epoch": 1}}, path), "holds no tensors by name"),
    "other": (lambda path: torch.save({"fc.weight": torch.zeros(1)}, path), "no tensor fits: the file has fc.weight"),
}


@pytest.mark.parametrize("kind", ILL)
def test_a_file_that_cannot_be_used_is_refused_in_one_line_that_names_it(smoke, tmp_path, kind):
    make, message = ILL[kind]
    make(tmp_path / "a.pt")
    with pytest.raises(ValueError, match=message) as caught:
        import_encoder(tmp_path / "a.pt", smoke)
    assert str(caught.value).startswith(str(tmp_path / "a.pt"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_a_file_cut_short_is_refused(model, smoke, tmp_path, ending):
    file = tmp_path / f"a{ending}"
    export_to_monai(model, file)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=rf"a{ending} is damaged or no file of weights: copy or download it again"):
        import_encoder(file, smoke)


def test_an_absent_file_is_named(smoke):
    with pytest.raises(FileNotFoundError, match=r"checkpoint nowhere.pt does not exist"):
        import_encoder("nowhere.pt", smoke)


def test_an_imported_file_is_a_weights_file_with_a_card_that_says_where_it_came_from(model, smoke, tmp_path):
    export_to_monai(model, tmp_path / "theirs.pt")
    report = import_weights(tmp_path / "theirs.pt", smoke, tmp_path / "new" / "ours.safetensors")
    read, config = load_weights(tmp_path / "new" / "ours.safetensors")
    same_weights(model.encoder, read.encoder)
    assert config.variant == "imported"
    card = (tmp_path / "new" / "ours.card.md").read_text()
    assert "the file `theirs.pt` (SHA-256 " in card
    assert f"- {str(report).splitlines()[0]}\n" in card
    again = import_encoder(tmp_path / "theirs.pt", smoke)[0]
    same_weights(again, read)  # also what is random


# The folder of the Hugging Face hub


@pytest.fixture
def folder(model, smoke, tmp_path):
    return save_pretrained(tmp_path / "hub", model, smoke, license="cc0-1.0", readout=Readout(0.1))


def test_a_folder_of_the_hub_comes_back(folder, model, smoke):
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    for read, config in (from_pretrained(folder), load_weights(folder)):
        same_weights(model, read)
        assert config == smoke
        assert not read.training
    assert load_readout(folder) == Readout(0.1)
    assert load_file(folder / "model.safetensors").keys() == model.state_dict().keys()


def test_the_card_begins_with_what_the_hub_reads(folder):
    nothing, header, text = (folder / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(header)
    assert nothing == ""
    assert (facts["license"], facts["library_name"]) == ("cc0-1.0", "toposlearn")
    assert "mri" in facts["tags"]
    assert "# TACO smoke, full\n" in text
    assert "Not a medical device" in text


def test_people_trained_on_are_known_by_the_folder(model, smoke, tmp_path):
    split = Split({"a/sub-1": ("f",)}, frozenset({"a/sub-2"})).to_dict()
    folder = save_pretrained(tmp_path / "hub", model, smoke, split=split)
    assert Split.load(folder).to_dict() == split
    assert Split.load(folder / "model.safetensors").to_dict() == split


def test_a_folder_that_is_incomplete_or_contradicts_itself_is_refused(folder, smoke, model, tmp_path):
    other = smoke.replace(volume={"spacing": 5.0})
    other.save(folder / "config.json")
    for text in ((folder / "config.json").read_text(), "{", "[]", '{"model_type": "taco"}'):
        (folder / "config.json").write_text(text)
        with pytest.raises(ValueError, match=r"config.json contradicts the settings within model.safetensors"):
            from_pretrained(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no config.json: give a folder with model.safetensors"):
        from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"weights .*hub/model.safetensors do not exist"):
        load_weights(folder)
    save_weights(folder / "model.safetensors", model, smoke)
    assert load_weights(folder)[1] == smoke
