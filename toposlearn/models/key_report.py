"""Which tensors of a file fit a network: all are counted and named, so that none is left out in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

NAMED = 3  # in one line


@dataclass(frozen=True)
class KeyReport:
    """Names of tensors by what became of them."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()  # in the network only: they stay as they were
    unexpected: tuple[str, ...] = ()  # in the file only: they are not used
    wrong_shape: tuple[str, ...] = ()  # in both; each with its two shapes
    notes: tuple[str, ...] = ()  # what else a user must know, one line each

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.missing) + len(self.wrong_shape)
        lines = [f"loaded: {len(self.loaded)} of {total} tensors"]
        parts = {
            "missing in the file, left as they were": self.missing,
            "not used of the file": self.unexpected,
            "wrong shape": self.wrong_shape,
        }
        lines += [f"{words}: {len(names)} ({_first(_modules(names))})" for words, names in parts.items() if names]
        return "\n".join((*lines, *(f"note: {note}" for note in self.notes)))


def key_report(module: nn.Module, tensors: Mapping[str, Tensor]) -> KeyReport:
    """Compare `tensors` with the weights and buffers of a module by name and shape; nothing is loaded."""
    own = module.state_dict()
    both = [name for name in own if name in tensors]
    wrong = {
        name: f"{name} is {tuple(tensors[name].shape)} in the file, {tuple(own[name].shape)} in the network"
        for name in both
        if own[name].shape != tensors[name].shape
    }
    return KeyReport(
        loaded=tuple(name for name in both if name not in wrong),
        missing=tuple(name for name in own if name not in tensors),
        unexpected=tuple(name for name in tensors if name not in own),
        wrong_shape=tuple(wrong.values()),
    )


def load_reported(module: nn.Module, tensors: Mapping[str, Tensor], *, allow_missing: Sequence[str] = ()) -> KeyReport:
    """Load tensors into a module; tensors that the module lacks are reported, not used.

    ValueError, and nothing is loaded: a tensor of another shape, no tensor that fits, or one that is missing although
    its name does not start with any of `allow_missing`.
    """
    report = key_report(module, tensors)
    if report.wrong_shape:
        more = f" (and {len(report.wrong_shape) - 1} more)" if len(report.wrong_shape) > 1 else ""
        raise ValueError(f"{report.wrong_shape[0]}{more}: choose a network of the same size")
    if not report.loaded:
        has = f"the file has {_first(tuple(tensors))}, the network {_first(report.missing)}"
        raise ValueError(f"no tensor fits: {has}; take a file of such a network")
    lacking = tuple(name for name in report.missing if not name.startswith(tuple(allow_missing)))
    if lacking:
        reason = f"{len(lacking)} tensors of the network are missing in the file: {_first(lacking)}"
        raise ValueError(f"{reason}; choose a network of the same size, or take a complete file")
    module.load_state_dict({name: tensors[name] for name in report.loaded}, strict=False)  # all compared above
    return report


def _modules(names: Sequence[str]) -> tuple[str, ...]:
    """The first part of each name, once: ``decoder1.*``."""
    return tuple(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in names))


def _first(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
