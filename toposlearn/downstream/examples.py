"""Labeled people as a network sees them: patches, changed at random by MONAI's transforms while it trains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from monai import transforms as mt
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from toposlearn.data import Cache
from toposlearn.data.prepared import Prepared
from toposlearn.data.tensors import INTRA
from toposlearn.downstream.settings import SEGMENTATION, FinetuneConfig
from toposlearn.downstream.targets import Target
from toposlearn.reproducibility import step_seed

Example = dict[str, Tensor]  # volumes (M, D, H, W), present (M,) bool, foreground (1, D, H, W), truth
LABELED = 2 / 3  # of the patches have a labeled voxel in the middle, the others any voxel of the head


@dataclass(frozen=True, eq=False)
class Examples(Dataset[Example]):
    """People and what is to be predicted of each; they are read from disk when they are asked for."""

    people: Cache
    target: Target
    config: FinetuneConfig

    def whole(self, index: int) -> Example:
        """The head of one person on the prepared grid; ``truth`` is (1, D, H, W) class indices, or one number."""
        segmented = self.target.kind == SEGMENTATION
        person = self.people.take(index, truth=("labels",) if segmented else ())
        if segmented:
            assert person.labels is not None
            truth = self.target.class_index(person.labels)[None]
        else:
            truth = torch.tensor(self.target.truth(self.people.manifest.records[index]))
        return {**inputs_of(person), "truth": truth}

    def __getitem__(self, step: int) -> Example:
        """The batch of a training step: what is drawn follows from the seed and the step alone."""
        size = min(self.config.people_per_step, len(self.people))
        drawn = []
        for place in range(size):
            generator = np.random.default_rng(step_seed(self.config.seed, step, place) % 2**32)
            drawn.append(changed(self.whole(self._turn(step * size + place)), self.config, generator))
        return {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}

    def batches(self, steps: range) -> Iterator[Example]:
        """The batches of these steps, prepared here or ahead by `config.workers` processes: the same either way."""
        workers = self.config.workers
        ahead = 2 if workers else None
        yield from DataLoader(self, batch_size=None, sampler=steps, num_workers=workers, prefetch_factor=ahead)

    def _turn(self, count: int) -> int:
        """Who comes next: everyone once, in random order, before anyone comes again."""
        around, place = divmod(count, len(self.people))
        order = np.random.default_rng((self.config.seed, around)).permutation(len(self.people))
        return int(order[place])


def inputs_of(person: Prepared) -> Example:
    """What a network gets of a person.

    An image that is not registered with the first one is not used: its voxels are elsewhere.
    """
    assert person.pairs is not None
    present = person.pairs[first_of(person)] == INTRA
    volumes = person.volumes * present[:, None, None, None]
    return {"volumes": volumes, "present": present, "foreground": person.foreground[None]}


def first_of(person: Prepared) -> int:
    """The first modality of which a person has a usable image, in whose place the prepared head lies."""
    assert person.pairs is not None
    return int(person.pairs.diag().nonzero()[0])


def changed(example: Example, config: FinetuneConfig, generator: np.random.Generator) -> Example:
    """A patch, where the head is larger, moved, brighter or darker, with noise, and some images withheld."""
    if config.patch != config.volume.shape:
        example = _patch(example, config.patch, generator)
    seed = int(generator.integers(2**32))
    moved = _moves(config, "truth" if example["truth"].ndim else "").set_random_state(seed)(example)
    intensities = _intensities(config).set_random_state(seed)
    head = moved["foreground"].bool()
    volumes = torch.cat([intensities(volume[None]) for volume in moved["volumes"]])  # each modality by itself
    return {
        "volumes": volumes.clamp(0, 1) * head,  # air stays zero
        "present": withhold(example["present"], config.modality_dropout, generator),
        "foreground": head,
        "truth": moved["truth"],
    }


def _patch(example: Example, size: tuple[int, ...], generator: np.random.Generator) -> Example:
    """The part of this size, inside the grid, around a voxel that is labeled or, more rarely, any voxel of the head."""
    inside = example["truth"] > 0
    if generator.random() >= LABELED or not inside.any():
        inside = example["foreground"]
    places = inside[0].nonzero()
    middle = places[generator.integers(len(places))].tolist()
    grid = inside.shape[1:]
    low = [max(0, min(m - s // 2, whole - s)) for m, s, whole in zip(middle, size, grid, strict=True)]
    x, y, z = (slice(start, start + s) for start, s in zip(low, size, strict=True))
    return {name: each[:, x, y, z] if each.ndim == 4 else each for name, each in example.items()}


def _moves(config: FinetuneConfig, truth: str) -> mt.Compose:
    """Turn, shift and scale, about and along each axis."""
    affine = mt.RandAffined(
        ["volumes", "foreground", *([truth] if truth else [])],
        prob=1.0,
        rotate_range=(math.radians(config.rotation),) * 3,
        scale_range=(config.scale,) * 3,
        translate_range=(config.shift / config.volume.spacing,) * 3,
        mode=["bilinear", *["nearest"] * (1 + bool(truth))],
        padding_mode="zeros",
    )
    return mt.Compose([affine, mt.ToTensord(affine.keys, track_meta=False)])


def _intensities(config: FinetuneConfig) -> mt.Compose:
    """Change contrast, brightness and noise of one image."""
    brighter = 1 + config.intensity
    return mt.Compose(
        [
            mt.RandAdjustContrast(prob=0.5, gamma=(1 / brighter, brighter)),
            mt.RandScaleIntensity(config.intensity, prob=1.0),
            mt.RandShiftIntensity(config.intensity / 2, prob=1.0),
            mt.RandGaussianNoise(prob=1.0, std=config.noise),
            mt.ToTensor(track_meta=False),
        ]
    )


def withhold(present: Tensor, probability: float, generator: np.random.Generator) -> Tensor:
    """Of the images that are there (M,) each is withheld with this probability; one always stays."""
    kept = present & torch.from_numpy(generator.random(len(present)) >= probability)
    if not kept.any():
        here = present.nonzero()[:, 0]
        kept[here[generator.integers(len(here))]] = True
    return kept
