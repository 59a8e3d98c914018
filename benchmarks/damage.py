"""Damaged image files: headers with changed bytes and fields, files that were cut, files with flipped bits.

Each file is read as the quality gate reads it. It must give an image, or one line that names the file, within seconds
and in the memory of an image; a file that was cut, or a compressed file with a flipped bit, must not be read as if
nothing had happened. The voxels of an uncompressed file have no checksum, so a flipped bit there cannot be seen.
"""

from __future__ import annotations

import gzip
import os
import resource
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
from rows import Row, options, report
from tqdm import tqdm

from toposlearn.data.gate.quality import read_image
from toposlearn.data.images import BadImageError

SHAPE, AFFINE = (24, 28, 20), np.diag([4.0, 4.0, 4.0, 1.0])
FILES = ("x.nii", "x.nii.gz", "x2.nii", "x.mgh", "x.mgz", "x.img", "x.nrrd", "raw.nrrd", "x.mha", "raw.mha")
HEADER = 540  # bytes in which the headers of most of these end
FIELDS = {  # of NIfTI-1: offset, struct format, extreme values
    "dim": ((40, 42, 44, 46, 48, 50), "<h", (-1, 0, 1, 2, 7, 8, 255, 20_000, 32_767, -32_768)),
    "datatype": ((70, 72), "<h", (0, 1, 8, 32, 128, 256, 511, 1792, 2048, -4, 9999)),
    "place": ((108, 112, 116), "<f", (0.0, -1.0, 1.0, 1e-30, 1e38, np.inf, -np.inf, np.nan, 352.5)),
    "pixdim": ((76, 80, 84, 88), "<f", (0.0, -1.0, 1e-38, 1e38, np.inf, np.nan, 3e4)),
    "affine": ((280, 284, 292, 300, 308, 320), "<f", (0.0, 1e38, np.inf, np.nan, -1e-38)),
    "codes": ((252, 254, 0), "<h", (0, -1, 5, 32_767, 540)),
}
Change = Callable[[np.random.Generator, str, bytes], bytes]


def head() -> np.ndarray:
    """An ellipsoid with texture, and noise around it."""
    points = (np.stack(np.indices(SHAPE), -1) - (np.array(SHAPE) - 1) / 2) / (np.array(SHAPE) / 2)
    generator = np.random.default_rng(0)
    inside = (points**2).sum(-1) < 0.6
    return np.where(inside, generator.integers(300, 1000, SHAPE), generator.integers(0, 9, SHAPE)).astype(np.int16)


def write_files(folder: Path) -> None:
    """The same head in every format."""
    for name in ("x.nii", "x.nii.gz", "x.img"):
        kind = nib.Nifti1Pair if name.endswith("img") else nib.Nifti1Image
        nib.save(kind(head(), AFFINE), folder / name)
    nib.save(nib.Nifti2Image(head(), AFFINE), folder / "x2.nii")
    for name in ("x.mgh", "x.mgz"):
        nib.save(nib.MGHImage(head(), AFFINE), folder / name)
    image = sitk.GetImageFromArray(head().T)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    image.SetSpacing((4, 4, 4))
    for name in ("x.nrrd", "raw.nrrd", "x.mha", "raw.mha"):
        sitk.WriteImage(image, str(folder / name), not name.startswith("raw"))


def changed_header(generator: np.random.Generator, name: str, content: bytes) -> bytes:
    """Some bytes, or some fields of NIfTI, of the header are changed; the voxels stay."""
    packed = content[:2] == b"\x1f\x8b"
    data = bytearray(gzip.decompress(content) if packed else content)
    if name in ("x.nii", "x.nii.gz", "x.hdr") and generator.random() < 0.6:
        for field in generator.choice(list(FIELDS), generator.integers(1, 4)):
            offsets, form, values = FIELDS[field]
            struct.pack_into(form, data, int(generator.choice(offsets)), generator.choice(values).item())
    else:
        for place in generator.integers(0, min(HEADER, len(data)), generator.integers(1, 9)):
            data[place] = generator.integers(256)
    return gzip.compress(bytes(data), 1) if packed else bytes(data)


def cut(generator: np.random.Generator, _: str, content: bytes) -> bytes:
    """The file ends early."""
    return content[: generator.integers(len(content))]


def flipped(generator: np.random.Generator, _: str, content: bytes) -> bytes:
    """Up to 64 bits differ."""
    data = bytearray(content)
    for place in generator.integers(0, len(data), generator.integers(1, 65)):
        data[place] ^= 1 << int(generator.integers(8))
    return bytes(data)


@contextmanager
def stderr_of(file: Path) -> Iterator[None]:
    """What any library writes to stderr goes to a file."""
    kept = os.dup(2)
    with file.open("wb") as target:
        os.dup2(target.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def outcome(path: Path, expected: np.ndarray) -> str:
    """What reading gives: the voxels, others, one line, or what must not be."""
    try:
        _, voxels = read_image(path)
    except BadImageError as error:
        line = str(error)
        return "one line" if line.startswith(f"{path} ") and "\n" not in line and ": " in line else f"odd: {line}"
    except Exception as error:  # what the benchmark looks for
        return f"traceback: {type(error).__name__}: {error}"
    return "same voxels" if np.array_equal(voxels, expected) else "other voxels"


def damage(folder: Path, change: Change, count: int) -> tuple[Counter[tuple[str, str]], float, int]:
    """(file, outcome) -> count; the slowest seconds, and the files about which a library wrote to stderr."""
    generator, expected = np.random.default_rng(0), head()
    outcomes: Counter[tuple[str, str]] = Counter()
    slowest, noisy, errors = 0.0, 0, folder / "stderr"
    for number in tqdm(range(count), desc=(change.__doc__ or "").split(",")[0], disable=None):
        name = FILES[number % len(FILES)]
        target = folder / ("x.hdr" if name == "x.img" and number % 20 < 10 else name)
        content = target.read_bytes()
        target.write_bytes(change(generator, target.name, content))
        start = time.perf_counter()
        with stderr_of(errors):
            outcomes[name, outcome(folder / name, expected)] += 1
        slowest, noisy = max(slowest, time.perf_counter() - start), noisy + (errors.stat().st_size > 0)
        target.write_bytes(content)
    return outcomes, slowest, noisy


def unseen(kind: str, outcomes: Counter[tuple[str, str]]) -> int | None:
    """The files read with other voxels although that could have been seen; None where it could not."""
    raw = ("x.nii", "x2.nii", "x.mgh", "x.img", "raw.nrrd", "raw.mha")
    if kind == "changed headers":
        return None
    seen = [name for name in FILES if kind == "cut files" or name not in raw]
    return sum(outcomes[name, "other voxels"] for name in seen)


def main() -> None:
    """Damage, read, print."""
    arguments = options(__doc__ or "").parse_args()
    count = 200 if arguments.quick else 1000
    rows, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    changes = {"changed headers": changed_header, "cut files": cut, "flipped bits": flipped}
    for kind, change in changes.items():
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder))
            outcomes, slowest, noisy = damage(Path(folder), change, count)
        totals: Counter[str] = Counter()
        for (name, each), number in outcomes.items():
            totals[each.partition(":")[0]] += number
            if each.startswith(("traceback", "odd")):
                print(name, each)
        for each in ("one line", "same voxels", "other voxels"):
            rows.append(Row(f"{kind}: {each}, of {count}", totals[each], ""))
        rows.append(Row(f"{kind}: tracebacks", totals["traceback"] + totals["odd"], "", "<= 0"))
        rows.append(Row(f"{kind}: lines that libraries wrote to stderr", noisy, "", "<= 0"))
        rows.append(Row(f"{kind}: slowest", slowest, "s", "<= 5"))
        if (silent := unseen(kind, outcomes)) is not None:
            rows.append(Row(f"{kind}: read in silence with other voxels", silent, "", "<= 0"))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    rows.append(Row("memory that was needed beyond that at the start", grown, "MB", "<= 200"))
    report(rows, arguments.json)


if __name__ == "__main__":
    main()
