import pytest

from toposlearn import progress


def test_a_log_gets_plain_lines_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    clock = iter([0.0, 4.0, 11.0, 12.0, 75.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(progress.progress("abcd", description="people", unit="person", total=4)) == list("abcd")
    assert capsys.readouterr().err == "people: 2 of 4 in 00:11\npeople: 4 of 4 in 01:15\n"


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(progress.progress("ab", description="people", unit="person", total=2)) == ["a", "b"]
    assert "people: 100%" in capsys.readouterr().err
