"""Truth from labels and landmarks: the same places as the map to a template says, and files of one's own."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from image_maker import AFFINE, SHAPE, bids, save

from toposlearn.anatomy import structure
from toposlearn.config import VolumeConfig, preset
from toposlearn.data import PointSource, PosedSubjects, Source, load_posed, pose_subjects, prepare, read_manifest
from toposlearn.data.posed import pose_of
from toposlearn.data.source import Data
from toposlearn.explore.match_errors import known_motion, move_subjects
from toposlearn.topology.tokens import grid_positions

SMALL = ("accumbens", "amygdala", "pallidum", "ventral-dc")
CONFIG = preset("smoke").replace(volume=dataclasses.asdict(VolumeConfig((32, 32, 32), 3.0, ("T1w",))))


@pytest.fixture(scope="module")
def posed(subjects, smoke) -> PosedSubjects:
    return pose_subjects(subjects, smoke, points=PointSource())


@pytest.fixture(scope="module")
def upright(subjects, smoke) -> PosedSubjects:
    return pose_subjects(subjects, smoke, posed=False, points=PointSource())


def template_places(people: PosedSubjects) -> torch.Tensor:
    """(S, L, 3) template mm at the points, linear between voxels."""
    grid = people.points / (torch.tensor(people.volumes.shape[2:]) * people.spacing / 2)
    read = torch.nn.functional.grid_sample(people.to_template, grid.flip(-1)[:, :, None, None], align_corners=False)
    return read[..., 0, 0].mT


@pytest.mark.parametrize("which", ["posed", "upright"])
def test_centers_of_small_structures_are_one_place_in_the_template(request, which):
    people: PosedSubjects = request.getfixturevalue(which)
    places = template_places(people)
    apart = (places[:, None] - places[None]).norm(dim=-1).amax((0, 1))
    small = [index for index, name in enumerate(people.point_names) if name.endswith(SMALL)]
    assert len(small) == 2 * len(SMALL)
    assert apart[small].max() < 5  # mm, of two people


def test_a_pose_moves_points_exactly(posed, upright, smoke):
    for person in range(len(posed.names)):
        pose = pose_of(person, smoke, 0)[0]
        back = posed.points[person] @ pose[:, :3].T + pose[:, 3]
        seen = posed.points[person].isfinite().all(-1)
        assert seen.float().mean() > 0.9
        torch.testing.assert_close(back[seen], upright.points[person][seen], atol=1e-3, rtol=0)


def test_centers_are_those_of_the_labels_on_the_grid(upright):
    """The label map has voxels of 2 mm, the grid of 6 mm: the centers of large structures agree all the same."""
    positions = grid_positions(upright.volumes.shape[2:], 1, upright.spacing)
    labels = upright.labels.flatten(1)
    for side in ("left", "right"):
        large = structure("cerebral-white-matter", side)
        index = upright.point_names.index(large.full_name)
        for person in range(len(labels)):
            center = positions[labels[person] == large.label].mean(0)
            torch.testing.assert_close(upright.points[person, index], center, atol=1.5, rtol=0)


def test_points_are_taken_moved_and_described(upright):
    assert upright.truth == "true correspondence: known, in template mm and at the centers of 40 structures"
    some = upright.take([4, 1])
    assert torch.equal(some.points, upright.points[[4, 1]])
    assert some.point_names == upright.point_names
    moved = move_subjects(some, known_motion(12.0)).points
    seen = moved.isfinite().all(-1)
    torch.testing.assert_close(moved[seen] - some.points[seen], torch.tensor([12.0, 0, 0]).expand(int(seen.sum()), 3))
    assert move_subjects(some, known_motion(500.0)).points.isnan().all()  # beyond the edge


def test_points_are_read_only_where_asked_for(subjects, smoke):
    assert pose_subjects(subjects, smoke, count=2).points is None


CORNERS = {"one": ((5, 8), (6, 10), (5, 8)), "two": ((11, 14), (12, 16), (9, 12)), "tiny": ((2, 3), (12, 13), (9, 10))}


def labels_of(*names: str) -> np.ndarray:
    """Boxes of labels 1, 2, ... in the voxels of `image_maker`."""
    labels = np.zeros(SHAPE, dtype=np.int16)
    for label, name in enumerate(CORNERS, 1):
        if name in names:
            labels[tuple(slice(*side) for side in CORNERS[name])] = label
    return labels


def world(name: str) -> np.ndarray:
    """The center of a box in RAS mm."""
    return AFFINE[:3, :3] @ [(low + high - 1) / 2 for low, high in CORNERS[name]] + AFFINE[:3, 3]


def write(root: Path, maps: dict[str, tuple[str, ...]], *, table: str = "dseg.tsv") -> Path:
    """People whose label maps hold these boxes, on a finer grid than the images, with another order of axes."""
    bids(root, *maps, modalities=("T1w",))
    fine = AFFINE @ np.diag([1 / 2, 1 / 2, 1 / 2, 1])
    fine[:3, 3] = AFFINE[:3, 3] - 0.75  # the corner of the first voxel stays
    for person, names in maps.items():
        labels = labels_of(*names).repeat(2, 0).repeat(2, 1).repeat(2, 2)
        save(root / person / "anat" / f"{person}_dseg.nii.gz", labels, fine, axes="LPS")
    if table:
        (root / table).write_text("index\tname\n1\tone\n2\ttwo\n3\ttiny\n")
    return root


def pose(data: Data, source: PointSource) -> PosedSubjects:
    cache = prepare(read_manifest(data), CONFIG.volume, progress=False)
    return pose_subjects(cache, CONFIG, posed=False, points=source)


def moved_to_grid(people: PosedSubjects, *names: str) -> torch.Tensor:
    """How far points lie from where they lie in the files, (S, L, 3): the same for everyone and all points of one."""
    return people.points - torch.tensor(np.stack([world(name) for name in names]), dtype=torch.float32)


def test_centers_come_from_label_maps_on_another_grid_by_the_table_beside_them(tmp_path):
    people = pose(
        write(tmp_path, {"sub-01": ("one", "two", "tiny"), "sub-02": ("one", "two"), "sub-03": ("one",)}), PointSource()
    )
    assert people.point_names == ("one", "two")  # tiny: one person only
    assert people.points[2, 1].isnan().all()
    shift = moved_to_grid(people, "one", "two")
    known = people.points.isfinite().all(-1)
    assert known.tolist() == [[True, True], [True, True], [True, False]]
    assert (shift[known] - shift[0, 0]).abs().max() < 1e-3
    assert shift[0, 0].abs().max() < 3.1  # mm: the head is centered up to a voxel
    assert people.truth == "true correspondence: known, at the centers of 2 structures"


def test_landmarks_and_labels_together_have_names_of_their_own(tmp_path):
    write(tmp_path, {"sub-01": ("one",), "sub-02": ("one",)})
    for person in ("sub-01", "sub-02"):
        lps = world("two") * [-1, -1, 1]
        rows = [f"1,{','.join(map(str, lps))},0,0,0,1,1,1,0,{name},," for name in ("one", "AC")]
        rows.append("2,500,0,0,0,0,0,1,1,1,0,far,,")  # beyond the image
        header = ["# CoordinateSystem = LPS", "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,node"]
        (tmp_path / person / "anat" / f"{person}_afids.fcsv").write_text("\n".join([*header, *rows]))
    people = pose(tmp_path, PointSource())
    assert people.point_names == ("one", "one (landmark)", "AC")
    shift = moved_to_grid(people, "one", "two", "two")
    assert (shift - shift[0, 0]).abs().max() < 1e-3
    assert people.truth == "true correspondence: known, at the centers of 1 structure and at 2 landmarks"


def test_own_maps_take_a_table_and_a_kind(tmp_path):
    write(tmp_path, {"sub-01": ("one",), "sub-02": ("one",)}, table="")
    own = tmp_path / "own.csv"
    own.write_text("label,name\n1,core\n")
    assert pose(tmp_path, PointSource(own, "dseg")).point_names == ("core",)


def test_people_of_a_folder_come_with_their_points(cohort, smoke):
    people = load_posed(cohort, smoke, 2, points=PointSource())
    assert people.points.shape == (2, len(people.point_names), 3)
    assert "left-thalamus" in people.point_names


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            PointSource(kind="dseg"),
            r"the label maps \(dseg\) have no table of labels: name one with --labels .freesurfer",
        ),
        (PointSource("freesurfer", "glm"), "no label map of kind 'glm': choose dseg"),
        (PointSource("desikan"), r"sub-01_dseg.nii.gz: none of its labels is in the table .*freesurfer, .* CSV file"),
    ],
)
def test_errors_name_tables_and_kinds(tmp_path, source, message):
    write(tmp_path, {"sub-01": (), "sub-02": ()}, table="")
    for person in ("sub-01", "sub-02"):
        save(tmp_path / person / "anat" / f"{person}_dseg.nii.gz", labels_of("one").astype(np.int32) * 77_777)
    with pytest.raises(ValueError, match=message) as error:
        pose(tmp_path, source)
    assert "\n" not in str(error.value)


def test_two_kinds_are_a_choice(tmp_path, capsys):
    write(tmp_path, {"sub-01": ("one",), "sub-02": ("one",)})
    for person in ("sub-01", "sub-02"):
        save(tmp_path / person / "anat" / f"{person}_desc-own_dseg.nii.gz", labels_of("two"))
    assert pose(tmp_path, PointSource()).points is None  # nothing was asked for: the run continues
    assert "several kinds, dseg, own_dseg: choose one with --label-kind" in capsys.readouterr().err
    with pytest.raises(ValueError, match="several kinds"):
        pose(tmp_path, PointSource(tmp_path / "dseg.tsv"))
    assert pose(tmp_path, PointSource(kind="own_dseg")).point_names == ("two",)


def test_a_label_map_in_another_world_is_named(tmp_path):
    write(tmp_path, {"sub-01": ("one",), "sub-02": ("one",)})
    away = AFFINE.copy()
    away[0, 3] += 300
    save(tmp_path / "sub-02/anat/sub-02_dseg.nii.gz", labels_of("one"), away)
    with pytest.raises(ValueError, match=r"sub-02_dseg.nii.gz: none of its points lies in the head of sub-02: bring"):
        pose(tmp_path, PointSource())


def test_a_map_of_tiny_structures_only_has_no_centers(tmp_path):
    write(tmp_path, {"sub-01": ("one",), "sub-02": ("one",), "sub-03": ()})
    save(tmp_path / "sub-03/anat/sub-03_dseg.nii.gz", labels_of("tiny"))  # one voxel
    people = pose(tmp_path, PointSource())
    assert people.points.isfinite().all(-1)[:, 0].tolist() == [True, True, False]


def test_a_pattern_names_landmarks_in_a_table(tmp_path):
    bids(tmp_path, modalities=("T1w",))
    (tmp_path / "placed").mkdir()
    for person in ("sub-01", "sub-02"):
        x, y, z = world("one")
        (tmp_path / "placed" / f"{person}_points.csv").write_text(f"name,x,y,z\nAC,{x},{y},{z}\n")
    people = pose(Source.of_options(tmp_path, patterns=["points=placed/sub-{subject}_*.csv"]), PointSource())
    assert people.point_names == ("AC",)
    assert moved_to_grid(people, "one").abs().max() < 3.1
