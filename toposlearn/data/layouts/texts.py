"""Small text files as editors, spreadsheets and scanners write them: marks, encodings and commas of every kind."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

MOST_BYTES = 50_000_000  # of a table or a description
_MARKS = {  # of the encoding, at the beginning of a file
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 or Latin-1; ValueError in words if it cannot be read or is no text."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("is too large")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    return decode(data)


def decode(data: bytes) -> str:
    """Text of these bytes, by the mark at their beginning, or else UTF-8, or else Latin-1 as Windows extends it."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    if encoding is None and b"\0" in data:
        encoding = _without_mark(data)
    if encoding is not None:
        return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def parse_json(text: str) -> tuple[Any, str]:
    """The content of a JSON text, and what had to be overlooked ("" if nothing); ValueError in words otherwise."""
    try:
        return json.loads(text), ""
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(
            _STRING_OR_COMMA.sub(lambda match: match[1] or "", text)
        ), "has a comma before a closing bracket"
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"is no JSON ({error.msg} at {where})" if text.strip() else "is empty") from None


def _without_mark(data: bytes) -> str:
    """UTF-16 where every second byte is zero; ValueError for what is no text."""
    for encoding, zeros in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        if zeros and zeros.count(0) > 0.7 * len(zeros):
            return encoding
    raise ValueError("is no text file: save it as text with tabs")
