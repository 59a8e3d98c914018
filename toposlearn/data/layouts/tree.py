"""The images below a data folder, and which of the folders around them are people."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from toposlearn.data.images import stem
from toposlearn.data.layouts.files import NO_SUBJECTS, File, list_folder
from toposlearn.data.layouts.names import meaning_of, names_no_person
from toposlearn.data.layouts.visits import MOST_VISITS, is_visit, perhaps_visit, visit_by_scheme
from toposlearn.data.layouts.words import is_container, is_site
from toposlearn.settings import TRUTH

DEEPEST = 8  # folders below the data folder
_NOBODY = ("fsaverage", "fsaverage5", "fsaverage6", "__MACOSX")

_SCAN = re.compile(r"[IS]\d{2,}")  # a scan or series in the folder of a day, as the archive of ADNI numbers them
_SHORT = re.compile(r"\d{1,2}|[A-Za-z]")  # P01/1 and P01/2

LONGITUDINAL = ".long."  # of FreeSurfer, between a scan and the template of its person

Folders = tuple[str, ...]


class Place(NamedTuple):
    """Where an image lies, seen from the data folder."""

    path: Path
    folders: Folders
    stem: str


def walk(root: Path, folders: Folders = (), *, everywhere: bool = False) -> Iterator[Place | File]:
    """Every image and file of landmarks below a folder; a folder that cannot be read is a `File` with that problem.

    Folders that hold no people, as derivatives, are left out unless `everywhere`.
    """
    here = root.joinpath(*folders)
    try:
        images, inside, landmarks = list_folder(here)
    except OSError as error:
        yield File(here, "", problem=f"{here} cannot be read ({error.strerror}): change its permissions")
        return
    yield from (Place(here / name, folders, stem(name)) for name in images)
    yield from (File(here / name, "") for name in landmarks)
    for name in inside:
        left_out = name in _NOBODY or here / name == root / TRUTH or (name in NO_SUBJECTS and not everywhere)
        if len(folders) < DEEPEST and not left_out and not _leads_back(here / name):
            yield from walk(root, (*folders, name), everywhere=everywhere)


def _leads_back(folder: Path) -> bool:
    """True for a link to a folder that holds it."""
    return folder.is_symlink() and folder.resolve() in folder.absolute().parents


def repeated_folders(places: Iterable[Place]) -> set[str]:
    """Folders of FreeSurfer that repeat the scans of others: ``s1_tp1.long.s1_base`` beside ``s1_tp1``, and s1_base."""
    folders = {folder for place in places for folder in place.folders}
    streams = {folder: folder.partition(LONGITUDINAL) for folder in folders if LONGITUDINAL in folder}
    bases = {base for _, _, base in streams.values()}
    return bases | {folder for folder, (scan, _, _) in streams.items() if scan in folders}


@lru_cache(maxsize=65536)
def is_kind(name: str) -> bool:
    """True for a folder that is no person by its name: a modality, a visit, or a container."""
    return visit_by_scheme(name) is None and (names_no_person(name) or is_container(name) or is_visit(name))


def names_images(name: str) -> bool:
    """True for a folder whose name says what its images are, as IXI-T1 does."""
    return not meaning_of(name).unknown


class Tree:
    """Which folders are people: the deepest that is neither a kind of image nor, by the others' example, a visit."""

    def __init__(self, leaves: Iterable[Folders]) -> None:
        """`leaves` are the folders that hold images of one person each."""
        self.visits: set[tuple[int, str]] = set()  # depth and name of folders that recur in most people's folders
        leaves = list(leaves)
        while found := self._recurring(leaves) - self.visits:
            self.visits |= found

    def person(self, folders: Folders) -> int | None:
        """The depth of the person's folder, or None where there is none."""
        candidates = self._candidates(folders)
        return candidates[0] if candidates else None

    def site(self, folders: Folders) -> str:
        """The next folder above the person's that is a site, or no kind of image either; "" if none."""
        depth = self.person(folders)
        return self.site_of_crowd(folders[:depth])

    def site_of_crowd(self, folders: Folders) -> str:
        """The site of the people whose files lie in a folder; "" if none."""
        candidates = self._candidates(folders)
        named = reversed(list(enumerate(folders)))
        found = (name for depth, name in named if is_site(name) or (depth in candidates and not names_images(name)))
        return next(found, "")

    def _candidates(self, folders: Folders) -> list[int]:
        """Depths of folders that may be people, the deepest first."""
        depths = [depth for depth in reversed(range(len(folders))) if not is_kind(folders[depth])]
        days = {depth for depth, name in enumerate(folders) if is_visit(name)}
        scans = [depth for depth in depths if _SCAN.fullmatch(folders[depth]) and depth - 1 in days]
        return [depth for depth in depths if depth not in scans and (depth, folders[depth]) not in self.visits]

    def _recurring(self, leaves: Sequence[Folders]) -> set[tuple[int, str]]:
        """Names that occur in the folders of more people than there are such names, such as 0, 1 and 2.

        Names that say little, such as 1, A or study2, recur where they are few, and the names above hold numbers.
        """
        inner: defaultdict[int, set[str]] = defaultdict(set)
        outer: defaultdict[int, set[Folders]] = defaultdict(set)
        pairs: defaultdict[int, set[Folders]] = defaultdict(set)
        for folders in leaves:
            if len(candidates := self._candidates(folders)) > 1:
                depth = candidates[0]
                inner[depth].add(folders[depth])
                outer[depth].add(folders[: candidates[1] + 1])
                pairs[depth].add((*folders[: candidates[1] + 1], folders[depth]))
        shared = {depth for depth, names in inner.items() if len(names) < len(pairs[depth])}
        little = {depth for depth in shared if _say_little(inner[depth], outer[depth])}
        fewer = {depth for depth in inner if len(inner[depth]) < len(outer[depth])}
        return {(depth, name) for depth in little | fewer for name in inner[depth]}


def _say_little(inner: set[str], outer: set[Folders]) -> bool:
    """True for names of few visits, in folders of people whose names hold numbers."""
    little = all(_SHORT.fullmatch(name) or perhaps_visit(name) == name for name in inner)
    numbered = all(any(map(str.isdigit, folders[-1])) for folders in outer)
    return little and numbered and len(inner) <= MOST_VISITS
