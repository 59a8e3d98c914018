"""Speed and memory of data: prepared people against files, waiting in training, and starts with many people.

The many people are tiny: three images each, all different, and one person's tensors for all of them. Each measurement
of many people is made in a process of its own, with its own peak of memory.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from accelerate import Accelerator
from rows import Row, interleaved, options, report
from safetensors.torch import load_file

from toposlearn.cohort import write_cohort
from toposlearn.config import TacoConfig, VolumeConfig, preset
from toposlearn.data import Cache, Manifest, PairDataset, config_for, prepare, read_manifest
from toposlearn.data.cache import Shelf
from toposlearn.data.preparing import settings_of
from toposlearn.data.stamps import with_content
from toposlearn.data.transforms import volume_transforms
from toposlearn.pretrain import Trainer, pretrain

MODALITIES = ("T1w", "T2w", "FLAIR")
SIDE, SPACING = 20, 9.0  # voxels and mm of a tiny image
PEOPLE, QUICK_PEOPLE, FEW = 10_000, 1000, 100
STEPS = 20  # of pre-training, for its memory


def speed(cache: Cache, config: TacoConfig, repeats: int) -> list[Row]:
    """Two modalities of a person, read from the cache and made of the files."""
    record, pair = cache.manifest.records[0], config.volume.modalities[:2]
    transforms = volume_transforms(replace(config.volume, modalities=pair))
    files = {name: record.images[name] for name in pair}
    ways: dict[str, Callable[[], object]] = {
        "read from the cache": lambda: cache.take(0, (0, 1), ()),
        "decoded and transformed": lambda: transforms(files),
    }
    seconds = interleaved(ways, repeats, "cpu")
    rows = [Row(f"two modalities of a person, {name}", 1 / value, "1/s") for name, value in seconds.items()]
    faster = seconds["decoded and transformed"] / seconds["read from the cache"]
    return [*rows, Row("times more people per second from the cache", faster, "x", ">= 20")]


def waiting(cache: Cache, config: TacoConfig, repeats: int, folder: Path, device: str) -> list[Row]:
    """Seconds of a training step, and the share of them in which the network waits for its batch."""
    dataset = PairDataset(cache, config)
    trainer = Trainer(config, Accelerator(cpu=device == "cpu"), folder)
    steps = iter(range(10**9))
    ways: dict[str, Callable[[], object]] = {
        "data": lambda: dataset[next(steps)],
        "step": partial(trainer.train_step, dataset[0]),
    }
    seconds = interleaved(ways, repeats, device)
    share = 100 * seconds["data"] / sum(seconds.values())
    return [
        Row(f"a step of preset {config.preset}", seconds["step"], "s"),
        Row(f"waiting for data, of a step of preset {config.preset}", share, "%", "<= 5"),
    ]


def write_tiny(root: Path, count: int) -> Path:
    """A BIDS folder of `count` people, whose images differ from each other and are written fast."""
    points = (np.stack(np.indices((SIDE,) * 3), -1) - (SIDE - 1) / 2) / (SIDE / 2)
    head = (points**2).sum(-1) < 0.6
    affine = nib.affines.from_matvec(SPACING * np.eye(3), [-SPACING * (SIDE - 1) / 2] * 3)
    texture = np.random.default_rng(0).integers(300, 900, head.shape)
    wanted = [np.where(head, (texture * (1 + n) + 37 * n) % 800 + 200, 0).astype(np.int16) for n in range(3)]
    stored = [bytearray(nib.Nifti1Image(data, affine).to_bytes()) for data in wanted]
    middle = len(stored[0]) - 2 * (SIDE**3 - (SIDE * SIDE + SIDE + 1) * SIDE // 2)  # a voxel inside the head
    for number in range(count):
        folder = root / f"sub-{number:05d}" / "anat"
        folder.mkdir(parents=True)
        for modality, data in zip(MODALITIES, stored, strict=True):
            data[middle : middle + 4] = np.int16([200 + number % 700, 200 + number // 700]).tobytes()
            (folder / f"sub-{number:05d}_{modality}.nii").write_bytes(data)
    return root


def prepare_alike(root: Path, config: VolumeConfig) -> None:
    """Prepare the first person, and keep the same tensors for everyone."""
    manifest = read_manifest(root)
    one = prepare(Manifest(root, manifest.records[:1]), config, progress=False)
    model, found = one.entry(manifest.records[0]), one.assessment(manifest.records[0])
    tensors, shelf, entries = load_file(model.path), Shelf(one.folder, settings_of(config)), []
    for record in manifest.records:
        stem, inputs, _ = shelf.find(record, config.modalities, len(manifest))
        inputs = with_content(inputs, record.root)
        known = replace(model, stem=stem, key=shelf.key(inputs), inputs=inputs, people=len(manifest))
        entries.append(shelf.put(replace(known, fingerprints={"T1w": stem}), tensors, found))
    shelf.save_index(entries)


def start(root: Path, config: VolumeConfig) -> tuple[float, float]:
    """Seconds to read the manifest, and to find everyone prepared: the fastest of three starts."""
    return min((_start(root, config) for _ in range(3)), key=sum)


def _start(root: Path, config: VolumeConfig) -> tuple[float, float]:
    begin = time.perf_counter()
    manifest = read_manifest(root, config.modalities)
    middle = time.perf_counter()
    cache = prepare(manifest, config, progress=False)
    seconds = middle - begin, time.perf_counter() - middle
    if len(cache) != len(manifest):
        raise ValueError(f"{len(cache)} of {len(manifest)} people are usable")
    return seconds


def peak_of_training(root: Path, config: TacoConfig) -> float:
    """Most memory of a short run of pre-training, MiB, on Linux."""
    Path("/proc/self/clear_refs").write_text("5")  # a process inherits the peak of the one that started it
    with tempfile.TemporaryDirectory() as out:
        pretrain(config, root, Path(out) / "run", progress=False)
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def alone(function: Callable[..., Any], *arguments: object) -> Any:
    """The result of a function in a fresh process."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the command line: waiting threads do not spin
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result = pool.apply(function, arguments)
        pool.close()
        pool.join()
    return result


def many(folder: Path, count: int) -> list[Row]:
    """Starts and memory with `count` people, and memory with `FEW`."""
    config = preset("smoke").replace(volume={"modalities": MODALITIES}, train={"steps": STEPS, "workers": 0})
    roots = {people: write_tiny(folder / str(people), people) for people in (FEW, count)}
    for root in roots.values():
        prepare_alike(root, config.volume)
    manifest, prepared = alone(start, roots[count], config.volume)
    memory = {people: alone(peak_of_training, root, config) for people, root in roots.items()}
    more = 100 * (memory[count] / memory[FEW] - 1)
    return [
        Row(f"manifest of {count} people", manifest, "s", "<= 60"),
        Row(f"everyone of {count} people found prepared", prepared, "s", "<= 1"),
        Row(f"second start with {count} people", manifest + prepared, "s", "<= 2"),
        *(Row(f"memory of pre-training with {people} people", peak, "MiB") for people, peak in memory.items()),
        Row(f"memory with {count} people beyond that with {FEW}", more, "%", "<= 10"),
    ]


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--folder", type=Path, help="where the people are written (default: a temporary folder)")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        root = write_cohort(folder / "cohort", subjects=4, workers=1, progress=False)
        manifest = read_manifest(root)
        config = config_for(preset("lab"), manifest)
        cache = prepare(manifest, config.volume, progress=False)
        rows = speed(cache, config, 3 if arguments.quick else 20)
        rows += waiting(cache, config, 3 if arguments.quick else 20, folder / "run", arguments.device)
        rows += many(folder, QUICK_PEOPLE if arguments.quick else PEOPLE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report(rows, arguments.json)


if __name__ == "__main__":
    main()
