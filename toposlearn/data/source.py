"""Where the scans of a run are, and what the names of their files do not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ALL = "all"


@dataclass(frozen=True)
class Source:
    """One or several data folders, and the choices of the user; ``Source.of`` accepts what commands accept."""

    folders: tuple[Path, ...]
    session: str = ""  # label of the session to use, or `ALL`; "": the first that has what a run needs
    entities: Mapping[str, str] = field(default_factory=dict)  # of BIDS, to prefer: {"rec": "norm"}
    patterns: Mapping[str, str] = field(default_factory=dict)  # modality or label map -> ``{subject}/t1_*.nii.gz``

    @classmethod
    def of(cls, data: Data) -> Source:
        """The source that `data` is, or that of one folder or several."""
        if isinstance(data, Source):
            return data
        return cls((Path(data),) if isinstance(data, (str, Path)) else tuple(map(Path, data)))


Data = str | Path | Sequence[str | Path] | Source
