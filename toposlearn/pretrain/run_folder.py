"""What the folder of a run holds, under which names, and when it may be written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from toposlearn.config import TacoConfig
from toposlearn.data import Manifest, origin_of
from toposlearn.models import Taco, model_card, save_weights
from toposlearn.pretrain.checkpoint import has_checkpoint
from toposlearn.reproducibility import check_writable, environment_report, peak_memory_bytes

WEIGHTS, HISTORY, SCORES, CARD, CONFIG = (
    "weights.safetensors",
    "history.jsonl",
    "scorecard.jsonl",
    "card.md",
    "config.json",
)


def check_run(config: TacoConfig, out: Path, resume: bool) -> None:
    """Raise unless `out` can take this run; nothing is written."""
    saved = out / CONFIG
    if resume and not has_checkpoint(out):
        raise FileNotFoundError(f"no checkpoint in {out}: run without --resume to start from the beginning")
    if resume and saved.exists() and TacoConfig.load(saved) != config:
        raise ValueError(f"{out} holds a run with other settings ({saved}): resume it with the same ones")
    if not resume and saved.exists():
        raise ValueError(f"{out} already holds a run: continue it with --resume, or choose another --out")
    check_writable(out)


def truncate(out: Path, step: int) -> None:
    """Drop what was logged after the checkpoint at `step`: those steps are taken again."""
    for name, limit in ((HISTORY, step), (SCORES, step + 1)):  # a history line is of a step, a score after it
        path = out / name
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if json.loads(line)["step"] < limit]
            path.write_text("".join(line + "\n" for line in kept))


def write_weights(
    out: Path, model: Taco, config: TacoConfig, subjects: Manifest, untrained: Iterable[str], seconds: float
) -> None:
    """Write the weights and their card.

    Args:
        out: the run's folder.
        model: the trained network.
        config: settings of the run.
        subjects: who was trained on.
        untrained: names of weights that got no gradient.
        seconds: wall time of a step.
    """
    report = environment_report()
    facts = {
        "people trained on": len(subjects),
        "seconds a step": f"{seconds:.2f}",
        "peak memory": f"{peak_memory_bytes() / 2**30:.1f} GiB",
        "device": report["device"],
        "versions": ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
    }
    save_weights(out / WEIGHTS, model, config)
    title = f"TACO {config.preset}, {config.variant}"
    (out / CARD).write_text(model_card(title, config, facts, origin_of(subjects.root), untrained))
