"""One person on the network's grid: what a network reads of it, and which pairs of its modalities may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from toposlearn.config import VolumeConfig
from toposlearn.data.manifest import Record
from toposlearn.data.gate.quality import BadImageError, damaged_truth, elsewhere
from toposlearn.data.transforms import volume_transforms
from toposlearn.data.gate.verdicts import INTER_ONLY, PersonVerdict

INTER, INTRA = 1, 2  # what a pair of modalities may enter: the inter term, or both terms; 0: nothing


@dataclass(frozen=True, eq=False)
class Prepared:
    """One person on the network's grid.

    Attributes:
        volumes: (M, D, H, W) float32 in [0, 1], one per modality of the configuration; zero where there is none.
        foreground: (D, H, W) bool, of the first modality and those that are registered with it.
        labels: (D, H, W) int16 structure labels, or None.
        lesion: (D, H, W) bool, or None.
        to_template: (3, D, H, W) float32, template mm of each voxel, or None.
        pairs: (M, M) uint8: `INTRA` for two modalities that lie at the same place, `INTER` where they do not, else 0;
            None: all do.
        foregrounds: (M, D, H, W) bool, each modality's own; None where they do not differ.
    """

    subject: str
    volumes: Tensor
    foreground: Tensor
    labels: Tensor | None = None
    lesion: Tensor | None = None
    to_template: Tensor | None = None
    info: Mapping[str, str] | None = None
    pairs: Tensor | None = None
    foregrounds: Tensor | None = None

    @property
    def registered(self) -> bool:
        """True where every modality is there and all lie at the same place."""
        return self.pairs is None or bool((self.pairs == INTRA).all())

    def foreground_of(self, modality: int) -> Tensor:
        """(D, H, W) bool, where this modality shows the head."""
        return self.foreground if self.foregrounds is None else self.foregrounds[modality]

    def may(self, first: int, second: int, least: int = INTER) -> bool:
        """True where these two modalities may enter what `least` stands for."""
        return self.pairs is None or int(self.pairs[first, second]) >= least


def pair_table(verdict: PersonVerdict, modalities: Sequence[str]) -> Tensor:
    """(M, M) uint8: what each pair may enter; a modality with itself both terms, where it can be used at all."""
    table = torch.diag(torch.tensor([INTRA * (name in verdict.facts) for name in modalities])).to(torch.uint8)
    for pair in verdict.pairs:
        i, j = modalities.index(pair.first), modalities.index(pair.second)
        table[i, j] = table[j, i] = INTRA if pair.aligned else INTER * (pair.verdict == INTER_ONLY)
    return table


def subject_tensors(record: Record, verdict: PersonVerdict, config: VolumeConfig) -> dict[str, Tensor]:
    """What `Prepared` holds, on disk: the images of a group are resampled to its first one's grid, its head centered.

    A group are modalities that hang together by being registered. The truth goes with the first group.

    Raises:
        BadImageError: a file of the truth that cannot be used; the gate has read the images.
    """
    pairs = pair_table(verdict, config.modalities)
    groups = _groups(pairs)
    parts = [_group_tensors(record, verdict, config, group, truth=group is groups[0]) for group in groups]
    volumes = torch.zeros(len(pairs), *config.shape, dtype=torch.half)
    foregrounds = torch.zeros(volumes.shape, dtype=torch.bool)
    for group, part in zip(groups, parts, strict=True):
        volumes[group], foregrounds[group] = part["volumes"], part["foreground"]
    tensors = parts[0] | {"volumes": volumes, "pairs": pairs}
    if len(groups) > 1:
        tensors["foregrounds"] = foregrounds
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _groups(pairs: Tensor) -> list[list[int]]:
    """Modalities that hang together by being registered, in order; those that cannot be used are in none."""
    groups: list[list[int]] = []
    for modality in pairs.diag().nonzero().flatten().tolist():
        joined = [group for group in groups if (pairs[modality, group] == INTRA).any()]
        groups = [group for group in groups if group not in joined]
        groups.append(sorted([modality, *(other for group in joined for other in group)]))
    return sorted(groups)


def _group_tensors(
    record: Record, verdict: PersonVerdict, config: VolumeConfig, group: list[int], *, truth: bool
) -> dict[str, Tensor]:
    names = [config.modalities[place] for place in group]
    files = {name: record.images[name] for name in names} | (record.truth if truth else {})
    transforms = volume_transforms(
        replace(config, modalities=tuple(names)),
        labels="labels" in files,
        lesion="lesion" in files,
        truth="to_template" in files,
        elsewhere=elsewhere(verdict.facts[names[0]], files),
    )
    try:
        loaded = transforms(files)
    except RuntimeError:  # of MONAI, which does not name the file
        for reason in damaged_truth(record):
            raise BadImageError(reason) from None
        raise
    data = {name: value.as_tensor() for name, value in loaded.items()}
    tensors = {"volumes": torch.cat([data[name] for name in names]).half(), "foreground": data["foreground"][0] > 0.5}
    if "labels" in data:
        tensors["labels"] = data["labels"][0].to(torch.int16)
    if "lesion" in data:
        tensors["lesion"] = data["lesion"][0] > 0.5
    if "to_template" in data:
        tensors["to_template"] = data["to_template"].float()
    return tensors
