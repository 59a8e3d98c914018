"""Labeled people as a network sees them: patches, changed at random by MONAI's transforms while it trains."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from monai import transforms as mt
from torch import Tensor

from toposlearn.data import Cache
from toposlearn.data.tensors import INTRA
from toposlearn.downstream.settings import SEGMENTATION, FinetuneConfig
from toposlearn.downstream.targets import Target
from toposlearn.reproducibility import step_seed

Example = dict[str, Tensor]  # volumes (M, D, H, W), present (M,) bool, foreground (1, D, H, W), truth


@dataclass(frozen=True, eq=False)
class Examples:
    """People and what is to be predicted of each; they are read from disk when they are asked for."""

    people: Cache
    target: Target
    config: FinetuneConfig

    def __len__(self) -> int:
        return len(self.people)

    def whole(self, index: int, *, truth: bool = True) -> Example:
        """The head of one person on the prepared grid; ``truth`` is (1, D, H, W) class indices, or one number.

        An image that is not registered with the first one is not used: its voxels are elsewhere.
        """
        segmented = self.target.kind == SEGMENTATION
        person = self.people.take(index, truth=("labels",) if segmented and truth else ())
        assert person.pairs is not None
        first = int(person.pairs.diag().nonzero()[0])
        present = person.pairs[first] == INTRA
        example = {
            "volumes": person.volumes * present[:, None, None, None],
            "present": present,
            "foreground": person.foreground[None],
        }
        if truth and segmented:
            assert person.labels is not None
            example["truth"] = self.target.class_index(person.labels)[None]
        elif truth:
            example["truth"] = torch.tensor(self.target.truth(self.people.manifest.records[index]))
        return example

    def batch(self, step: int) -> Example:
        """The batch of a training step: what is drawn follows from the seed and the step alone."""
        size = min(self.config.people_per_step, len(self))
        drawn = [self._changed(self._turn(step * size + place), step, place) for place in range(size)]
        return {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}

    def _turn(self, count: int) -> int:
        """Who comes next: everyone once, in random order, before anyone comes again."""
        around, place = divmod(count, len(self))
        order = np.random.default_rng((self.config.seed, around)).permutation(len(self))
        return int(order[place])

    def _changed(self, index: int, step: int, place: int) -> Example:
        """One person changed at random, some images withheld."""
        example = self.whole(index)
        seed = step_seed(self.config.seed, step, place) % 2**32
        changed = _changes(self.config, self.target.kind == SEGMENTATION).set_random_state(seed)(example)
        changed = {name: torch.as_tensor(value) for name, value in changed.items()}  # without MONAI's meta data
        air = ~changed["foreground"].bool()
        changed["volumes"] = changed["volumes"].clamp(0, 1).masked_fill(air, 0)
        changed["present"] = withhold(example["present"], self.config.modality_dropout, np.random.default_rng(seed))
        return changed


def _changes(config: FinetuneConfig, segmented: bool) -> mt.Compose:
    """Crop to a patch, where the head is larger, turn, shift and scale; change brightness, contrast and noise."""
    maps = ["volumes", "foreground", *(["truth"] if segmented else [])]
    modes = ["bilinear", "nearest", *(["nearest"] if segmented else [])]
    brighter = 1 + config.intensity
    larger = any(side > own for side, own in zip(config.volume.shape, config.patch, strict=True))
    inside = "truth" if segmented else "foreground"
    crop = mt.RandCropByPosNegLabeld(maps, inside, config.patch, pos=2, neg=1, image_key="volumes", allow_smaller=True)
    return mt.Compose(
        [
            *([crop, mt.Lambda(lambda cropped: cropped[0])] if larger else []),
            mt.RandAffined(
                maps,
                prob=1.0,
                rotate_range=math.radians(config.rotation),
                scale_range=config.scale,
                translate_range=config.shift / config.volume.spacing,
                mode=modes,
                padding_mode="zeros",
            ),
            mt.RandAdjustContrastd("volumes", prob=0.5, gamma=(1 / brighter, brighter)),
            mt.RandScaleIntensityd("volumes", config.intensity, prob=1.0, channel_wise=True),
            mt.RandShiftIntensityd("volumes", config.intensity / 2, prob=1.0, channel_wise=True),
            mt.RandGaussianNoised("volumes", prob=1.0, std=config.noise),
        ]
    )


def withhold(present: Tensor, probability: float, generator: np.random.Generator) -> Tensor:
    """Of the images that are there (M,) each is withheld with this probability; one always stays."""
    kept = present & torch.from_numpy(generator.random(len(present)) >= probability)
    if not kept.any():
        here = present.nonzero()[:, 0]
        kept[here[generator.integers(len(here))]] = True
    return kept
