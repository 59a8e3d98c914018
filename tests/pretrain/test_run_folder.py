"""The checkpoint of a run: complete, readable, never executed."""

import pytest
import torch

from toposlearn.config import TacoConfig
from toposlearn.pretrain.run_folder import CHECKPOINT, check_run, has_checkpoint, load_checkpoint, save_checkpoint

CPU = torch.device("cpu")


def test_what_is_saved_is_loaded(tmp_path):
    assert not has_checkpoint(tmp_path)
    save_checkpoint(tmp_path, step=3, model={"weight": torch.arange(3)}, optimizer={"lr": 0.1})
    assert has_checkpoint(tmp_path)
    state = load_checkpoint(tmp_path, CPU)
    assert (state["step"], state["optimizer"]) == (3, {"lr": 0.1})
    assert torch.equal(state["model"]["weight"], torch.arange(3))


def test_an_interrupted_write_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, step=3)

    def interrupted(state, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(tmp_path, step=4)
    assert load_checkpoint(tmp_path, CPU)["step"] == 3
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


@pytest.mark.parametrize("content", [b"", b"half", b"letters", None])
def test_a_damaged_checkpoint_is_named_in_one_line(tmp_path, content):
    save_checkpoint(tmp_path, step=3, model={"weight": torch.zeros(1000)})
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[:-500] if content is None else content)
    with pytest.raises(ValueError, match=r"checkpoint.pt is damaged: start again without --resume") as caught:
        load_checkpoint(tmp_path, CPU)
    assert "\n" not in str(caught.value)


class Intruder:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file was run')",))


def test_no_code_of_a_checkpoint_is_run(tmp_path):
    torch.save({"step": 1, "model": Intruder()}, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match="damaged"):
        load_checkpoint(tmp_path, CPU)


def test_settings_of_another_kind_are_named_in_one_line(tmp_path):
    save_checkpoint(tmp_path, step=3)
    (tmp_path / "config.json").write_text('{"volume": {"size": 3}}')
    with pytest.raises(ValueError, match=r"config.json does not hold .* \(unknown setting size in .*\): restore it"):
        check_run(TacoConfig(), tmp_path, resume=True)
