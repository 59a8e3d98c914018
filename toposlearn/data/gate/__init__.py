"""The quality gate: what each image and each pair of images of a person may be used for."""

from toposlearn.data.gate.assessment import assess_subjects, read_subject
from toposlearn.data.gate.quality import check_image
from toposlearn.data.images import BadImageError
