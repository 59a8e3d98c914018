"""Where the scans of a run are, and what the names of their files do not say; also as a small file of the user.

folders: [/data/berlin, /data/paris]   # seen from this file; default: the folder of this file
patterns:
  T1w: "{subject}/t1_*.nii.gz"         # in quotes; several of one modality with | between them
  label:lesion: "{subject}/roi.nii.gz"
session: "1"                           # or all
entities: {rec: norm}                  # of BIDS, to prefer
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

ALL = "all"
KEYS = ("folders", "patterns", "session", "entities")
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Source:
    """One or several data folders, and the choices of the user; ``Source.of`` accepts what commands accept."""

    folders: tuple[Path, ...]  # or files that list images, such as pretrain_data.json
    session: str = ""  # label of the session to use, or `ALL`; "": the first that has what a run needs
    entities: Mapping[str, str] = field(default_factory=dict)  # of BIDS, to prefer: {"rec": "norm"}
    patterns: Mapping[str, str] = field(default_factory=dict)  # modality or label map -> ``{subject}/t1_*.nii.gz``

    @classmethod
    def of(cls, data: Data) -> Source:
        """The source that `data` is, or that of a folder, of a file with the keys above, or of several of these."""
        if isinstance(data, Source):
            return data
        parts = [_read(Path(each).expanduser()) for each in ([data] if isinstance(data, (str, Path)) else data)]
        if not parts:
            raise ValueError("no data folder is given: give one with --data")
        return cls(
            tuple(folder for part in parts for folder in part.folders),
            next((part.session for part in parts if part.session), ""),
            {name: value for part in parts for name, value in part.entities.items()},
            {name: value for part in parts for name, value in part.patterns.items()},
        )

    @classmethod
    def of_options(
        cls, data: Data, session: str | None = None, entities: Iterable[str] = (), patterns: Iterable[str] = ()
    ) -> Source:
        """The source of the options of a command: ``rec=norm``, ``T1w={subject}/t1.nii.gz``; they overrule files.

        ValueError, in one line, for an option without ``=``.
        """
        source = cls.of(data)
        preferred = dict(_pair(each, "entity", "rec=norm") for each in entities)
        named: dict[str, str] = {}
        for name, pattern in (_pair(each, "pattern", "T1w={subject}/t1_*.nii.gz") for each in patterns):
            named[name] = f"{named[name]}|{pattern}" if name in named else pattern
        return replace(
            source,
            session=session or source.session,
            entities={**source.entities, **preferred},
            patterns={**source.patterns, **named},
        )


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    name, sign, value = (part.strip() for part in text.partition("="))
    if not (name and sign and value):
        raise ValueError(f"--{option} {text!r} is not of the form NAME=VALUE: write it as in --{option} '{example}'")
    return name, value


def _read(path: Path) -> Source:
    """The source of a folder, of a list of images, or of a file with the keys of a source."""
    if path.suffix.lower() not in (*_YAML, ".json") or not path.is_file():
        return Source((path,))
    content = _parsed(path)
    if path.suffix.lower() == ".json" and not (isinstance(content, dict) and set(content) & set(KEYS)):
        return Source((path,))
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no keys: write {', '.join(KEYS)}, as in 'folders: [/data/mine]'")
    _check(path, content)
    folders = content.get("folders") or ["."]
    return Source(
        tuple(
            path.parent / Path(folder).expanduser() for folder in ([folders] if isinstance(folders, str) else folders)
        ),
        str(content.get("session") or ""),
        {str(name): str(value) for name, value in (content.get("entities") or {}).items()},
        {str(name): _joined(value) for name, value in (content.get("patterns") or {}).items()},
    )


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): change its permissions") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text in UTF-8: store it again in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON (line {error.lineno}: {error.msg}): correct that line") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "its text"
        raise ValueError(f"{path} is not valid YAML ({where}): correct it; patterns stand in quotes") from None


def _check(path: Path, content: Mapping[str, Any]) -> None:
    """Raise ValueError for an unknown key, or one with a value of another kind."""
    for key, value in content.items():
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, 1, 0.6)
            remedy = f"write {near[0]}" if near else f"choose among {', '.join(KEYS)}"
            raise ValueError(f"{path} holds the unknown key {key!r}: {remedy}")
        if not isinstance(value, _KINDS[key] or object) or (key == "folders" and not _all_text(value)):
            raise ValueError(f"{path} holds {key}: {value!r}: write it as in '{_EXAMPLES[key]}'")
    for name, pattern in (content.get("patterns") or {}).items():
        if not isinstance(pattern, (str, list)) or not _all_text(pattern):
            raise ValueError(f"{path} holds the pattern {name}: {pattern!r}: write it as in '{_EXAMPLES['patterns']}'")


_KINDS: Mapping[str, tuple[type, ...]] = {
    "folders": (str, list, type(None)),
    "patterns": (dict, type(None)),
    "session": (str, int, type(None)),
    "entities": (dict, type(None)),
}
_EXAMPLES = {
    "folders": "folders: [/data/berlin, /data/paris]",
    "patterns": 'patterns: {T1w: "{subject}/t1_*.nii.gz"}',
    "session": "session: all",
    "entities": "entities: {rec: norm}",
}


def _all_text(value: Any) -> bool:
    return not isinstance(value, list) or all(isinstance(each, str) for each in value)


def _joined(value: Any) -> str:
    return "|".join(map(str, value)) if isinstance(value, list) else str(value)


Data = str | Path | Sequence[str | Path] | Source
