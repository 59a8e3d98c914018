"""From the files of a person to tensors on the network's grid; an image or person that fails is left out and named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from toposlearn.config import VolumeConfig
from toposlearn.data.gate import assessment as gate
from toposlearn.data.gate.quality import damaged_truth, same_grid
from toposlearn.data.images import BadImageError, load_image
from toposlearn.data.manifest import Record
from toposlearn.data.transforms import volume_transforms

INTER, INTRA = 1, 2  # what a pair of modalities may enter: the inter term, or both terms; 0: nothing
LARGEST_LABEL = 2**15 - 1
REPLACE = "replace it, or remove it"
NO_PAIR = "left out because no two images can be compared"


def make_tensors(
    record: Record, assessment: gate.SubjectAssessment, config: VolumeConfig
) -> tuple[dict[str, Tensor], gate.SubjectAssessment, str]:
    """The tensors of `Prepared` (none of a person who is left out), the assessment, and what is wrong, in one line.

    An image that fails is left out, and the others are prepared without it. Damaged truth leaves out the person.
    """
    while (pairs := allowed_pairs(assessment, config.modalities)).any():
        try:
            return _subject_tensors(record, assessment, pairs, config), assessment, assessment.summary
        except BadImageError as error:
            named = (each for each in assessment.facts if str(error).startswith(f"{record.images[each]} "))
            name = error.modality or next(named, None)
            if name is None:
                return {}, assessment, "; ".join(filter(None, (f"left out: {error}", assessment.summary)))
            assessment = _without(assessment, name, str(error))
    return {}, assessment, f"{NO_PAIR}: {assessment.summary}"


def allowed_pairs(assessment: gate.SubjectAssessment, modalities: Sequence[str]) -> Tensor:
    """(M, M) uint8, as `Prepared.pairs`."""
    pairs = torch.diag(torch.tensor([INTRA * (name in assessment.facts) for name in modalities])).to(torch.uint8)
    for pair in assessment.pairs:  # a usable modality may enter both terms with itself
        i, j = modalities.index(pair.first), modalities.index(pair.second)
        pairs[i, j] = pairs[j, i] = INTRA if pair.aligned else INTER * (pair.status == gate.INTER_ONLY)
    return pairs


def drawable(pairs: Tensor, term: int = INTER, *, unpaired: bool = False) -> Tensor:
    """(M, M) bool, modalities that may be drawn together: two that may enter `term`; of one modality, this one twice.

    If `unpaired`: two registered modalities, or twice one that is registered with no other.
    """
    if len(pairs) == 1:
        return pairs >= term
    different, registered = ~torch.eye(len(pairs), dtype=torch.bool), pairs == INTRA
    alone = torch.diag(registered.sum(1) == 1)
    return registered & (different | alone) if unpaired else (pairs >= term) & different


def allowed_digits(pairs: Tensor) -> str:
    """`Prepared.pairs` row by row, a digit each."""
    return "".join(map(str, pairs.flatten().tolist()))


def allowed_matrix(digits: str) -> Tensor:
    """(M, M) uint8, the inverse of `allowed_digits`."""
    side = math.isqrt(len(digits))
    return torch.tensor(list(map(int, digits)), dtype=torch.uint8).view(side, side)


def _without(assessment: gate.SubjectAssessment, name: str, reason: str) -> gate.SubjectAssessment:
    """The assessment with one image that cannot be used."""
    facts = {each: known for each, known in assessment.facts.items() if each != name}
    pairs = tuple(
        gate.PairAssessment(pair.first, pair.second, gate.LEFT_OUT, reason)
        if name in (pair.first, pair.second)
        else pair
        for pair in assessment.pairs
    )
    return replace(assessment, facts=facts, pairs=pairs, broken={**assessment.broken, name: reason})


def _subject_tensors(
    record: Record, assessment: gate.SubjectAssessment, pairs: Tensor, config: VolumeConfig
) -> dict[str, Tensor]:
    """Each group of registered modalities, and the truth with the first group."""
    usable = pairs.diag().nonzero()[:, 0]
    count, numbers = connected_components((pairs[usable][:, usable] == INTRA).numpy())
    groups = [usable[torch.from_numpy(numbers == number)].tolist() for number in range(count)]
    parts = [_group_tensors(record, assessment, config, group, truth=group is groups[0]) for group in groups]
    volumes = torch.zeros(len(pairs), *config.shape, dtype=torch.half)
    foregrounds = torch.zeros(volumes.shape, dtype=torch.bool)
    for group, part in zip(groups, parts, strict=True):
        volumes[group], foregrounds[group] = part["volumes"], part["foreground"]
    tensors = parts[0] | {"volumes": volumes, "pairs": pairs}
    if len(groups) > 1:
        tensors["foregrounds"] = foregrounds
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _group_tensors(
    record: Record, assessment: gate.SubjectAssessment, config: VolumeConfig, group: list[int], *, truth: bool
) -> dict[str, Tensor]:
    """Tensors of one group on the grid of its first modality, with the head in the middle."""
    names = [config.modalities[index] for index in group]
    files = {name: record.images[name] for name in names} | (record.truth if truth else {})
    first = assessment.facts[names[0]]
    with _naming_files(record):
        elsewhere = [name for name, path in files.items() if not same_grid(load_image(path), first)]
        own = replace(config, modalities=tuple(names))
        transforms = volume_transforms(own, truth=files, elsewhere=elsewhere, channels=record.channels)
        made = transforms(files)
    data = {name: value.as_tensor() for name, value in made.items()}
    tensors = {name: data[name][0] > 0.5 for name in ("foreground", "lesion") if name in data}
    tensors["affine"] = made[names[0]].affine.double()
    tensors["volumes"] = torch.cat([data[name] for name in names]).half()
    if "labels" in data:
        if (highest := int(data["labels"].abs().max())) > LARGEST_LABEL:
            limit = f"labels up to {LARGEST_LABEL} can be used: renumber them"
            raise BadImageError(f"{record.labels} holds the label {highest}, but {limit}")
        tensors["labels"] = data["labels"][0].to(torch.int16)
    if "to_template" in data:
        tensors["to_template"] = data["to_template"].float()
    _check(record, names, tensors)
    return tensors


def _check(record: Record, names: Sequence[str], tensors: dict[str, Tensor]) -> None:
    """Raise BadImageError for an image of which nothing, or no number between 0 and 1, is left on the grid."""
    for name, volume in zip(names, tensors["volumes"], strict=True):
        path = record.images[name]
        if not bool(((volume >= 0) & (volume <= 1)).all()):  # NaN is neither
            raise BadImageError(f"{path} gives values outside 0 to 1 on the network's grid: {REPLACE}")
        if not bool((volume[tensors["foreground"]] > 0).any()):
            raise BadImageError(f"{path} shows no head on the network's grid: {REPLACE}")


@contextmanager
def _naming_files(record: Record) -> Iterator[None]:
    """Turn an error of the transforms, which does not say which file it is about, into a `BadImageError`."""
    try:
        yield
    except BadImageError:
        raise
    except (RuntimeError, ValueError, OSError, IndexError) as error:
        if isinstance(error.__cause__, BadImageError):
            raise error.__cause__ from None
        for reason in damaged_truth(record):
            raise BadImageError(reason) from None
        causes = [str(each).splitlines()[0][:100] for each in (error.__cause__, error) if each and str(each)]
        folder = next(iter(record.images.values())).parent
        brief = (causes or [type(error).__name__])[0]
        raise BadImageError(f"the images in {folder} cannot be brought to one grid ({brief}): check them") from error
