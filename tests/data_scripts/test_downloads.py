"""Downloads from a server on this machine: continued where cut, whole or not at all, with known checksums."""

import hashlib
import json

import download
import pytest
from file_server import serving

CHUNK = download.CHUNK
CONTENT = bytes(range(256)) * (CHUNK // 64)  # four chunks
SHA = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "PAUSE", 0.01)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.nii.gz").write_bytes(CONTENT)
    with serving(tmp_path / "site") as server:
        yield server


def fetch(server, folder, known=None, names=("a.nii.gz",)):
    return download.fetch([download.Remote(f"{server.url}/{name}", name) for name in names], folder, known or {})


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def refused(server, folder, *arguments, **options) -> str:
    with pytest.raises(ValueError, match=r".+") as caught:
        fetch(server, folder, *arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("known", [{}, {"a.nii.gz": SHA}, {"a.nii.gz": f"md5:{hashlib.md5(CONTENT).hexdigest()}"}])
def test_a_cut_connection_is_continued(server, tmp_path, known):
    server.cuts = 3
    assert fetch(server, tmp_path / "to", known) == []
    assert (tmp_path / "to" / "a.nii.gz").read_bytes() == CONTENT
    assert server.asked == ["/a.nii.gz", *(f"/a.nii.gz bytes={first}-" for first in (CHUNK, 2 * CHUNK, 3 * CHUNK))]
    assert files_in(tmp_path / "to") == ["a.nii.gz"] + ([] if known else ["checksums.json"])
    fetch(server, tmp_path / "to", known)
    assert len(server.asked) == 4  # what is there is verified, not downloaded again


def test_an_ended_command_is_continued(server, tmp_path):
    server.cuts, server.cut_after = 2, 0
    assert "cannot be reached" in refused(server, tmp_path / "to")
    server.cuts, server.cut_after = 1, 3 * CHUNK + 10
    _interrupted(server, tmp_path / "to")
    assert files_in(tmp_path / "to") == ["a.nii.gz.part", "a.nii.gz.part.tag"]
    fetch(server, tmp_path / "to")
    assert server.asked[-1] == f"/a.nii.gz bytes={3 * CHUNK}-"
    assert (tmp_path / "to" / "a.nii.gz").read_bytes() == CONTENT


def _interrupted(server, folder):
    """As if the program were ended while it waits for another attempt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download.time, "sleep", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch(server, folder)


def _interrupt(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("tag", "ranges"), [('"two"', True), ('"one"', False), ("", True)])
def test_a_file_replaced_in_between_begins_again(server, tmp_path, tag, ranges):
    server.cuts, server.tag = 1, '"one"' if tag else ""
    _interrupted(server, tmp_path / "to")
    new = CONTENT[::-1]
    (server.root / "a.nii.gz").write_bytes(new)
    server.tag, server.ranges = tag, ranges
    fetch(server, tmp_path / "to")
    assert (tmp_path / "to" / "a.nii.gz").read_bytes() == new


def test_a_wrong_checksum_keeps_no_file(server, tmp_path):
    line = refused(server, tmp_path / "to", {"a.nii.gz": "sha256:" + 64 * "0"})
    assert "a.nii.gz does not have the checksum sha256:0000" in line
    assert files_in(tmp_path / "to") == []


def test_without_a_known_checksum_that_of_the_first_download_holds(server, tmp_path):
    fetch(server, tmp_path / "to")
    assert json.loads((tmp_path / "to" / "checksums.json").read_text()) == {"a.nii.gz": SHA}
    (tmp_path / "to" / "a.nii.gz").write_bytes(b"damaged on disk")
    fetch(server, tmp_path / "to")
    assert (tmp_path / "to" / "a.nii.gz").read_bytes() == CONTENT
    (tmp_path / "to" / "a.nii.gz").unlink()
    (server.root / "a.nii.gz").write_bytes(b"replaced by its publisher")
    assert "does not have the checksum" in refused(server, tmp_path / "to")


def test_files_that_are_gone_are_reported(server, tmp_path):
    (line,) = fetch(server, tmp_path / "to", names=("gone.nii.gz", "a.nii.gz"))
    assert line == f"1 files are not at their address any more, such as {server.url}/gone.nii.gz"
    assert "answers 404" in refused(server, tmp_path / "to", names=("gone.nii.gz",))
    assert "the publisher has moved them" in refused(server, tmp_path / "to", names=("gone.nii.gz", "too.nii.gz"))


def test_a_web_page_is_no_file(server, tmp_path):
    server.kind = "text/html; charset=utf-8"
    assert "gives a web page instead of the file" in refused(server, tmp_path / "to")
    assert files_in(tmp_path / "to") == []


def test_no_connection(server, tmp_path):
    server.shutdown()
    server.server_close()
    line = refused(server, tmp_path / "to")
    assert line.endswith("cannot be reached (ConnectionError): check the network, or give --from DIR")


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"^the package no-such is missing: pip install no-such$"):
        download.need("no_such_module", "no-such")


def test_checksums_are_those_of_published_files():
    assert download.known_checksums("ixi")["IXI-T1.tar"] == "md5:34901a0593b41dd19c1a1f746eac2d58"
    assert len(download.known_checksums("malf")) == 40
    assert download.known_checksums("nothing") == {}
