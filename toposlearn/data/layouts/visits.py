"""The person in a name and the visit: ``P001_visit2`` is the second visit of P001; P1 and P2 are two people."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

_SCHEMES = tuple(  # names of published data sets
    re.compile(rf"(?<![A-Za-z0-9]){scheme}(?![A-Za-z0-9])")
    for scheme in (
        r"(?P<person>BraTS-[A-Za-z]+(?:-RT)?-\d{4,5})-(?P<session>\d{1,3})",  # 2023, 2024
        r"(?P<person>BraTSReg_\d{3})(?:_(?P<session>\d{2})(?:_\d{4})?)?",
        r"(?P<person>brats_tcia_pat\d+)_(?P<session>\d{4})",
        r"(?P<person>UPENN-GBM-\d{5})(?:_(?P<session>\d{2}))?",
        r"(?P<person>UCSF-PDGM-\d{3,4})(?:_(?P<session>FU\d+d?))?(?:_nifti)?",
        r"(?P<person>UCSD-PTGBM-\d{4})(?:_(?P<session>\d{2}))?",
        r"(?P<person>(?:training|test)\d{2})_(?P<session>\d{2})",  # ISBI 2015
        r"(?P<person>OAS[12]_\d{4})(?:_(?P<session>MR\d+))?",
        r"(?P<person>(?:sub-)?OAS3\d{4})(?:_(?:ses-|MR_)?(?P<session>d\d{4}))?",
        r"(?P<person>\d{3}_S_\d{4,5})(?P<session>)",  # ADNI
        r"(?P<person>[1-9]\d{6})_2\d{4}_(?P<session>\d)_\d",  # UK Biobank
        r"(?P<person>IXI\d{3}-[A-Za-z]+-\d{4})(?P<session>)",
        r"(?P<person>sub-[A-Za-z0-9]+)(?:_(?P<session>ses-[A-Za-z0-9]+))?",
    )
)
_TIME = r"(?:[-_ T]?\d{2}[-_:]?\d{2}[-_:]?\d{2}(?:\.\d+)?)?"
_YEAR, _MONTH_OR_DAY = r"(?:19|20)\d{2}", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = rf"{_YEAR}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01]){_TIME}"
_DATE_BEHIND = rf"{_MONTH_OR_DAY}(?P<sign>[-_.]){_MONTH_OR_DAY}(?P=sign){_YEAR}"  # 03-02-1999
_COUNTED = r"\d+[-_ ]?(?:months?|mo|weeks?|wks?|days?|years?|yrs?)"  # 12months
_SURE = re.compile(
    r"(?i)(?<![A-Za-z0-9])(?P<session>ses-[a-z0-9]+|(?:ses(?:sion)?|visit|vis|time[-_]?point|tp|follow[-_]?up|fu|month|mo|"
    r"week|day|year)[-_ ]?\d+(?:-\d+)?|baseline|follow[-_]?up|screening|(?:pre|post|intra)[-_]?op|t0|retest|rescan|"
    rf"{_COUNTED}|{_DATE}|{_DATE_BEHIND})(?![A-Za-z0-9])"
)
_PERHAPS = re.compile(  # a visit only with evidence from other names
    r"(?i)(?<![A-Za-z0-9])(?P<session>(?P<word>v|scan|study|exam|wave|time|m|d|w|y)[-_ ]?"
    r"(?P<number>\d{1,3})|(?P<edge>bl|pre|post))(?![A-Za-z0-9])"
)
PERSON = "\0"
_AFTER_PERSON = re.compile(f"{PERSON}[-_. ]{_PERHAPS.pattern.removeprefix('(?i)')}", re.IGNORECASE)
_EDGES = {"bl": "m", "pre": "pre", "post": "pre"}  # the first visit, before months; before and after a treatment
_UNITS = ("m", "d", "w", "y")  # months to years since the first visit: M0, M12
MOST_VISITS = 6  # visits of one person, where only the number in the person's name is evidence
_EDGE = "-_. "


class Visit(NamedTuple):
    """A person, and the visit or time point; "" where a name has none."""

    person: str
    session: str = ""


def visit_by_scheme(text: str) -> Visit | None:
    """Person and visit in a name of a published data set; None in other names."""
    for scheme in _SCHEMES:
        if match := scheme.search(text):
            return Visit(match["person"], match["session"] or "")
    return None


def is_visit(text: str) -> bool:
    """True where a name is that of a visit and nothing else."""
    return _SURE.fullmatch(text) is not None


def without_visit(text: str) -> Visit:
    """A name without the words that can only be a visit, and these words."""
    match = _SURE.search(text)
    return Visit(_cut(text, match), match["session"]) if match else Visit(text)


def perhaps_visit(text: str) -> str:
    """Words that are a visit where several of them show the same of one person (``study1_FLAIR``); else ""."""
    match = _PERHAPS.search(text)
    return match["session"] if match else ""


def visit_in_path(text: str) -> str:
    """The words of a visit in a path, in which `PERSON` stands for the person; "" if none."""
    sure = _SURE.search(text)
    match = sure or _AFTER_PERSON.search(text)
    return match["session"] if match else ""


def visits_of(names: Iterable[str]) -> dict[str, Visit]:
    """Person and visit in each of these names; what could be a visit is one if the other names bear it out."""
    found: dict[str, Visit] = {}
    perhaps: defaultdict[str, dict[str, re.Match[str]]] = defaultdict(dict)
    for name in names:
        visit = visit_by_scheme(name) or without_visit(name)
        found[name] = visit if visit.person else Visit(name)
        match = None if visit.session else _PERHAPS.search(name)
        if match and _cut(name, match):
            perhaps[(match["word"] or _EDGES[match["edge"].lower()]).lower()][name] = match
    for word, matches in perhaps.items():
        if _borne_out(word, matches):
            found |= {name: Visit(_cut(name, match), match["session"]) for name, match in matches.items()}
    return found


def _borne_out(word: str, matches: dict[str, re.Match[str]]) -> bool:
    """True where people have several of these visits, rather than groups several of these people."""
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for name, match in matches.items():
        numbers[_cut(name, match)].add(int(match["number"] or (match["edge"] or "").lower() == "post"))
    most = max(map(len, numbers.values()))
    if most < 2:
        return False
    if word in _UNITS:
        return any(0 in each for each in numbers.values())
    several = [person for person, each in numbers.items() if len(each) > 1]
    numbered = most <= MOST_VISITS and all(any(map(str.isdigit, person)) for person in several)
    return numbered or len(numbers) >= most


def _cut(text: str, match: re.Match[str]) -> str:
    """The text without a match."""
    before, after = text[: match.start()].rstrip(_EDGE), text[match.end() :]
    return before + after if before else after.lstrip(_EDGE)
