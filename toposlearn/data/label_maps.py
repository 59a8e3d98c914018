"""The label maps beside the images of a data folder, and the classes that occur in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toposlearn.data.images import BadImageError, read_labels
from toposlearn.data.manifest import Record

LARGEST_RANGE = 1_000_000
MOST_CLASSES = 12  # that are listed one by one


@dataclass
class LabelMaps:
    """The label maps of one kind."""

    count: int = 0
    classes: set[int] = field(default_factory=set)  # that occur in any of them
    problems: list[str] = field(default_factory=list)  # one line for each that cannot be read

    def describe(self) -> str:
        """The classes and the number of maps, in one line."""
        shown = sorted(self.classes)[:MOST_CLASSES]
        more = f" and {len(self.classes) - len(shown)} more" if len(self.classes) > len(shown) else ""
        return f"{', '.join(map(str, shown)) or 'none could be read'}{more}  ({self.count})"


def read_label_maps(records: Iterable[Record]) -> dict[str, LabelMaps]:
    """Kind -> its label maps, each read once."""
    found: dict[str, LabelMaps] = {}
    for record in records:
        for kind, path in sorted(record.label_maps.items()):
            maps = found.setdefault(kind, LabelMaps())
            maps.count += 1
            try:
                maps.classes |= classes_in(read_labels(path)[0])
            except BadImageError as error:
                maps.problems.append(str(error))
    return found


def classes_in(labels: NDArray[Any]) -> set[int]:
    """The values of a label map, which are whole numbers."""
    low, high = int(labels.min()), int(labels.max())
    if high - low > LARGEST_RANGE:
        return {int(value) for value in np.unique(labels)}
    counts = np.bincount((labels.astype(np.int64) - low).ravel())  # much faster than sorting
    return {int(value) + low for value in np.flatnonzero(counts)}
