"""Simulate a cohort and write it to disk as BIDS, in several processes.

A subject's folder appears only when it is complete, so an interrupted run is continued by running it again. A subject
with a missing file is simulated again.
"""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread

import torch
from tqdm import tqdm

from toposlearn.anatomy import FAMILIES, SOURCES
from toposlearn.cohort.bids import is_complete, write_subject, write_tables
from toposlearn.cohort.recipes import PLAIN, Recipe
from toposlearn.cohort.subject import simulate
from toposlearn.cohort.traits import Traits, draw_traits
from toposlearn.reproducibility import write_json, write_text
from toposlearn.settings import TRUTH

GENERATOR = "toposlearn cohort"
# Maps between spaces have no BIDS name yet, and what `prepare` keeps has none.
IGNORED = "**/*_xfm.nii.gz\n**/*_xfm.json\n/cache\n"
TEXTS = {"": "README.template.md", TRUTH: "README.truth.template.md"}  # folder -> template of its README.md


def write_cohort(
    out: str | Path,
    *,
    subjects: int = 64,
    seed: int = 0,
    anatomy: str = "A",
    workers: int | None = None,
    recipe: Recipe = PLAIN,
    progress: bool = True,
) -> Path:
    """Simulate a cohort and write it as a BIDS folder (layout in the README). Subjects already there are kept.

    Args:
        out: the folder; it may hold an earlier, interrupted run with the same seed and anatomy, or ValueError.
        subjects: number of subjects.
        seed: same seed, same voxels.
        anatomy: label map ``A`` or ``B``.
        workers: number of processes; None: one per core, up to 8.
        recipe: which subjects, and which scans of them.
        progress: show a progress bar.
    """
    out = Path(out)
    if subjects < 1:
        raise ValueError(f"subjects must be at least 1, got {subjects}")
    if anatomy not in FAMILIES:
        raise ValueError(f"anatomy must be one of {', '.join(FAMILIES)}, got {anatomy!r}")
    draw = partial(draw_traits, seed=seed, anatomy=anatomy, recipe=recipe.name)
    _open(out, seed, anatomy, recipe)
    missing = [traits for traits in map(draw, range(subjects)) if not is_complete(out, traits, recipe)]
    finished = _run(missing, out, recipe, workers or min(os.cpu_count() or 1, 8))
    for _ in tqdm(finished, total=len(missing), desc=f"cohort {anatomy}", unit="person", disable=not progress):
        pass
    present = sorted(int(folder.name.removeprefix("sub-")) - 1 for folder in out.glob("sub-*"))
    if progress and len(present) > subjects:
        tqdm.write(f"{out} already holds {len(present)} people: all are kept", file=sys.stderr)
    write_tables(out, [draw(number) for number in present])
    return out


def _open(out: Path, seed: int, anatomy: str, recipe: Recipe) -> None:
    """Make the folder, or check that it holds the beginning of the same cohort."""
    description = out / "dataset_description.json"
    made = json.loads(json.dumps({"Generator": GENERATOR, "Seed": seed, "Anatomy": anatomy} | recipe.to_dict()))
    if description.exists():
        present = json.loads(description.read_text()).get("Recipe")
        if present != made:
            raise ValueError(f"{out} holds another data set ({present}), not {made}: choose an empty folder with --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not an empty folder: choose another with --out")
    common = {
        "BIDSVersion": "1.10.0",
        "License": "Derived from a label map: its licence applies, see README.md",
        "Authors": ["The authors of toposlearn"],
        "Recipe": made,
        "GeneratedBy": [{"Name": "toposlearn", "Version": version("toposlearn")}],
    }
    write_json(description, {"Name": "toposlearn simulated cohort", "DatasetType": "raw", **common})
    truth = {"Name": "Ground truth of the simulated cohort", "DatasetType": "derivative", **common}
    write_json(out / TRUTH / "dataset_description.json", truth)
    source = SOURCES[anatomy]
    for folder, template in TEXTS.items():
        text = Path(__file__).with_name(template).read_text(encoding="utf-8")
        text = text.format(anatomy=anatomy, origin=source.origin, license=source.licence)
        write_text(out / folder / "README.md", text)
    (out / TRUTH / ".bidsignore").write_text(IGNORED)


def _run(subjects: list[Traits], out: Path, recipe: Recipe, workers: int) -> Iterator[None]:
    """Simulate and write each subject, in processes when more than one is asked for."""
    if workers == 1 or len(subjects) < 4:
        for traits in subjects:
            _simulate_and_write(traits, out, recipe)
            yield
        return
    # "spawn": a fork of a process that has used torch's threads can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker) as pool:
        jobs = [pool.submit(_simulate_and_write, traits, out, recipe) for traits in subjects]
        try:
            for job in as_completed(jobs):
                job.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    """Use one thread, and end when the parent was killed, which a worker does not notice by itself."""
    torch.set_num_threads(1)
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(parent: int) -> None:
    wait([parent])
    os._exit(1)


def _simulate_and_write(traits: Traits, out: Path, recipe: Recipe) -> None:
    write_subject(simulate(traits, recipe), out)
