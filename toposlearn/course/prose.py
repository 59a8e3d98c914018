"""Numbers that the text of a notebook names, held against what the notebook printed: prose beside numbers goes stale.

A number in a text cell must stand, to the digits given, in what earlier code cells printed or say themselves. One that
comes from elsewhere is declared in its cell, where a reader of the rendered page does not see it:
``<!-- numbers: 26.8, 31.0 from benchmarks/misregister.py -->``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import nbformat

WORDS = (
    *("three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"),
    *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
COUNTS = {word: str(number) for number, word in enumerate(WORDS, start=3)}
FREE = {"0", "1", "2"}  # so common in plain sentences that they say nothing
DECLARED = re.compile(r"<!--\s*numbers:(.*?)-->", re.DOTALL)
NO_PROSE = re.compile(  # code, formulas, links, comments, references, names of notebooks and of modalities
    r"<!--.*?-->|```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|\*\*References?\.\*\*.*|\[\d\d\b"
    r"|(?i:notebooks?) \d\d(?:(?:, | and | to )\d\d)*",
    re.DOTALL,
)
NUMBER = re.compile(r"(?<![\w./])(\d{1,3}(?:,\d{3})+|\d*\.\d+|\d+)(?![\w³²]|\.\d)(\s?%)?")
SHARE = r"half(?= of\b)|(?<=about )half|(?<=one )half|(?<=than )half|(?<=nearly )half|(?<=almost )half"
WORD = re.compile(rf"\b({'|'.join(WORDS)}|{SHARE})\b", re.IGNORECASE)


class Unsupported(NamedTuple):
    """A number in the text that no earlier cell printed, and where it stands."""

    cell: int
    number: str
    around: str


def unsupported_numbers(executed: nbformat.NotebookNode) -> list[Unsupported]:
    """The numbers of an executed notebook's text cells that neither an earlier cell nor a declaration holds.

    The first cell, with title, question and measured time, is left out. A percentage may be printed as a share.
    """
    known: set[float] = set()
    found = []
    for index, cell in enumerate(executed.cells):
        if cell.cell_type == "code":
            known |= _values(cell.source) | _values(_printed(cell))
        elif cell.cell_type == "markdown" and index > 0:
            declared = " ".join(DECLARED.findall(cell.source))
            here, words = known | _values(declared), set(re.findall(r"[a-z]+", declared.lower()))
            text = " ".join(NO_PROSE.sub(" ", cell.source).split())
            found += [
                Unsupported(index, match[0].strip(), text[max(0, match.start() - 40) : match.end() + 30])
                for match in _numbers(text)
                if not _supported(match, here) and match[1].lower() not in words
            ]
    return found


def _numbers(text: str) -> Iterable[re.Match[str]]:
    yield from (match for match in NUMBER.finditer(text) if match[1] not in FREE or match[2])
    yield from WORD.finditer(text)


def _supported(match: re.Match[str], known: set[float]) -> bool:
    digits = COUNTS.get(match[1].lower(), match[1]).replace(",", "")
    if digits.lower() == "half":
        return False  # say it with a number that was printed, or declare it
    value, step = float(digits), 10.0 ** -len(digits.partition(".")[2])
    percent = match.re is NUMBER and bool(match[2])
    slack = step if "." in digits or percent else 1e-9  # the last digit may be another on another processor
    return any(abs(each - value) <= slack or (percent and abs(100 * each - value) <= slack) for each in known)


def _values(text: str) -> set[float]:
    """Every number in printed text or code, without its sign."""
    return {float(each) for each in re.findall(r"\d+\.?\d*(?:e[-+]?\d+)?|\.\d+", text.replace(",", ""))}


def _printed(cell: nbformat.NotebookNode) -> str:
    """What the outputs of a code cell say in words: streams, results, tables; not pictures."""
    texts = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        texts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/markdown", "")]
        texts.append(re.sub(r"<[^>]+>", " ", data.get("text/html", "")))
    return "\n".join(texts)
