"""The study of seven tasks: its tasks, a whole run on made-up heads, what is kept, differences and tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from labeled_heads import TINY, write_heads

from toposlearn import cli
from toposlearn.config import TacoConfig
from toposlearn.downstream.settings import CLASSIFICATION, REGRESSION, SEGMENTATION, TASKS, TaskConfig
from toposlearn.models import Taco, save_weights
from toposlearn.studies.seven_tasks import study, tables
from toposlearn.studies.seven_tasks.metrics import task_metrics
from toposlearn.studies.seven_tasks.study import run_tasks
from toposlearn.studies.seven_tasks.tasks import TASKS as SHIPPED
from toposlearn.studies.seven_tasks.tasks import Task, chosen_tasks

BALLS = Task("balls", "Two balls", "heads", TaskConfig(), ("T1w", "T2w"), shots=(2, 3), judged=0.5, make="make heads")
SEX = Task("sex", "Sex", "heads", TaskConfig(CLASSIFICATION, target="Sex"), ("T1w",), folds=2, make="make heads")
AGE = Task("age", "Age", "heads", TaskConfig(REGRESSION, target="age"), ("T1w",), folds=2, make="make heads")


def test_the_tasks_are_of_all_kinds_and_each_folder_has_its_command():
    assert {task.task.kind for task in SHIPPED.values()} == set(TASKS)
    assert len({task.title for task in SHIPPED.values()}) == len(SHIPPED)
    for name, task in SHIPPED.items():
        assert task.name == name
        assert task.make.endswith(f"--out data/{task.data}") or f"--out data/{task.data}" in task.make
        assert bool(task.folds) != bool(task.shots) or name == "structures"
    assert chosen_tasks(["age"]) == [SHIPPED["age"]]
    with pytest.raises(ValueError, match="unknown task agee: choose among structures, "):
        chosen_tasks(["agee"])


def test_a_missing_folder_is_one_line_with_the_command_that_makes_it(tmp_path, capsys):
    weights = Path("checkpoints/lab")
    assert cli.execute(["tasks", "age", "--data", str(tmp_path), "--checkpoints", str(weights)]) == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/ixi does not exist: make it with 'data_scripts/ixi.py --out data/ixi'\n"
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder of a study of three tasks, two starts and two seeds, and its arguments."""
    root = tmp_path_factory.mktemp("seven")
    write_heads(root / "data" / "heads", 8)
    config = TacoConfig.from_dict(TINY)
    torch.manual_seed(0)
    save_weights(root / "weights" / "full.safetensors", Taco(config.model), config)
    given = {"starts": ("scratch", "full"), "seeds": (0, 1), "steps": 1, "progress": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "chosen_tasks", lambda names: [BALLS, SEX, AGE])
        run_tasks(root / "data", root / "weights", root / "out", **given, shipped=root / "shipped")
        yield root, given


def test_every_start_is_scored_beside_what_needs_no_network(ran):
    root, _ = ran
    metrics = json.loads((root / "out" / "tasks.json").read_text())["metrics"]
    for method in ("scratch", "full", "position prior", "ceiling"):
        assert {f"balls/shots2/{method}/dice", f"balls/shots3/{method}/dice"} <= set(metrics)
        assert metrics[f"balls/shots2/{method}/dice"]["n"] == 4
    assert metrics["balls/shots2/ceiling/dice"]["value"] > 0.7
    for method in ("scratch", "full", "age-sex-site", "brain-size", "histogram"):
        assert metrics[f"sex/{method}/auc"]["n"] == metrics[f"age/{method}/mae"]["n"] == 8
    assert {"balls/shots3/full-scratch/dice", "sex/full-scratch/auc", "age/full-scratch/mae"} <= set(metrics)
    assert (root / "shipped" / "tasks.json").read_text() == (root / "out" / "tasks.json").read_text()
    names = {path.name for path in (root / "shipped" / "tasks" / "sex").iterdir()}
    assert names == {f"{start}-seed{seed}.csv.gz" for start in ("scratch", "full") for seed in (0, 1)} | {
        "references.csv.gz"
    }


def test_what_is_kept_is_not_made_again_and_scores_alone_give_the_result(ran, monkeypatch):
    root, given = ran
    before = json.loads((root / "out" / "tasks.json").read_text())["metrics"]
    monkeypatch.setattr(study, "finetune", lambda *_, **__: pytest.fail("trained again"))
    again = run_tasks(root / "data", root / "weights", root / "out", **given)
    assert json.loads(again.read_text())["metrics"] == before


def test_scores_of_other_settings_are_not_taken_for_these(ran):
    root, given = ran
    with pytest.raises(ValueError, match=r"holds scores that were made with --steps 1: give the same, or choose"):
        run_tasks(root / "data", root / "weights", root / "out", **{**given, "steps": 2})


def test_a_result_is_of_the_starts_and_seeds_that_were_asked_for(ran):
    root, given = ran
    asked = {**given, "starts": ("full",), "seeds": (1,)}
    metrics = json.loads(run_tasks(root / "data", root / "weights", root / "out", **asked).read_text())["metrics"]
    methods = {name.split("/")[1] for name in metrics if name.startswith("sex/")}
    assert methods == {"full", "age-sex-site", "brain-size", "histogram", "volumes"} & methods
    assert "full" in methods
    assert "scratch" not in methods
    run_tasks(root / "data", root / "weights", root / "out", **given)


def scores(method: str, seed: int, dice: list[float]) -> pd.DataFrame:
    rows = [(f"P{number}", "ball", value) for number, value in enumerate(dice)]
    table = pd.DataFrame(rows, columns=["person", "class", "dice"]).assign(method=method, seed=seed, group="")
    others = ("hd95", "volume_error", "absolute_volume_error", "missed", "volume_truth", "volume_predicted")
    return table.assign(present="all", **dict.fromkeys(others, 1.0))


def test_differences_are_paired_by_person_and_seed():
    base = np.linspace(0.1, 0.8, 8)
    parts = [scores("scratch", seed, list(base)) for seed in (0, 1)]
    parts += [scores("full", seed, list(base + 0.1)) for seed in (0, 1)]
    found = task_metrics(pd.concat(parts, ignore_index=True), SEGMENTATION)
    gain = found["full-scratch/dice"]
    assert gain["value"] == pytest.approx(0.1)
    assert gain["high"] - gain["low"] < 1e-9  # everyone gains the same, although people differ
    assert found["full/dice"]["high"] - found["full/dice"]["low"] > 0.2


def test_the_tables_have_a_row_per_task_and_number_of_labels(monkeypatch, ran):
    root, _ = ran
    monkeypatch.setattr(tables, "TASKS", {task.name: task for task in (BALLS, SEX, AGE)})
    text = tables.tasks_section(json.loads((root / "out" / "tasks.json").read_text()))
    first, second, third = text.split("**")[2::2]
    assert [line.split("|")[1].strip() for line in first.strip().splitlines()[2:]] == [
        "Two balls, 2 labeled (Dice)",
        "Two balls, 3 labeled (Dice)",
        "Sex (AUC)",
        "Age (mean error)",
    ]
    assert "from scratch" in first
    assert "ceiling" in second
    assert "full − from scratch" in third
