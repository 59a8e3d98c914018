"""Landmarks by script: one folder of them, which `toposlearn topology --points` takes."""

import arrange
import landmarks
import published
import pytest

from toposlearn import cli


@pytest.fixture(autouse=True)
def _checksums(monkeypatch):
    """Miniatures do not have the checksums of what they stand for."""
    monkeypatch.setattr(arrange, "known_checksums", lambda _: {})


def test_landmarks_become_a_folder_that_is_measured(tmp_path, capsys):
    published.landmarks(tmp_path / "there")
    out = tmp_path / "points"
    assert landmarks.main(["--from", str(tmp_path / "there"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: 3 people of AFIDs-OASIS (anatomical fiducials); afids 3" in printed
    assert printed.endswith(f"next: toposlearn topology --points {out}/*.fcsv\n")
    files = sorted(map(str, out.glob("*.fcsv")))
    assert cli.execute(["topology", "--points", *files, "--out", str(tmp_path / "measured")]) == 0
    assert "3 people, 5 structures that all have" in capsys.readouterr().out


def test_a_damaged_file_is_left_out_and_named(tmp_path, capsys):
    published.landmarks(tmp_path / "there")
    damaged = next((tmp_path / "there").rglob("sub-0086*.fcsv"))
    damaged.write_text("<html>")
    assert landmarks.main(["--from", str(tmp_path / "there"), "--out", str(tmp_path / "points")]) == 0
    assert f"left out: {damaged}" in capsys.readouterr().out
    assert len([*(tmp_path / "points").glob("*.fcsv")]) == 2


def test_every_file_has_a_checksum(monkeypatch):
    monkeypatch.undo()
    assert set(arrange.known_checksums("landmarks")) == {file.name for file in landmarks.DATA.files}
