"""Training batches: two modalities of a few people. Step s is always the same batch, so that runs resume exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from toposlearn.config import TacoConfig
from toposlearn.data.pose import apply_pose, compose, draw_motion, draw_poses, pose_grid, relative_pose, sample
from toposlearn.data.prepared import Cache, Prepared
from toposlearn.data.tensors import INTER, INTRA, allowed_matrix, drawable
from toposlearn.reproducibility import step_seed
from toposlearn.topology import tokens_from_map

MOTION_STREAM = 78  # separates the random numbers of misregistration from those of augmentation


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Two modalities, a and b, of B people."""

    volumes: Tensor  # (2B, 1, D, H, W), modality a of all people, then modality b
    foreground: Tensor  # (2B, 1, D, H, W) bool
    subjects: Tensor  # (B,) long
    a_to_b: Tensor  # (B, 3, 4) from a's posed mm to b's: the identity when the pose is shared
    to_template: Tensor | None = None  # (B, 3, D, H, W), template mm of each voxel of a; only for matcher "oracle"
    registered: Tensor | None = None  # (B,) bool, people whose a and b lie at the same place; None: all do

    def token_places(self, strides: Iterable[int]) -> dict[int, Tensor]:
        """Stride -> (B, N, 3), template mm of token centers; empty without the truth."""
        if self.to_template is None:
            return {}
        return {stride: tokens_from_map(F.avg_pool3d(self.to_template, stride)) for stride in strides}


def step_generator(seed: int, step: int, process: int = 0) -> torch.Generator:
    """The random generator of one step of one process; it does not depend on earlier steps."""
    return torch.Generator().manual_seed(step_seed(seed, step, process) % 2**63)


class Drawn(NamedTuple):
    """What a step compares."""

    people: Tensor  # (B,) a number per person
    places: list[int]  # of the session that is used
    modalities: list[tuple[int, int]]  # a and b of each person
    generator: torch.Generator  # of all further draws of the step


class _Known(NamedTuple):
    """What must be known of one session of a person before its images are read."""

    person: tuple[str, str]  # data set and name
    allowed: Tensor | None  # `Prepared.pairs`
    mapped: bool  # the map to the template is there


class PairDataset(Dataset[dict[str, Tensor]]):
    """Item s is the batch of step s, before pose and intensity augmentation (`augment`, on the device).

    People are read when they are drawn. Every step draws one order of all people, in which data sets take turns, and
    each of `process_count` processes takes its own part of it. Of a person with several sessions one is drawn.
    """

    def __init__(
        self, people: Cache | Sequence[Prepared], config: TacoConfig, process: int = 0, process_count: int = 1
    ) -> None:
        loss, known = config.loss, _known(people)
        if loss.matcher == "oracle" and not all(each.mapped for each in known):
            raise ValueError("loss.matcher 'oracle' needs people whose map to the template is known: simulate a cohort")
        inter = loss.weight_inter > 0 and loss.matcher != "oracle"  # a term that needs no registered pair
        term = INTER if inter or loss.weight_intra == 0 else INTRA
        self.drawable = partial(drawable, term=term, unpaired=config.train.unpaired)
        usable = [each.allowed is None or bool(self.drawable(each.allowed).any()) for each in known]
        self.allowed = [each.allowed for each in known]
        sessions: dict[tuple[str, str], list[int]] = {}
        for index in [index for index, each in enumerate(usable) if each]:
            sessions.setdefault(known[index].person, []).append(index)
        self.sessions = list(sessions.values())  # of each person, as places in `people`
        sets = list(dict.fromkeys(data_set for data_set, _ in sessions))
        self.data_sets = torch.tensor([sets.index(data_set) for data_set, _ in sessions])  # (people,)
        wanted = process_count * config.train.subjects_per_step
        if len(self.sessions) < wanted:
            processes = f" in each of {process_count} processes" if process_count > 1 else ""
            counts = f"{len(self.sessions)} people to train on, but train.subjects_per_step is"
            raise ValueError(f"{counts} {config.train.subjects_per_step}{processes}: add people, or lower it")
        used = [self.allowed[index] for own in self.sessions for index in own]
        complete = all(allowed is None or bool((allowed == INTRA).all()) for allowed in used)
        self.all_registered = complete or config.train.unpaired
        self.people, self.config, self.process = people, config, process

    def __len__(self) -> int:
        return self.config.train.steps

    def draw(self, step: int) -> Drawn:
        """The people and the modalities of a step; no image is read."""
        seed = self.config.train.seed
        shared = step_generator(seed, step)
        chosen = self._draw_people(shared)
        generator = step_generator(seed, step, self.process) if self.process else shared
        places = [self._draw_session(person, generator) for person in chosen.tolist()]
        return Drawn(chosen, places, [self._draw_pair(place, generator) for place in places], generator)

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        settings = self.config.augment
        chosen, places, pairs, generator = self.draw(step)
        subjects = [self._read(place, pair) for place, pair in zip(places, pairs, strict=True)]
        first = draw_poses(len(chosen), settings, generator)
        masks = [subject.foreground_of(side) for subject in subjects for side in (0, 1)]
        poses = [first, first if settings.shared_pose else draw_poses(len(chosen), settings, generator)]
        rows = zip(chosen.tolist(), pairs, strict=True)
        batch = {
            "volumes": torch.stack([subject.volumes for subject in subjects]),  # (B, 2, D, H, W)
            "foreground": torch.stack(masks).view(len(chosen), 2, *masks[0].shape),
            "subjects": chosen,  # (B,) a number per person, whichever session it is
            "modalities": torch.tensor(pairs),  # (B, 2)
            "poses": torch.stack(poses, dim=1),  # (B, 2, 3, 4)
            "motions": torch.stack([self._motions(person, pair) for person, pair in rows]),
        }
        if not self.all_registered:
            batch["registered"] = torch.tensor([subject.registered for subject in subjects])
        if self.config.loss.matcher == "oracle":  # no other loss may see the truth
            batch["to_template"] = torch.stack([cast(Tensor, subject.to_template) for subject in subjects])
        return batch

    def _draw_people(self, generator: torch.Generator) -> Tensor:
        """(B,) the people of this process: its part of an order of all, in which data sets take turns."""
        order = torch.randperm(len(self.sessions), generator=generator)
        if (count := int(self.data_sets.max()) + 1) > 1:
            own = self.data_sets[order]
            turn = torch.randperm(count, generator=generator)[own]
            rank = F.one_hot(own, count).cumsum(0).gather(1, own[:, None])[:, 0]  # of a person within the data set
            order = order[(rank * count + turn).argsort()]
        size = self.config.train.subjects_per_step
        return order[self.process * size : (self.process + 1) * size].clone()

    def _draw_session(self, person: int, generator: torch.Generator) -> int:
        own = self.sessions[person]
        return own[0] if len(own) == 1 else own[int(torch.randint(len(own), (), generator=generator))]

    def _draw_pair(self, place: int, generator: torch.Generator) -> tuple[int, int]:
        """Two modalities that may be compared, or one twice: see `drawable`."""
        allowed, count = self.allowed[place], len(self.config.volume.modalities)
        if count == 1:
            return 0, 0
        known = None if allowed is None else self.drawable(allowed)
        if known is not None and self.config.train.unpaired:
            pairs = known.nonzero()
            first, second = pairs[torch.randint(len(pairs), (), generator=generator)].tolist()
            return first, second
        while True:
            first, second = torch.randperm(count, generator=generator)[:2].tolist()
            if known is None or known[first, second]:
                return first, second

    def _read(self, place: int, pair: tuple[int, int]) -> Prepared:
        """A person in two modalities, with the map to the template where the matcher needs it."""
        truth = ("to_template",) if self.config.loss.matcher == "oracle" else ()
        if isinstance(self.people, Cache):
            return self.people.take(place, pair, truth)
        return self.people[place].take(pair)

    def _motions(self, person: int, pair: tuple[int, int]) -> Tensor:
        """Simulated misregistration (2, 3, 4) of a person's modalities: the identity for the first modality."""
        augment, count = self.config.augment, len(self.config.volume.modalities)
        motions = torch.eye(3, 4).repeat(2, 1, 1)
        for place, modality in enumerate(pair):
            if modality > 0:
                number = modality + count * (0 if augment.misregister_alike else person)
                generator = step_generator(self.config.train.seed, number, MOTION_STREAM)
                motions[place] = draw_motion(augment.misregister_shift, augment.misregister_rotation, generator)
        return motions


def _known(people: Cache | Sequence[Prepared]) -> list[_Known]:
    """What is known of each: of a cache without opening a file."""
    if not isinstance(people, Cache):
        return [_Known(("", str(i)), each.pairs, each.to_template is not None) for i, each in enumerate(people)]
    matrices: dict[str, Tensor] = {}  # few are different
    known = []
    for record in people.manifest.records:
        entry = people.entry(record)
        if entry.allowed not in matrices:
            matrices[entry.allowed] = allowed_matrix(entry.allowed)
        person = (record.data_set, record.subject)
        known.append(_Known(person, matrices[entry.allowed], "to_template" in entry.truth))
    return known


def augment(batch: dict[str, Tensor], config: TacoConfig, generator: torch.Generator | None = None) -> PairBatch:
    """Pose both modalities of each person and change the gamma and noise of each by itself, on the batch's device."""
    spacing = config.volume.spacing
    poses = batch["poses"].transpose(0, 1)  # (2, B, 3, 4)
    maps = compose(poses.flatten(0, 1), batch["motions"].transpose(0, 1).flatten(0, 1))  # (2B, 3, 4)
    volumes = batch["volumes"].transpose(0, 1).flatten(0, 1)[:, None]  # (2B, 1, D, H, W)
    grid = pose_grid(maps, volumes.shape, spacing)
    volumes = sample(volumes, grid)
    head = batch["foreground"].transpose(0, 1).flatten(0, 1)[:, None]
    foreground = sample(head.float(), grid, nearest=True) > 0.5
    draws = torch.rand(len(volumes), 1, 1, 1, 1, generator=generator, device=volumes.device)
    gamma = 1 + config.augment.gamma * (2 * draws - 1)
    noise = config.augment.noise * torch.randn(volumes.shape, generator=generator, device=volumes.device)
    volumes = (volumes.clamp(min=1e-6) ** gamma + noise) * foreground
    truth = batch.get("to_template")
    if truth is not None:
        truth = apply_pose(truth, poses[0], spacing, border=True)
    a_to_b, registered = relative_pose(poses[0], poses[1]), batch.get("registered")
    if registered is not None:  # the map of the others is unknown: their tokens are read where they are
        a_to_b = torch.where(registered[:, None, None], a_to_b, torch.eye(3, 4, device=a_to_b.device))
    return PairBatch(volumes, foreground, batch["subjects"], a_to_b, truth, registered)
