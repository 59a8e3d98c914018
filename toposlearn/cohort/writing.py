"""Simulate a cohort and write it to disk as BIDS, in several processes.

A subject's folder appears only when it is complete, so an interrupted run is continued by running it again. A subject
with a missing file is simulated again.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from importlib.metadata import version
from itertools import chain
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import torch
from tqdm import tqdm

from toposlearn.anatomy import SOURCES
from toposlearn.cohort.bids import TEMPLATE, is_complete, write_subject, write_tables
from toposlearn.cohort.head import Anatomy, find_anatomies
from toposlearn.cohort.recipes import PLAIN, Recipe
from toposlearn.cohort.subject import simulate
from toposlearn.cohort.traits import Traits, draw_traits
from toposlearn.reproducibility import write_json, write_text
from toposlearn.settings import TRUTH

GENERATOR = "toposlearn cohort"
# Maps between spaces have no BIDS name yet, and what `prepare` keeps has none.
IGNORED = "**/*_xfm.nii.gz\n**/*_xfm.json\n/cache\n"
HEADS = {"brain": ", brain-extracted", "whole": " of whole heads", "both": ", half of them brain-extracted"}
TEXTS = {"": "README.template.md", TRUTH: "README.truth.template.md"}  # folder -> template of its README.md


def write_cohort(
    out: str | Path,
    *,
    subjects: int = 64,
    seed: int = 0,
    anatomy: str = "A",
    labels: str = "synthseg",
    workers: int | None = None,
    recipe: Recipe = PLAIN,
    progress: bool = True,
) -> Path:
    """Simulate a cohort and write it as a BIDS folder (layout in the README). Subjects already there are kept.

    Args:
        out: the folder; it may hold an earlier, interrupted run with the same seed and anatomy, or ValueError.
        subjects: number of subjects.
        seed: same seed, same voxels.
        anatomy: label map ``A`` or ``B``, a file or a folder of label maps; or several, separated by commas. People
            take turns among the maps. Those of several maps have no common template: their maps lead to their own.
        labels: table of the labels in files (`structure_names`).
        workers: number of processes; None: one per core, up to 8.
        recipe: which subjects, and which scans of them.
        progress: show a progress bar.
    """
    out = Path(out)
    if subjects < 1:
        raise ValueError(f"subjects must be at least 1, got {subjects}")
    anatomies = find_anatomies(anatomy, labels)

    def draw(number: int) -> Traits:
        return draw_traits(number, seed=seed, anatomy=anatomies[number % len(anatomies)].name, recipe=recipe.name)

    people = [_Person(draw(number), recipe, *_place(number, anatomies, recipe)) for number in range(subjects)]
    _open(out, seed, anatomies, recipe)
    missing = [each for each in people if not is_complete(out, each.traits, recipe, each.space)]
    finished = _run(missing, out, workers or min(os.cpu_count() or 1, 8))
    name = anatomy if len(anatomies) == 1 else f"{len(anatomies)} anatomies"
    with tqdm(total=len(missing), desc=f"cohort {name}", unit="person", disable=not progress) as bar:
        for count in finished:
            bar.update(count)
    present = sorted(int(folder.name.removeprefix("sub-")) - 1 for folder in out.glob("sub-*"))
    if progress and len(present) > subjects:
        tqdm.write(f"{out} already holds {len(present)} people: all are kept", file=sys.stderr)
    write_tables(out, [draw(number) for number in present])
    return out


class _Person(NamedTuple):
    """One subject to simulate: traits, the label map, and the name of its space."""

    traits: Traits
    recipe: Recipe
    anatomy: Anatomy
    space: str


def _place(number: int, anatomies: list[Anatomy], recipe: Recipe) -> tuple[Anatomy, str]:
    """The label map of a subject, with or without skull, and the name of its space."""
    turn, place = divmod(number, len(anatomies))
    anatomy = anatomies[place]
    whole = recipe.heads == "whole" or (recipe.heads == "both" and turn % 2 == 1 and anatomy.path is not None)
    space = TEMPLATE if len(anatomies) == 1 else re.sub(r"\W|_", "", anatomy.name)
    return replace(anatomy, whole=whole), space


def _open(out: Path, seed: int, anatomies: list[Anatomy], recipe: Recipe) -> None:
    """Make the folder, or check that it holds the beginning of the same cohort."""
    description = out / "dataset_description.json"
    anatomy = ",".join(each.name for each in anatomies)
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
    sources = [SOURCES[each.name] for each in anatomies if each.path is None]
    own = [str(each.path) for each in anatomies if each.path is not None]
    several = len(anatomies) > 1
    facts = {
        "anatomy": anatomy,
        "heads": HEADS[recipe.heads],
        "template": "label map of the person, which others do not share" if several else "template",
        "space": "ANATOMY" if several else TEMPLATE,
        "origin": "; ".join([*(source.origin for source in sources), *own]),
        "license": "; ".join([*(source.licence for source in sources), *["that of the label maps"] * bool(own)]),
    }
    for folder, template in TEXTS.items():
        text = Path(__file__).with_name(template).read_text(encoding="utf-8")
        write_text(out / folder / "README.md", text.format(**facts))
    (out / TRUTH / ".bidsignore").write_text(IGNORED)


def _run(people: list[_Person], out: Path, workers: int) -> Iterator[int]:
    """Simulate and write each subject, in processes when more than one is asked for; yield how many are finished.

    A label map takes seconds to load: where there are as many as workers, each is loaded by one of them.
    """
    groups: dict[Anatomy, list[_Person]] = {}
    for person in people:
        groups.setdefault(person.anatomy, []).append(person)
    if workers == 1 or len(people) < 4:
        for person in chain(*groups.values()):
            _simulate_and_write([person], out)
            yield 1
        return
    batches = list(groups.values()) if len(groups) >= workers else [[person] for person in people]
    # "spawn": a fork of a process that has used torch's threads can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker) as pool:
        jobs = [pool.submit(_simulate_and_write, batch, out) for batch in batches]
        try:
            for job in as_completed(jobs):
                yield job.result()
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


def _simulate_and_write(people: list[_Person], out: Path) -> int:
    for traits, recipe, anatomy, space in people:
        write_subject(simulate(traits, recipe, anatomy if anatomy.path else None), out, space)
    return len(people)
