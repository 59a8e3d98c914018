"""The tasks of ``tasks.yaml``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from toposlearn.downstream.settings import TaskConfig


@dataclass(frozen=True)
class Task:
    """People, what is predicted of them, and from which images."""

    name: str
    title: str
    data: str  # folder, below that of all data
    task: TaskConfig
    modalities: tuple[str, ...]
    names: str | None = None  # table of labels
    folds: int = 0
    shots: tuple[int, ...] = ()
    judged: float = 0.25  # share of the people, without folds
    make: str = ""  # command that makes the folder


def _read() -> dict[str, Task]:
    stored = yaml.safe_load((Path(__file__).parent / "tasks.yaml").read_text(encoding="utf-8"))
    makes = {one["data"]: one["make"] for one in stored.values() if "make" in one}
    tasks = {}
    for name, one in stored.items():
        own = one.pop("task")
        maps = {
            part: {key: tuple(values) for key, values in own.get(part, {}).items()} for part in ("regions", "where")
        }
        lists = {part: tuple(one[part]) for part in ("modalities", "shots") if part in one}
        facts = {**one, **lists, "make": makes[one["data"]]}
        tasks[name] = Task(name, task=TaskConfig(**{**own, **maps}), **facts)
    return tasks


TASKS = _read()


def chosen_tasks(names: Sequence[str]) -> list[Task]:
    """The tasks of these names, or all; ValueError for an unknown one."""
    if unknown := [name for name in names if name not in TASKS]:
        raise ValueError(f"unknown task {', '.join(unknown)}: choose among {', '.join(TASKS)}")
    return [TASKS[name] for name in names or TASKS]
