"""From a folder of scans to batches: layouts, manifest, quality gate, transforms, cache, pairs, posed heads.

Own data: ``load_posed(DATA, config, count)``, or ``manifest = read_manifest(DATA); config_for(config, manifest)``.
"""

from toposlearn.data.gate import assess_subjects, check_image
from toposlearn.data.images import BadImageError
from toposlearn.data.inspection import Inspection, inspect_folder
from toposlearn.data.layouts import read_manifest
from toposlearn.data.manifest import Manifest, Record, config_for, pair_of
from toposlearn.data.origin import origin_of
from toposlearn.data.pairs import PairBatch, PairDataset, augment
from toposlearn.data.points import PointSource
from toposlearn.data.pose import apply_pose, draw_poses, pose_points
from toposlearn.data.posed import PosedSubjects, load_posed, pose_subjects
from toposlearn.data.prepared import Cache
from toposlearn.data.preparing import prepare
from toposlearn.data.source import Source
from toposlearn.data.split import Split, split_subjects

split_people = split_subjects  # its name in earlier versions
