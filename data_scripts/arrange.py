"""From what was downloaded to a folder that every command reads: links under the names of BIDS, and what is known.

The rules of a data set name files by regular expressions over their paths, in folders and in archives alike. Every
file that a person gets is read whole first; one that is damaged is left out and named, and the others go on.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from download import Remote, fetch, has_checksum, known_checksums
from tqdm import tqdm
from unpacking import is_archive, names_in, unpack

from toposlearn.anatomy.landmarks import read_landmarks
from toposlearn.data import check_image, read_manifest
from toposlearn.reproducibility import write_json

LABELS = "derivatives/labels"  # of BIDS, for label maps
LABEL_MAPS = ("dseg", "label-lesion_mask")
LANDMARKS = "afids"
_DAMAGE = (EOFError, OSError, ValueError, nib.filebasedimages.ImageFileError)
_NAMED = 3  # files or people that a line names
Table = dict[str, dict[str, str]]  # person -> column -> value


class Found(NamedTuple):
    """A file of a person: in a folder, or a member of an archive."""

    subject: str  # letters and digits
    session: str
    kind: str  # ending of its BIDS name, such as T1w
    path: Path
    member: str = ""
    source: str = ""  # the person in the publisher's names
    rank: int = 0  # number of the rule that named it

    @property
    def key(self) -> tuple[str, str, str]:
        """Of which there is one file."""
        return self.subject, self.session, self.kind

    @property
    def name(self) -> str:
        """Of the file, or of the member."""
        return Path(self.member or self.path).name


class Rule(NamedTuple):
    """Files whose path `pattern` matches: its groups `subject` and `session` name the person, unless given here.

    Of two files of one person, session and kind, that of the earlier rule is used, or else the first by name.
    """

    pattern: str
    kind: str
    subject: str = ""


def bids_place(found: Found) -> str:
    """Where a file of a person goes: images into anat or dwi, label maps into derivatives."""
    parts = [f"sub-{found.subject}", *([f"ses-{found.session}"] if found.session else [])]
    folder = "dwi" if found.kind in ("dwi", "ADC") else "anat"
    ending = ".nii.gz" if found.name.lower().endswith(".gz") else ".nii"
    place = "/".join([*parts, folder, "_".join([*parts, found.kind]) + ending])
    return f"{LABELS}/{place}" if found.kind in LABEL_MAPS else place


@dataclass(frozen=True)
class DataSet:
    """What a script declares of a data set; `fetch` is None where an account is needed."""

    name: str
    title: str
    license: str
    people: str
    size: str
    access: str
    address: str
    cite: str
    rules: tuple[Rule, ...]
    files: tuple[Remote, ...] = ()
    fetch: Callable[[DataSet, Path, int | None], list[str]] | None = None
    aliases: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # name of a scan -> person, session
    table: Callable[[Path], Table] | None = None  # ages and the like, from the folder of downloads
    place: Callable[[Found], str] = bids_place
    finish: Callable[[Path, Path], None] | None = None  # folder of downloads, new folder
    images: bool = True  # False: label maps or landmarks alone, which no data folder is made of
    next: str = "inspect {}"  # the command that reads the new folder

    def match(self, text: str, path: Path, member: str = "") -> Found | None:
        """The file of a person that a path names, or None."""
        for rank, rule in enumerate(self.rules):
            if hit := re.search(rule.pattern, text, re.IGNORECASE):
                groups = hit.groupdict()
                source = rule.subject or groups["subject"]
                subject, session = self.aliases.get(source, (source, groups.get("session") or ""))
                return Found(_plain(subject), _plain(session), rule.kind, path, member, source, rank)
        return None


def fetch_files(data_set: DataSet, folder: Path, subset: int | None) -> list[str]:
    """Download the files of all people, or of the first of them; files of no person, such as archives, always."""
    owners = {file.name: data_set.match(file.name, Path(file.name)) for file in data_set.files}
    people = sorted({found.subject for found in owners.values() if found}, key=_natural)[:subset]
    wanted = [file for file in data_set.files if (found := owners[file.name]) is None or found.subject in people]
    return fetch(wanted, folder, known_checksums(data_set.name))


def arrange(data_set: DataSet, source: Path, out: Path, *, subset: int | None, limit: int) -> list[str]:
    """Make the folder, whole or not at all; return the lines to print.

    Args:
        data_set: whose rules name the files.
        source: folder or archive that was downloaded.
        out: the folder to make.
        subset: number of people, in natural order of their names; None: all.
        limit: bytes that unpacked archives may take.

    Raises:
        ValueError: no file of a person, or an archive that cannot be used.
    """
    found, notes = find(data_set, source)
    people = sorted({file.subject for file in found}, key=_natural)[:subset]
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")  # beside `out`: relative links stay true
    try:
        partial.mkdir(parents=True)
        files = _unpacked([file for file in found if file.subject in people], partial, limit)
        sound, problems = _sound(files, data_set)
        _link(sound, data_set, partial)
        _describe(data_set, source, partial, sound)
        if data_set.finish:
            data_set.finish(source, partial)
        records = read_manifest(partial).records if data_set.images else ()  # by every command
        read = {record.subject.removeprefix("sub-") for record in records} or {file.subject for file in sound}
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    unread = {file.subject for file in sound if data_set.place is bids_place} - read
    without = [f"{len(unread)} people without a usable image: {_some(unread)}"] if unread else []
    unpacked = all(partial in file.path.parents for file in sound)
    where = f"unpacked into {out / 'sourcedata'}" if unpacked else f"linked to {source}, which must stay"
    counts = f"{out}: {len(read)} people of {data_set.title}; {_counts(sound)}"
    return [counts, *notes, *problems, *without, f"{where}; license: {data_set.license}"]


def _link(files: Iterable[Found], data_set: DataSet, root: Path) -> None:
    for file in files:
        link = root / data_set.place(file)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(file.path.resolve(), link.parent.resolve()))


def find(data_set: DataSet, source: Path) -> tuple[list[Found], list[str]]:
    """The files that the rules name, one for each person, session and kind, and lines about the others.

    An archive that is unsafe, damaged or has a wrong checksum is left out and named.

    Raises:
        ValueError: no file is left.
    """
    known = known_checksums(data_set.name)
    chosen: dict[tuple[str, str, str], Found] = {}
    unused, problems = list[str](), list[str]()
    candidates = (data_set.match(*candidate) for candidate in _candidates(source, known, problems))
    for found in filter(None, candidates):
        better, worse = sorted((chosen.get(found.key, found), found), key=lambda each: each.rank)
        chosen[found.key] = better
        unused += [worse.name] if worse is not better else []
    if not chosen:
        expected = f"see the table of {Path(__file__).with_name('README.md')}"
        nothing = f"no file of {data_set.title} in {source}: give what was downloaded from there, {expected}"
        raise ValueError(problems[0] if problems else nothing)
    changed = [file.name for file in chosen.values() if _differs(file, known)]
    lines = {"files of a person, session and kind that has one already are not used": unused}
    lines["files differ from the published ones (checksum)"] = changed
    notes = [f"{len(names)} {line}: {_some(names)}" for line, names in lines.items() if names]
    return list(chosen.values()), [*notes, *(f"left out: {problem}" for problem in problems)]


def _differs(file: Found, known: Mapping[str, str]) -> bool:
    """True for a loose file whose checksum is known, by its name or with that of its folder, and another one."""
    names = () if file.member else (file.name, f"{file.path.parent.name}/{file.name}")
    return any(name in known and not has_checksum(file.path, known[name]) for name in names)


def _candidates(source: Path, known: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, Path, str]]:
    """Path as text, file, and member of an archive: files in folders first, so that an unpacked one is preferred."""
    archives = [source] if source.is_file() else []
    for folder, folders, names in os.walk(source):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=_natural)
        for name in sorted((name for name in names if not name.startswith(".")), key=_natural):
            path = Path(folder, name)
            if is_archive(path):
                archives.append(path)
            elif not name.endswith(".part"):
                yield path.relative_to(source).as_posix(), path, ""
    for archive in archives:
        try:
            yield from [(name, archive, name) for name in _names_in(archive, known.get(archive.name, ""))]
        except ValueError as error:
            problems.append(str(error))


def _names_in(archive: Path, checksum: str) -> list[str]:
    if checksum and not has_checksum(archive, checksum):
        reason = f"{archive} does not have the published checksum {checksum}"
        raise ValueError(f"{reason}: copy or download it again, or unpack it yourself and give the folder")
    return names_in(archive)


def _unpacked(files: Sequence[Found], partial: Path, limit: int) -> list[Found]:
    """The files, with those in archives unpacked below ``sourcedata``."""
    folders = {}
    for number, archive in enumerate(dict.fromkeys(file.path for file in files if file.member)):
        folders[archive] = partial / "sourcedata" / f"{number}_{archive.name.partition('.')[0]}"
        unpack(archive, folders[archive], limit, {file.member for file in files if file.path == archive})
    return [file._replace(path=folders[file.path] / file.member) if file.member else file for file in files]


def _sound(files: Iterable[Found], data_set: DataSet) -> tuple[list[Found], list[str]]:
    """The files that can be read whole, and one line for each other."""
    sound, problems = [], []
    for file in tqdm(list(files), desc="checking", unit="file", disable=None):
        try:
            if file.kind == LANDMARKS:
                read_landmarks(file.path)
            elif file.kind in LABEL_MAPS or data_set.place is not bids_place:
                image: Any = nib.load(file.path)
                np.asanyarray(image.dataobj)
            else:
                check_image(file.path)
            sound.append(file)
        except _DAMAGE as error:
            reason = " ".join(str(error).split())
            problems.append(f"left out: {reason if str(file.path) in reason else f'{file.path} ({reason})'}")
    if not sound:
        raise ValueError(problems[0].removeprefix("left out: "))
    return sound, problems


def _describe(data_set: DataSet, source: Path, root: Path, files: Sequence[Found]) -> None:
    """Write what is known of the data set and of its people."""
    folders = {root: (data_set.title, "raw"), root / LABELS: (f"Label maps of {data_set.title}", "derivative")}
    for folder, (name, kind) in folders.items():
        if folder.is_dir():
            content = {"Name": name, "BIDSVersion": "1.10.0", "DatasetType": kind, "License": data_set.license}
            sources = {"HowToAcknowledge": data_set.cite, "SourceDatasets": [{"URL": data_set.address}]}
            write_json(folder / "dataset_description.json", content | sources)
    table = data_set.table(source) if data_set.table and source.is_dir() else {}
    _write_people(root / "participants.tsv", files, {_plain(subject): row for subject, row in table.items()})


def _write_people(path: Path, files: Iterable[Found], table: Table) -> None:
    people: dict[str, str] = {}
    for found in sorted(files, key=lambda found: (_natural(found.subject), _natural(found.session))):
        people.setdefault(found.subject, found.source)
    columns = dict.fromkeys(column for subject in people for column in table.get(subject, {}))
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, dialect="excel-tab", lineterminator="\n")
        lines.writerow(["participant_id", "source_id", *columns])
        for subject, name in people.items():
            row = table.get(subject, {})
            lines.writerow([f"sub-{subject}", name, *(row.get(column) or "n/a" for column in columns)])


def _counts(files: Sequence[Found]) -> str:
    """How many people have each kind, and who lacks one that others have."""
    people = {file.subject for file in files}
    counts = Counter(kind for _, kind in {(file.subject, file.kind) for file in files})
    text = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    having = {kind: {file.subject for file in files if file.kind == kind} for kind in counts}
    lacking = [f"no {kind}: {_some(people - having[kind])}" for kind in sorted(counts) if people - having[kind]]
    return "; ".join([text, *lacking])


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names, key=_natural)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + more


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _plain(text: str) -> str:
    """Letters and digits only, as labels of BIDS."""
    return re.sub(r"[^A-Za-z0-9]", "", text)
