"""Folders outside BIDS: one folder per person, per modality or per site, or all files in one folder, by their names.

Of several copies of an image, as native, brought to another or brain-extracted, the choice is that of `choices`: what
was done to an image counts as ``space-`` (brought to another place) or ``desc-``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from toposlearn.data.layouts.bids import bids_file
from toposlearn.data.layouts.crowds import crowded_folders, in_file
from toposlearn.data.layouts.files import File
from toposlearn.data.layouts.names import EXAMPLE, Meaning, meaning_of
from toposlearn.data.layouts.tree import LONGITUDINAL, Folders, Place, Tree, is_kind, repeated_folders, walk
from toposlearn.data.layouts.visits import is_visit, perhaps_visit, visit_by_scheme, visits_of, without_visit
from toposlearn.data.layouts.words import DIFFUSION, MOVED, PROCESSING, WORD, is_site

BRATS = (  # names of people or scans -> layout
    (r"Brats17_", "BraTS 2017, one folder per person"),
    (r"Brats18_", "BraTS 2018, one folder per person"),
    (r"BraTS19_", "BraTS 2019, one folder per person"),
    (r"BraTS20_", "BraTS 2020, one folder per person"),
    (r"BraTS2021_", "BraTS 2021, one folder per person"),
    (r"BraTSReg_", "BraTS-Reg, one folder per person"),
    (r"BraTS-[A-Za-z]+(-RT)?-\d{4,5}-1\d\d", "BraTS 2024, one folder per scan"),
    (r"BraTS-[A-Za-z]+(-RT)?-\d{4,5}-\d", "BraTS 2023, one folder per scan"),
)
FLAT = "all files in one folder, person and modality in the name"
PER_PERSON = "one folder per person"
PER_KIND = "folders of many people, person in the name"
_TUMOR = re.compile(r"(?i)brats|upenn-gbm|ucsd-ptgbm|strokecase")  # data sets whose label maps show a lesion
_PLAIN_LABELS = ("seg", "segm", "msk", "mask")
_RUN = re.compile(r"(?i)(?:^|[-_. ])(?:run[-_]?|\()(?P<run>\d+)")
_CONFORMED = "orig.mgz"  # the T1w on the grid of FreeSurfer; FastSurfer has no other
_DATA_SET = "atlas"  # a data set of strokes; a folder of this name does not make its images atlases


class _Draft(NamedTuple):
    """What is known of an image before the names of all images are compared."""

    place: Place
    name: str  # of the person, with the visit
    site: str
    visit: str  # of a folder
    rest: str  # of the file's name
    around: Folders  # folders that are no person, the nearest first


def read_plain(root: Path) -> tuple[str, list[File]]:
    """The layout in words, and the files; what is not clear is a file with a problem."""
    found = list(walk(root))
    places = [each for each in found if isinstance(each, Place)]
    files = [*(each for each in found if isinstance(each, File)), *read_places(places, root)]
    return _layout(places, files), _without_lone_diffusion(_without_loose(files, root), root)


def _without_loose(files: list[File], root: Path) -> list[File]:
    """Files beside folders of people, or a folder beside files of people: the fewer are a problem each."""
    people: defaultdict[bool, set[str]] = defaultdict(set)  # whether loose -> people
    for file in files:
        if file.modality and not is_kind(file.path.parent.name):
            people[file.path.parent == root].add(file.subject)
    if not people[True] or not people[False]:
        return files
    loose = len(people[True]) <= len(people[False])
    other = f"folders with images, such as {min(people[False])}" if loose else "files of people"
    remedy = f"move it away, so that {root} holds either files or folders of people, or name it with --pattern"
    return [
        replace(file, modality="", problem=f"{file.path} lies beside {other}: {remedy}")
        if file.modality and (file.path.parent == root) == loose and not is_kind(file.path.parent.name)
        else file
        for file in files
    ]


def _without_lone_diffusion(files: list[File], root: Path) -> list[File]:
    """Loose files of diffusion are not used if there is no other image of the person: they may be parts of series."""
    imaged = {file.subject for file in files if file.modality and file.modality not in DIFFUSION}
    return [
        replace(file, modality="", problem="")
        if imaged and file.path.parent == root and file.modality in DIFFUSION and file.subject not in imaged
        else file
        for file in files
    ]


def read_places(places: Sequence[Place], root: Path) -> Iterator[File]:
    """What the names and folders of images say, each seen beside the others."""
    repeats = repeated_folders(places)
    yield from (_repeat(place) for place in places if repeats & set(place.folders))
    drafts = _drafts([place for place in places if not repeats & set(place.folders)])
    visits = visits_of(draft.name for draft in drafts)
    lesions = {draft.name for draft in drafts if _is_tumor_set(draft)}
    files = [_file(draft, *visits[draft.name], lesion=draft.name in lesions) for draft in drafts]
    yield from _keep_apart(_with_perhaps_visits(files, drafts), drafts, root)


def _repeat(place: Place) -> File:
    reason = "repeats scans that are used, in a longitudinal stream of FreeSurfer, and is not used"
    return File(place.path, "", problem=f"{place.path} {reason}: to use it, give its folder alone")


def _drafts(places: Sequence[Place]) -> list[_Draft]:
    leaves: defaultdict[Folders, list[Place]] = defaultdict(list)
    for place in places:
        leaves[place.folders].append(place)
    crowded = crowded_folders(leaves)
    tree = Tree(folders for folders in leaves if folders not in crowded)
    return [_draft(place, tree, crowd=folders in crowded) for folders, inside in leaves.items() for place in inside]


def _draft(place: Place, tree: Tree, *, crowd: bool) -> _Draft:
    """The name of the person: of the file in a crowded folder, else of the person's folder."""
    folders, depth = place.folders, tree.person(place.folders)
    if crowd or depth is None:
        name, rest = in_file(place)
        site, around = tree.site_of_crowd(folders), folders
    else:
        name, site = folders[depth].partition(LONGITUDINAL)[0], tree.site(folders)
        rest, around = _without(place.stem, name), (*folders[:depth], *folders[depth + 1 :])
    if known := _in_scheme(place):
        name, site, rest = known, "", _without_scheme(place.stem, known)
    visits = [name for depth, name in enumerate(folders) if is_visit(name) or (depth, name) in tree.visits]
    return _Draft(place, name, site, visits[-1] if visits else "", rest, tuple(reversed(around)))


def _in_scheme(place: Place) -> str:
    """The name that says person and visit in the way of a published data set; "" if none."""
    own = visit_by_scheme(place.stem)  # BraTSReg_001/BraTSReg_001_00_0000_t1
    if own and own.session:
        return place.stem
    return next((name for name in (*reversed(place.folders), place.stem) if visit_by_scheme(name)), "")


def _without(text: str, name: str) -> str:
    """The text without a person's name, with the visit or not."""
    for each in (name, without_visit(name).person):
        if len(each) > 1 and each in text:
            return text.replace(each, " ")
    return text


def _without_scheme(text: str, name: str) -> str:
    """The text without the person and visit of a published data set."""
    person, visit = visit_by_scheme(name) or (name, "")
    return re.sub(rf"{re.escape(person)}(?:[-_]{re.escape(visit)}(?:_\d{{4}}(?=_))?)?", " ", text)


def _file(draft: _Draft, person: str, visit: str, *, lesion: bool) -> File:
    path = draft.place.path
    if draft.place.stem.lower().startswith("sub-") and not (named := bids_file(path)).problem:
        return named if named.session else replace(named, session=draft.visit)
    own = without_visit(draft.rest)
    found = _meaning(own.person, draft)
    session = visit or draft.visit or own.session
    if lesion and found.label_map.lower() in _PLAIN_LABELS:
        found = found._replace(label_map="lesion")
    problem = f"{path} {found.problem}: {_remedy(draft)}" if found.problem else ""
    if not person and (found.modality or found.label_map):
        problem = f"{path} names no person: rename it, {EXAMPLE}, or name it with --pattern"
    if problem:
        return File(path, person, session=session, problem=problem)
    return File(path, person, found.modality, session, found.label_map, _entities(own.person, draft))


def _remedy(draft: _Draft) -> str:
    """What to do about a file whose name is not clear, with the pattern that would name it."""
    path, (first, _, last) = draft.place.path, draft.place.stem.rpartition("_")
    own = first if first and (last.isalpha() or re.fullmatch(r"\d{4}", last)) else draft.place.stem
    channel = re.fullmatch(r"(.+)_\d{4}", draft.place.stem) if _names_channels(draft.place) else None
    name = channel[1] if channel else draft.name or own
    pattern = Path(*draft.place.folders, path.name).as_posix().replace(name, "{subject}")
    return f"rename it, {EXAMPLE}, or name it, e.g. with --pattern 'T1w={pattern}'"


def _names_channels(place: Place) -> bool:
    """True in the folders of nnU-Net, imagesTr and imagesTs, where CASE_0000 is the first modality of CASE."""
    return place.folders[-1:] in (("imagesTr",), ("imagesTs",), ("imagesVal",))


def _meaning(rest: str, draft: _Draft) -> Meaning:
    """What a file is, by its name, or else by the nearest folder that says it; folders of masks hold masks."""
    found = meaning_of(rest)
    if _is_freesurfer(draft.place) and draft.place.stem.startswith(("lh.", "rh.")):  # half of ribbon.mgz
        return Meaning()
    folders = (folder for folder in draft.around if not folder.lower().startswith(_DATA_SET))
    around = [said for said in map(meaning_of, folders) if not said.problem]
    if found.unknown and _is_freesurfer(draft.place):
        return Meaning("T1w") if draft.place.path.name == _CONFORMED else Meaning()
    if found.unknown:
        return around[0] if around else found
    if found.modality and around and not around[0].modality:
        return around[0]
    return found


def _is_freesurfer(place: Place) -> bool:
    """True for the many intermediate images of FreeSurfer."""
    return "mri" in place.folders and place.path.name.endswith(".mgz")


def _entities(rest: str, draft: _Draft) -> dict[str, str]:
    words = [word.lower() for part in (rest, *draft.around) for word in WORD.findall(part)]
    moved = "-".join(word for word in words if word in MOVED)
    other = "-".join(sorted({word for word in words if word in PROCESSING - MOVED - {"raw"}}))
    run = _RUN.search(draft.place.stem)
    found = {"space": moved, "desc": other, "run": run["run"] if run else ""}
    return {name: value for name, value in found.items() if value}


def _is_tumor_set(draft: _Draft) -> bool:
    text = draft.place.stem
    return bool(_TUMOR.search(draft.name)) or text in (f"{draft.name}_t1ce", f"{draft.name}-t1n")


def _with_perhaps_visits(files: Sequence[File], drafts: Sequence[_Draft]) -> list[File]:
    """``study1_T1``, ``study2_T1``: visits where the same modality of one person occurs with several of them."""
    words = [perhaps_visit(draft.rest) if file.modality else "" for file, draft in zip(files, drafts, strict=True)]
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for file, word in zip(files, words, strict=True):
        seen[f"{file.subject}/{file.session}/{file.modality}"].add(word)
    several = {key.partition("/")[0] for key, each in seen.items() if len(each - {""}) > 1}
    return [
        _of_visit(file, word, draft.rest) if word and not file.session and file.subject in several else file
        for file, word, draft in zip(files, words, drafts, strict=True)
    ]


def _of_visit(file: File, word: str, rest: str) -> File:
    """The file of a visit; the word for it says no more about contrast agent (``post_T1``)."""
    return replace(file, session=word, modality=meaning_of(rest.replace(word, " ")).modality or file.modality)


def _keep_apart(files: Sequence[File], drafts: Sequence[_Draft], root: Path) -> Iterator[File]:
    """People of the same name at several sites get the name of the site; loose files beside folders, a problem."""
    sites: defaultdict[str, set[str]] = defaultdict(set)
    for file, draft in zip(files, drafts, strict=True):
        sites[file.subject].add(draft.site)
    for person, names in sites.items():
        if len(names) > 1 and person and not all(map(is_site, names - {""})):
            first, second, *_ = sorted(names)
            reason = f"{person} lies in {first or root.name} and in {second} of {root}, and is taken for one person"
            yield File(root, "", problem=f"{reason}: if they are several people, give each folder by its own --data")
    for file, draft in zip(files, drafts, strict=True):
        apart = len(sites[file.subject]) > 1 and is_site(draft.site)
        yield replace(file, subject=f"{draft.site}_{file.subject}") if apart else file


def _layout(places: Sequence[Place], files: Iterable[File]) -> str:
    """The layout in words."""
    names = {name for place in places for name in (place.stem, *place.folders)}
    brats = next((layout for scheme, layout in BRATS if any(re.match(scheme, name) for name in names)), "")
    if brats or not any(place.folders for place in places):
        return brats or FLAT
    named = {file.path.parent.name: file.subject for file in files if file.modality}
    own = sum(bool(subject) and subject in folder for folder, subject in named.items())
    deep = any(len(place.folders) > 1 for place in places)
    per_person = f"{PER_PERSON}, in folders" if deep else PER_PERSON
    return per_person if deep or own * 2 > len(named) else PER_KIND
