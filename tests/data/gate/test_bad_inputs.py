"""One folder with a person for each kind of bad file: each is left out in one line, and everyone else goes on."""

import pytest
from bad_images import KINDS, write
from image_maker import head

from toposlearn.config import VolumeConfig
from toposlearn.data import inspect_folder, prepare, read_manifest
from toposlearn.data.gate import assessment

GOOD = ("good1", "good2", "good3")
CONFIG = VolumeConfig((24, 24, 24), 6.0, ("T1w", "T2w"))
PEOPLE = {kind: f"P{number:03d}" for number, kind in enumerate(KINDS)}


@pytest.fixture(scope="module", autouse=True)
def without_null():
    """Nothing is compared with other people here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assessment, "FEWEST_FOR_NULL", 10_000)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Each person has a good T1w, and a T2w of one kind."""
    root = tmp_path_factory.mktemp("data")
    for seed, name in enumerate([*GOOD, *PEOPLE.values()]):
        for number, modality in enumerate(("T1w", "T2w")):
            write(root / name / f"{modality}.nii.gz", head(10 * seed + number))
    for kind, (ending, spoil, _) in KINDS.items():
        folder = root / PEOPLE[kind]
        (folder / "T2w.nii.gz").unlink()
        spoil(write(folder / f"T2w{ending}", head(7)))
    return root


@pytest.fixture(scope="module")
def inspection(root):
    return inspect_folder(root)


@pytest.fixture(scope="module")
def prepared(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return prepare(read_manifest(root), CONFIG, folder=folder, progress=False, report=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_file_is_named_in_one_line_with_its_reason(root, inspection, kind):
    ending, _, reason = KINDS[kind]
    path = root / PEOPLE[kind] / f"T2w{ending}"
    lines = [line for line in inspection.broken if f"/{PEOPLE[kind]}/" in line]
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{path} ")
    assert reason in lines[0]
    assert "\n" not in lines[0]
    assert len(lines[0].removeprefix(f"{path} ")) < 250
    subject = next(each for each in inspection.subjects if each.subject == PEOPLE[kind])
    assert set(subject.facts) == {"T1w"}


def test_the_others_are_prepared_and_no_bad_file_is(inspection, prepared):
    assert len(inspection.subjects) == len(GOOD) + len(KINDS)
    assert len(inspection.broken) == len(KINDS)
    assert [record.subject for record in prepared.manifest.records] == list(GOOD)
    assert all((prepared[index].volumes.amax((1, 2, 3)) > 0.5).all() for index in range(len(GOOD)))


def test_there_are_sixty_kinds():
    assert len(KINDS) >= 60
