"""From a folder of scans to batches: layouts, manifest, quality gate, transforms, cache, pairs, posed heads.

Own data: ``manifest = read_manifest(DATA)``, ``config = config_for(config, manifest)`` takes modalities all have;
``load_posed(DATA, config, people)`` does both for held-out people, and `PosedPeople.truth` says what is known of them.
"""

from toposlearn.data.gate.alignment import PairEvidence, joint_histogram, nmi_at, normalized_mutual_information
from toposlearn.data.cache import Cache, prepare
from toposlearn.data.gate.gate import judge_people
from toposlearn.data.inspection import Inspection, inspect_folder
from toposlearn.data.layouts import read_manifest
from toposlearn.data.manifest import Manifest, Record, config_for, origin_of, pair_of, split_subjects
from toposlearn.data.pairs import PairBatch, PairDataset, augment, step_generator
from toposlearn.data.pose import apply_pose, draw_poses, relative_pose
from toposlearn.data.posed import PosedSubjects, load_posed, pose_subjects
from toposlearn.data.prepared import Prepared
from toposlearn.data.gate.quality import BadImageError, check_image, check_record
from toposlearn.data.gate.verdicts import PairVerdict, PersonVerdict

__all__ = [
    "BadImageError",
    "Cache",
    "Inspection",
    "Manifest",
    "PairBatch",
    "PairDataset",
    "PairEvidence",
    "PairVerdict",
    "PersonVerdict",
    "PosedSubjects",
    "Prepared",
    "Record",
    "apply_pose",
    "augment",
    "check_image",
    "check_record",
    "config_for",
    "draw_poses",
    "inspect_folder",
    "joint_histogram",
    "judge_people",
    "load_posed",
    "nmi_at",
    "normalized_mutual_information",
    "origin_of",
    "pair_of",
    "pose_subjects",
    "prepare",
    "read_manifest",
    "relative_pose",
    "split_subjects",
    "step_generator",
]
