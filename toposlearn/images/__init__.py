"""Image files of every format that is read: NIfTI, MGH, Analyze, NRRD, MetaImage; compressed or not, by content."""

from toposlearn.images.damage import BadImageError, naming
from toposlearn.images.labels import labels_of
from toposlearn.images.names import ENDINGS, is_image, stem
from toposlearn.images.reading import Image, open_image, read_ras, to_ras
