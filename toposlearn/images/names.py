"""Names of image files."""

from __future__ import annotations

# The header beside an image (.hdr of .img) and the voxels beside a header (.raw of .mhd) are no images of their own.
ENDINGS = (".nii.gz", ".nii", ".mgz", ".mgh", ".img.gz", ".img", ".nrrd", ".nhdr", ".mha", ".mhd")


def is_image(name: str) -> bool:
    """True where the ending of a file's name is that of an image, in capitals or not."""
    return name.lower().endswith(ENDINGS)


def stem(name: str) -> str:
    """The name of an image file without its ending."""
    ending = next((each for each in ENDINGS if name.lower().endswith(each)), "")
    return name[: len(name) - len(ending)]
