"""The folder of a run: its files, its checkpoint, and the conditions under which it may be written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from toposlearn.config import TacoConfig
from toposlearn.data import Cache, Manifest, Split, origin_of, split_subjects
from toposlearn.data.gate.assessment import report_problems
from toposlearn.data.split import SPLIT
from toposlearn.models import Readout, Taco, model_card, save_weights
from toposlearn.reproducibility import (
    atomic_path,
    check_writable,
    environment_report,
    peak_memory_bytes,
    write_json,
    write_text,
)

WEIGHTS, CARD, CHECKPOINT, CONFIG = "weights.safetensors", "card.md", "checkpoint.pt", "config.json"
HISTORY, SCORES = "history.jsonl", "scorecard.jsonl"


def check_run(config: TacoConfig, out: Path, resume: bool) -> None:
    """Raise unless `out` can take this run; nothing is written."""
    saved = out / CONFIG
    if resume and not has_checkpoint(out):
        raise FileNotFoundError(f"no checkpoint in {out}: run without --resume to start from the beginning")
    if resume and _saved_config(saved) not in (None, config):
        raise ValueError(f"{out} holds a run with other settings ({saved}): resume it with the same ones")
    if not resume and saved.exists():
        raise ValueError(f"{out} already holds a run: continue it with --resume, or choose another --out")
    check_writable(out)


def _saved_config(path: Path) -> TacoConfig | None:
    """The settings of the run; None where the file is missing or was cut off, as by a full disk."""
    try:
        stored = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    try:
        return TacoConfig.from_dict(stored) if isinstance(stored, dict) else None
    except (ValueError, TypeError, AttributeError) as error:
        remedy = "restore it, or start a new run in another --out"
        raise ValueError(f"{path} does not hold the settings of a run ({error}): {remedy}") from None


def sides(
    out: Path, prepared: Cache, manifest: Manifest, config: TacoConfig, resume: bool
) -> tuple[Manifest, Manifest]:
    """Training people and held-out people of a run: those it began with, also if the folder has grown since.

    Where there are no more people than one step takes, none is held out, which is reported.
    """
    stored = Split.load(out) if resume else None
    known = stored and stored.recognizing(prepared.manifest, prepared.fingerprints()).sides(manifest, newcomers=False)
    if not known and len(manifest.people) <= config.train.subjects_per_step:
        everyone = f"all people of {manifest.root} are trained on ({len(manifest.people)})"
        report_problems([f"note: {everyone}: no one is held out to measure on"])
        return manifest, manifest.select([])
    return known or split_subjects(manifest, test_fraction=config.train.test_fraction)


def split_of(out: Path, train: Cache, held_out: Manifest, resume: bool, hashed: bool) -> Split:
    """The split to keep: the one that a resumed run began with, else that of these people."""
    stored = Split.load(out) if resume else None
    if stored is not None:
        stored.recognizing(train.manifest, train.fingerprints()).check_complete(train.manifest)
        return stored
    if resume:
        report_problems([f"note: {out / SPLIT} is missing: people are divided as for a new run"])
    return Split.of(train.manifest, held_out, train.fingerprints(), hashed=hashed)


def write_config(out: Path, config: TacoConfig) -> None:
    """Keep the settings, also of a resumed run whose file was damaged."""
    write_json(out / CONFIG, config.to_dict())


def write_split(out: Path, split: Split) -> None:
    """Keep who is trained on and who is held out."""
    write_json(out / SPLIT, split.to_dict())


def save_checkpoint(out: Path, *, step: int, **states: dict[str, Any]) -> None:
    """Replace the checkpoint once the new one is complete; draws follow from the step, so no generator is saved."""
    with atomic_path(out / CHECKPOINT) as partial:
        torch.save({"step": step, **states}, partial)


def has_checkpoint(out: Path) -> bool:
    """Whether there is a run to resume."""
    return (out / CHECKPOINT).is_file()


def load_checkpoint(out: Path, device: torch.device) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote (tensors and numbers only); a damaged file raises ValueError."""
    path = out / CHECKPOINT
    try:
        return dict(torch.load(path, map_location=device, weights_only=True))
    except Exception:  # torch has many errors for damage: RuntimeError, UnpicklingError, EOFError, KeyError, OSError
        raise ValueError(f"{path} is damaged: start again without --resume, in another --out") from None


def append_line(path: Path, row: dict[str, Any]) -> None:
    """Append one JSON object as a line."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def truncate(out: Path, step: int) -> None:
    """Drop the lines logged after the checkpoint at `step`: those steps are taken again."""
    for name, limit in ((HISTORY, step), (SCORES, step + 1)):  # a history line is of a step, a score after it
        truncate_lines(out / name, limit)


def truncate_lines(path: Path, limit: int) -> None:
    """Keep the lines of steps below `limit`."""
    if path.exists():
        kept = [line for line in path.read_text(errors="replace").splitlines() if _step(line) < limit]
        path.write_text("".join(line + "\n" for line in kept))


def _step(line: str) -> float:
    """The step of a logged line; infinite where the line was cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def write_weights(
    out: Path,
    model: Taco,
    config: TacoConfig,
    split: Split,
    readout: Readout,
    untrained: Iterable[str],
    seconds: float,
    roots: Iterable[Path],
) -> None:
    """Write the weights and their card, with training people, weights without a gradient, and seconds per step."""
    report = environment_report()
    facts = {
        "people trained on": len(split.train),
        "names, as salted hashes" if split.salt else "names": ", ".join(split.train),
        "readout below a token": readout,
        "seconds per step": f"{seconds:.2f}",
        "peak memory": f"{peak_memory_bytes() / 2**30:.1f} GiB",
        "device": report["device"],
        "versions": ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
    }
    save_weights(out / WEIGHTS, model, config, split=split.to_dict(), readout=readout)
    title = f"TACO {config.preset}, {config.variant}"
    origin = "; ".join(map(origin_of, roots))
    write_text(out / CARD, model_card(title, config, facts, origin, untrained))
