"""The command of a public data set: download or take what is there, arrange, and say in one line what is wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from arrange import DataSet, Found, Rule, Table, arrange, fetch_files
from download import Remote, need
from filelock import FileLock, Timeout

__all__ = ["DataSet", "Found", "Remote", "Rule", "Table", "fetch_files", "need", "run"]


def run(data_set: DataSet, argv: Sequence[str] | None = None) -> int:
    """The command: 0 on success, 1 with one line on stderr, 2 for a command that cannot be read."""
    given = _parser(data_set).parse_args(argv)
    try:
        print("\n".join(_made(data_set, given)))
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; run the same command again to continue", file=sys.stderr)
        return 130
    return 0


def _made(data_set: DataSet, given: argparse.Namespace) -> list[str]:
    if given.out.exists():
        raise ValueError(f"{given.out} exists: choose another --out, or remove it")
    if given.subset is not None and given.subset < 1:
        raise ValueError(f"--subset {given.subset} leaves no person: give 1 or more")
    source, notes = given.source, []
    if source is None:
        source = given.downloads or given.out.parent / "downloads" / data_set.name
        notes = _downloaded(data_set, source, given.subset)
    if not source.exists():
        raise ValueError(f"{source} does not exist: give the folder or the archive that you downloaded")
    lines = arrange(data_set, source, given.out, subset=given.subset, limit=int(given.max_gb * 1e9))
    return [*lines, *notes, f"next: toposlearn {data_set.next.format(given.out)}"]


def _downloaded(data_set: DataSet, folder: Path, subset: int | None) -> list[str]:
    if data_set.fetch is None:
        reason = f"{data_set.title} cannot be downloaded without you ({data_set.access})"
        raise ValueError(f"{reason}: get it from {data_set.address}, then give --from DIR")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            return data_set.fetch(data_set, folder, subset)
    except Timeout:
        raise ValueError(f"another command is downloading into {folder}: wait for it, or give --downloads") from None


def _parser(data_set: DataSet) -> argparse.ArgumentParser:
    facts = {"license": data_set.license, "people": data_set.people, "size": data_set.size}
    facts |= {"access": data_set.access, "address": data_set.address, "cite": data_set.cite}
    about = "\n".join([data_set.title, "", *(f"{name + ':':<9}{value}" for name, value in facts.items())])
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to make; it appears whole or not at all")
    parser.add_argument("--from", dest="source", type=Path, help="folder or archive that is there: download nothing")
    parser.add_argument("--downloads", type=Path, help=f"where downloads are kept (default: downloads/{data_set.name})")
    parser.add_argument("--subset", type=int, help="only the first so many people")
    parser.add_argument("--max-gb", type=float, default=100.0, help="maximum size of an unpacked archive (GB)")
    return parser
