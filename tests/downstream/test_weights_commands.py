"""The commands on weights, as a user calls them: export, import-weights, embed."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from image_maker import bids
from safetensors.torch import load_file

from toposlearn import cli
from toposlearn.data import Split
from toposlearn.models import Taco, from_pretrained, load_weights, save_weights

SHIPPED = Path(__file__).parents[2] / "checkpoints/lab/full.safetensors"


@pytest.fixture(scope="module")
def weights(smoke, tmp_path_factory):
    """Weights of the smoke preset, on a grid that suits small heads, without a card."""
    torch.manual_seed(1)
    config = smoke.replace(volume={"spacing": 3.0})
    return save_weights(tmp_path_factory.mktemp("run") / "weights.safetensors", Taco(config.model), config)


def error(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_export_to_monai_prints_the_report_and_lines_that_load_the_file(tmp_path, capsys):
    file = tmp_path / "encoder.safetensors"
    assert cli.execute(["export", str(SHIPPED), "--to", "monai", "--out", str(file), "--channels", "4"]) == 0
    path, loaded, missing, difference, nothing, *lines = capsys.readouterr().out.splitlines()
    assert (path, loaded, nothing) == (str(file), "loaded: 134 of 167 tensors", "")
    assert missing.startswith("missing in the file, left as they were: 33 (encoder1.*, ")
    assert float(difference.removeprefix("largest difference of features: ")) < 1e-5
    names: dict = {}
    exec("\n".join(lines), names)
    taco = load_weights(SHIPPED)[0]
    volume = torch.rand(1, 1, 64, 64, 64)
    with torch.no_grad():
        theirs, ours = names["network"].swinViT(volume.expand(-1, 4, -1, -1, -1)), taco.encoder(volume)
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)


def test_export_rearranges_voxels_where_asked_for(tmp_path, capsys):
    file = tmp_path / "encoder.pt"
    assert cli.execute(["export", str(SHIPPED), "--to", "monai", "--out", str(file), "--unshuffle"]) == 0
    assert "SwinUNETR(in_channels=8, out_channels=16, patch_size=2" in capsys.readouterr().out
    assert torch.load(file, weights_only=True)["swinViT.patch_embed.proj.weight"].shape == (12, 8, 2, 2, 2)


def test_export_to_the_hub_takes_card_and_people_along(tmp_path, capsys):
    folder = tmp_path / "hub"
    assert cli.execute(["export", str(SHIPPED), "--to", "hub", "--out", str(folder), "--license", "cc0-1.0"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{folder}\n"
    assert printed.err.startswith("note: the names of the 48 people trained on are part of the folder")
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: cc0-1.0\n")
    assert SHIPPED.with_suffix(".card.md").read_text() in card
    assert Split.load(folder).to_dict() == Split.load(SHIPPED).to_dict()
    model, config = from_pretrained(folder)
    expected, settings = load_weights(SHIPPED)
    assert config == settings
    assert all(torch.equal(one, model.state_dict()[name]) for name, one in expected.state_dict().items())


def test_export_to_the_hub_says_that_there_is_no_card(weights, tmp_path, capsys):
    assert cli.execute(["export", str(weights), "--to", "hub", "--out", str(tmp_path / "hub")]) == 0
    assert error(capsys).startswith(f"note: {weights} has no card beside it")
    assert "not stated" in (tmp_path / "hub" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["export", str(SHIPPED), "--to", "onnx", "--out", "x"], 2, "'onnx' is not one of 'monai', 'hub'"),
        (["export", str(SHIPPED), "--to", "monai", "--out", "x.txt"], 1, "error: x.txt must end with .safetensors"),
        (["export", "nowhere", "--to", "monai", "--out", "x.pt"], 1, "error: weights nowhere do not exist"),
        (["import-weights", "nowhere.pt", "--out", "x"], 1, "error: checkpoint nowhere.pt does not exist"),
        (["import-weights", str(SHIPPED), "--preset", "smoke", "--out", "x"], 1, "does not fit preset smoke"),
        (["embed", "nowhere", "--weights", str(SHIPPED), "--out", "x"], 1, "error: data folder nowhere does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_is_written(
    tmp_path, monkeypatch, capsys, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    assert cli.execute(arguments) == code
    assert message in error(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten_by_what_is_made_of_it(weights, tmp_path, capsys):
    file = tmp_path / "weights.safetensors"
    shutil.copy(weights, file)
    for command in (["export", str(file), "--to", "monai"], ["import-weights", str(file), "--preset", "smoke"]):
        assert cli.execute([*command, "--out", str(file)]) == 1
        assert error(capsys) == f"error: --out {file} is the file that is read: choose another"
    assert file.read_bytes() == weights.read_bytes()
    assert list(tmp_path.iterdir()) == [file]


def test_import_makes_weights_of_what_export_wrote(tmp_path, capsys):
    theirs, ours = tmp_path / "theirs.pt", tmp_path / "ours.safetensors"
    assert cli.execute(["export", str(SHIPPED), "--to", "monai", "--out", str(theirs), "--channels", "2"]) == 0
    capsys.readouterr()
    assert cli.execute(["import-weights", str(theirs), "--preset", "lab", "--out", str(ours)]) == 0
    *report, path = capsys.readouterr().out.splitlines()
    assert (report[0], path) == ("loaded: 134 of 134 tensors", str(ours))
    assert any("summed over the 2 channels" in line for line in report)
    expected, read = load_weights(SHIPPED)[0].encoder.state_dict(), load_weights(ours)[0].encoder.state_dict()
    assert all(torch.allclose(read[name], tensor, atol=1e-7) for name, tensor in expected.items())
    assert "theirs.pt" in (tmp_path / "ours.card.md").read_text()


def test_embed_writes_vectors_and_token_maps(weights, tmp_path, capsys):
    data, out = bids(tmp_path / "data"), tmp_path / "out"
    options = ["--weights", str(weights), "--out", str(out), "--cache", str(tmp_path / "cache")]
    assert cli.execute(["embed", str(data), *options, "--modalities", "T1w", "--layout", "fomo"]) == 0
    assert capsys.readouterr().out == f"{out / 'embedding.json'}\n"
    with (out / "vectors.csv").open(newline="") as file:
        assert [(row["name"], row["modality"]) for row in csv.DictReader(file)] == [
            ("sub-01", "T1w"),
            ("sub-02", "T1w"),
        ]
    assert sorted(path.name for path in (out / "tokens").iterdir()) == ["sub-01_T1w.npz", "sub-02_T1w.npz"]
    assert (out / "fomo" / "T1w" / "sub-02.npy").is_file()
    assert json.loads((out / "embedding.json").read_text())["weights"] == str(weights)
    assert (tmp_path / "cache").is_dir()
    assert not (data / "derivatives").exists()


def test_embed_reads_a_folder_of_the_hub(weights, tmp_path):
    data, hub = bids(tmp_path / "data", "sub-01", modalities=("T1w",)), tmp_path / "hub"
    assert cli.execute(["export", str(weights), "--to", "hub", "--out", str(hub)]) == 0
    for name, source in (("a", weights), ("b", hub)):
        assert cli.execute(["embed", str(data), "--weights", str(source), "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a/vectors.csv").read_text() == (tmp_path / "b/vectors.csv").read_text()


def test_a_checkpoint_of_a_run_has_its_card_beside_it(weights, tmp_path, capsys):
    shutil.copy(weights, tmp_path / "weights.safetensors")
    (tmp_path / "card.md").write_text("# Mine\n")
    export = ["export", str(tmp_path / "weights.safetensors"), "--to", "hub", "--out", str(tmp_path / "hub")]
    assert cli.execute(export) == 0
    assert capsys.readouterr().err == ""
    assert "\n# Mine\n" in (tmp_path / "hub" / "README.md").read_text()
    assert load_file(tmp_path / "hub" / "model.safetensors")
