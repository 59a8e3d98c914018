"""The people of a data folder: their files, and the modalities that a run can use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from toposlearn.config import TacoConfig

GROUND_TRUTH = ("labels", "lesion", "to_template")  # files of a person, and tensors
NEARLY = 0.8  # share of the people who have a modality that a run uses


@dataclass(frozen=True)
class Record:
    """The files of one session of a person; ground truth is None where the data set has none."""

    subject: str  # the person: all sessions of a person have the same
    images: Mapping[str, Path]  # modality -> file
    labels: Path | None = None
    lesion: Path | None = None
    to_template: Path | None = None
    info: Mapping[str, str] = field(default_factory=dict)  # row of participants.tsv
    session: str = ""  # only where several sessions of a person are used
    data_set: str = ""  # only where several data sets are used
    root: Path = Path()  # folder of the data set
    channels: Mapping[str, int] = field(default_factory=dict)  # modality -> channel of a file that holds several
    label_maps: Mapping[str, Path] = field(default_factory=dict)  # kind, as in the file's name -> label map
    points: tuple[Path, ...] = ()  # files of landmarks, one per rater

    @property
    def name(self) -> str:
        """Unique in a manifest, and part of file names."""
        return "_".join(part for part in (self.data_set, self.subject, self.session) if part)

    @property
    def truth(self) -> dict[str, Path]:
        """The files of the ground truth that exist, by ``labels``, ``lesion``, ``to_template``."""
        return {name: path for name in GROUND_TRUTH if (path := getattr(self, name))}


@dataclass(frozen=True)
class Manifest:
    """The people of a data folder."""

    root: Path
    records: tuple[Record, ...]
    layout: str = ""  # in words
    ignored: tuple[Path, ...] = ()  # image files that are not used
    notes: tuple[str, ...] = ()  # one line per choice among files, damaged table or person without images
    patterns: Mapping[str, str] = field(default_factory=dict)  # modality -> how its files are named, for ``--pattern``

    def __len__(self) -> int:
        return len(self.records)

    @property
    def people(self) -> tuple[tuple[str, str], ...]:
        """Data set and name of each person once, however many sessions are used."""
        return tuple(dict.fromkeys((record.data_set, record.subject) for record in self.records))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that every person has, sorted."""
        return tuple(sorted(set.intersection(*(set(record.images) for record in self.records))))

    def require(self, modalities: Sequence[str]) -> None:
        """Raise ValueError unless every person has each of these modalities."""
        for record in self.records:
            if missing := [name for name in modalities if name not in record.images]:
                others = f"it has {', '.join(sorted(record.images)) or 'none'}"
                lacking = f"{record.name} in {self.root} has no {', '.join(missing)} image ({others})"
                raise ValueError(f"{lacking}: add it, or choose modalities that everyone has")

    def select(self, subjects: Sequence[str]) -> Manifest:
        """The manifest of these people only, in this order."""
        by_name = {record.name: record for record in self.records}
        return replace(self, records=tuple(by_name[name] for name in subjects))


def config_for(config: TacoConfig, manifest: Manifest, *, minimum: int = 2) -> TacoConfig:
    """The same settings with modalities that at least four in five people have, `minimum` or more.

    The configuration's own modalities are kept if all are such; else all such are taken, the configuration's first.
    """
    counts = Counter(name for record in manifest.records for name in record.images)
    common = sorted(name for name, count in counts.items() if count >= NEARLY * len(manifest))
    wanted = config.volume.modalities
    if set(wanted) <= set(common):
        return config
    if len(common) < minimum:
        poorest = min(manifest.records, key=lambda record: len(record.images))
        shared = f"the {len(manifest)} people of {manifest.root} share {' and '.join(common) or 'none'}"
        reason = f"{shared} ({poorest.name} has {', '.join(sorted(poorest.images))})"
        remedy = "add images, or move people to another folder"
        raise ValueError(f"at least two modalities that everyone has are needed, but {reason}: {remedy}")
    chosen = [name for name in wanted if name in common]
    return config.replace(volume={"modalities": (*chosen, *(name for name in common if name not in chosen))})


def pair_of(modalities: Sequence[str], first: str, second: str) -> tuple[str, str]:
    """These two modalities where both are among `modalities`, else its first two."""
    return (first, second) if {first, second} <= set(modalities) else (modalities[0], modalities[1])
