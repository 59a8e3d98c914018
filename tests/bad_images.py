"""Files that cannot be used as an image: every kind, how to make it from a good one, and what is reported."""

import gzip
import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
from image_maker import AFFINE, SHAPE, head, save

Kind = tuple[str, Callable[[Path], object], str]  # ending of the file, what is done to a good one, the reason
ANNEX = "../../.git/annex/objects/Xk/9V/MD5E-s1234--0123456789abcdef.nii.gz/MD5E-s1234--0123456789abcdef.nii.gz"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b\nsize 12345\n"


def holds(content: bytes) -> Callable[[Path], object]:
    """The file holds this instead."""
    return lambda path: path.write_bytes(content)


def link(target: str) -> Callable[[Path], object]:
    """The file is a link."""
    return lambda path: (path.unlink(), path.symlink_to(target))


def cut(keep: float) -> Callable[[Path], object]:
    """Only a part of the file is there."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])


def header(offset: int, form: str, *values: float) -> Callable[[Path], object]:
    """Fields of the header of NIfTI-1 are changed."""

    def change(path: Path) -> None:
        packed = path.read_bytes()[:2] == b"\x1f\x8b"
        data = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
        struct.pack_into(form, data, offset, *values)
        path.write_bytes(gzip.compress(bytes(data)) if packed else data)

    return change


def affine(*rows: float) -> Callable[[Path], object]:
    """The first three rows of the affine are these."""
    return header(280, "<12f", *rows)


def image(data: np.ndarray) -> Callable[[Path], object]:
    """Another image is in its place."""
    return lambda path: nib.save(nib.Nifti1Image(data, AFFINE), path)


def changed(change: Callable[[np.ndarray], object]) -> Callable[[Path], object]:
    """Some voxels are changed, as float32."""

    def write(path: Path) -> None:
        data = head(99).astype(np.float32)
        change(data)
        save(path, data)

    return write


def put(place: object, value: float) -> Callable[[np.ndarray], object]:
    """Voxels get this value."""
    return lambda data: data.__setitem__(place, value)


def folder(*names: str) -> Callable[[Path], object]:
    """A folder with the name of an image."""
    return lambda path: (path.unlink(), path.mkdir(), [(path / name).write_bytes(b"x") for name in names])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.nii", b"x")


def tarred(path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.nii"))
    path.write_bytes(content.getvalue())


def without(ending: str) -> Callable[[Path], object]:
    """The second file of a pair is missing."""
    return lambda path: path.with_suffix(ending).unlink()


def text_changed(old: bytes, new: bytes) -> Callable[[Path], object]:
    """Text of a header is changed."""
    return lambda path: path.write_bytes(path.read_bytes().replace(old, new))


RGB = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
SPIKE = np.zeros(SHAPE, dtype=np.float32)
SPIKE[9, 9, 9] = 1000
NOISE = np.abs(np.random.default_rng(0).normal(0, 5, (40, 40, 40))).astype(np.float32)
LABELS = ((head() > 0) * (1 + np.arange(SHAPE[0]) // 5)[:, None, None]).astype(np.uint8)
CUT = "is truncated or damaged"
BIG = "is truncated or damaged (its header claims"
VOLUME = "but a 3-D volume is needed: extract one, or remove it"
GZ, NII = ".nii.gz", ".nii"

KINDS: dict[str, Kind] = {
    "empty": (GZ, holds(b""), "is empty (0 bytes)"),
    "text": (GZ, holds(b"this is a letter to the editor"), "is text, not an image"),
    "text in gzip": (GZ, holds(gzip.compress(b"this is a letter")), "is text, not an image"),
    "other bytes": (GZ, holds(bytes(range(256)) * 9), "is no image in a format that is read (NIfTI, MGH"),
    "zeros only": (NII, holds(bytes(5000)), "holds zeros only, as after an interrupted copy"),
    "web page": (GZ, holds(b"<!DOCTYPE html><html>403 Forbidden</html>" * 40), "is a web page or the message"),
    "server message": (GZ, holds(b'\n<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), "is a web page"),
    "json": (GZ, holds(b'{"message": "Not Found"}'), "is JSON, not an image"),
    "lfs pointer": (GZ, holds(LFS), "is a pointer of Git LFS, not the image: fetch it with 'git lfs pull'"),
    "annex pointer": (GZ, holds(b"/annex/objects/MD5E-s1234--0123.nii.gz\n"), "is a pointer of git-annex"),
    "annex link as text": (GZ, holds(ANNEX.encode()), "is a pointer of git-annex, not the image: fetch it with"),
    "annex link": (GZ, link(ANNEX), "is a link of git-annex, and its content is not here: fetch it with 'datalad get'"),
    "dead link": (GZ, link("/absent/T2w.nii.gz"), "is a link to /absent/T2w.nii.gz, which does not exist: restore"),
    "link to itself": (GZ, lambda path: link(path.name)(path), "which does not exist: restore that file"),
    "folder": (GZ, folder("00057_T2w.nii.gz"), "is a folder, not an image file: move 00057_T2w.nii.gz out of it"),
    "empty folder": (NII, folder(), "is a folder, not an image file: replace it"),
    "pipe": (GZ, lambda path: (path.unlink(), os.mkfifo(path)), "is a pipe, not an image file: remove it"),
    "dicom": (NII, holds(bytes(128) + b"DICM" + bytes(900)), "is a DICOM file: convert its series to NIfTI"),
    "zip": (GZ, zipped, "is a zip archive: unpack it"),
    "tar.gz": (GZ, tarred, "is a tar archive: unpack it"),
    "7z": (GZ, holds(b"7z\xbc\xaf\x27\x1c" + bytes(99)), "is a 7z archive: unpack it"),
    "zstd": (GZ, holds(b"\x28\xb5\x2f\xfd" + bytes(99)), "is compressed with zstd, which is not read"),
    "png": (GZ, holds(b"\x89PNG\r\n\x1a\n" + bytes(99)), "is a PNG picture, not a volume"),
    "numpy": (NII, holds(b"\x93NUMPY\x01\x00" + bytes(999)), "is a NumPy array, without affine"),
    "minc": (NII, holds(b"\x89HDF\r\n\x1a\n" + bytes(999)), "is an HDF5 file (MINC or MATLAB): convert it to NIfTI"),
    "compressed twice": (GZ, lambda path: path.write_bytes(gzip.compress(path.read_bytes())), "is compressed twice"),
    "cut gzip": (GZ, cut(0.7), CUT),
    "cut in the last bytes": (GZ, lambda path: path.write_bytes(path.read_bytes()[:-3]), CUT),
    "cut in the header": (GZ, cut(0.005), CUT),
    "cut voxels": (NII, cut(0.7), BIG),
    "flipped bit in gzip": (GZ, flipped, CUT),
    "cut mgz": (".mgz", cut(0.7), CUT),
    "cut mgh": (".mgh", cut(0.5), BIG),
    "cut nrrd": (".nrrd", cut(0.7), CUT),
    "cut mha": (".mha", cut(0.7), CUT),
    "flipped bit in mha": (".mha", flipped, CUT),
    "flipped bit in nrrd": (".nrrd", flipped, CUT),
    "giant mha": (".mha", text_changed(b"DimSize = 20 24 18", b"DimSize = 20000 24000 18000"), CUT),
    "img without hdr": (".img", without(".hdr"), "has no header beside it (T2w.hdr): copy it"),
    "cut img": (".img", cut(0.7), BIG),
    "nhdr without voxels": (".nhdr", without(".raw.gz"), "T2w.raw.gz, which does not exist: copy it"),
    "mhd without voxels": (".mhd", without(".zraw"), "T2w.zraw, which does not exist: copy it"),
    "giant shape": (GZ, header(42, "<3h", 32000, 32000, 32000), BIG),
    "giant plain shape": (NII, header(42, "<3h", 2000, 2000, 2000), BIG),
    "negative shape": (GZ, header(42, "<h", -20), "has a header that claims -20 x 24 x 18 voxels"),
    "no voxels": (GZ, header(42, "<h", 0), "has a header that claims 0 x 24 x 18 voxels"),
    "unknown type": (GZ, header(70, "<h", 9999), "is truncated or damaged (data code 9999 not recognized)"),
    "offset beyond the end": (NII, header(108, "<f", 1e9), BIG),
    "infinite intercept": (GZ, header(112, "<2f", 1, np.inf), "is truncated or damaged"),
    "scale that overflows": (GZ, header(112, "<2f", 1e36, 0), "repair the scale (scl_slope) in its header"),
    "scale near zero": (GZ, header(112, "<2f", 1e-44, 1), "is constant (1), so it shows nothing"),
    "series": (GZ, image(np.stack([head(), head(1)], -1)), VOLUME),
    "slice": (GZ, image(head()[:, :, 9]), VOLUME),
    "one slice": (GZ, image(head()[:, :, 9:10]), VOLUME),
    "five axes": (GZ, image(np.zeros((9, 9, 9, 2, 3), np.float32)), VOLUME),
    "colors": (GZ, image(RGB), "holds colors instead of one real number per voxel"),
    "complex": (GZ, image(head().astype(np.complex64)), "holds complex64 values instead of one real number"),
    "nan": (GZ, changed(put((3, 4, 5), np.nan)), "holds 1 NaN or infinite voxels"),
    "nan all over": (GZ, changed(put(..., np.nan)), "NaN or infinite voxels"),
    "infinite": (GZ, changed(put((3, 4, 5), np.inf)), "holds 1 NaN or infinite voxels"),
    "minus infinite": (GZ, changed(put((3, 4, 5), -np.inf)), "holds 1 NaN or infinite voxels"),
    "zero": (GZ, image(np.zeros(SHAPE, np.uint8)), "is constant (0), so it shows nothing"),
    "constant": (GZ, image(np.full(SHAPE, 7.5, np.float32)), "is constant (7.5), so it shows nothing"),
    "one bright voxel": (GZ, image(SPIKE), "shows nothing but air"),
    "noise": (GZ, image(NOISE), "shows nothing but air"),
    "mask": (GZ, image((head() > 0).astype(np.uint8)), "it is a mask or a label map, not an image"),
    "label map": (GZ, image(LABELS), "it is a mask or a label map, not an image"),
    "flat affine": (GZ, affine(3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0), "has no usable affine"),
    "nan in the affine": (GZ, header(280, "<f", np.nan), "has no usable affine"),
    "affine far away": (GZ, header(292, "<f", 1e30), "has no usable affine"),
    "parallel axes": (GZ, affine(3, 3, 0, 0, 0, 0.2, 0, 0, 0, 0, 3, 0), "whose axes are nearly parallel"),
    "voxels of a mile": (GZ, affine(3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1600, 0), "which no scan of a head has"),
}


def write(path: Path, data: np.ndarray) -> Path:
    """A good image in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".nrrd", ".nhdr", ".mha", ".mhd"):
        good = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
        good.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
        good.SetSpacing((3, 3, 3))
        good.SetOrigin([-AFFINE[0, 3], -AFFINE[1, 3], AFFINE[2, 3]])
        sitk.WriteImage(good, str(path), True)
        return path
    kind = nib.MGHImage if path.suffix in (".mgz", ".mgh") else nib.Nifti1Pair if path.suffix == ".img" else None
    nib.save((kind or nib.Nifti1Image)(data, AFFINE), path)
    return path
