"""The real heads are fetched once, before the notebooks; where that fails, one line says why, and the others run."""

from notebook_maker import code, write_notebook

from toposlearn import cli
from toposlearn.course.heads import HEADS, SCRIPT, fetch_heads

MAKES = "import pathlib, sys\npathlib.Path(sys.argv[2]).mkdir(parents=True)"
FAILS = "import sys\nprint('downloading', file=sys.stderr)\nsys.exit('error: no network: check it')"


def script(root, source):
    (root / SCRIPT).parent.mkdir()
    (root / SCRIPT).write_text(source)


def test_they_are_fetched_once(tmp_path):
    said = []
    script(tmp_path, MAKES)
    assert fetch_heads(tmp_path, said.append) is None
    assert (tmp_path / HEADS).is_dir()
    (tmp_path / SCRIPT).write_text(FAILS)
    assert fetch_heads(tmp_path, said.append) is None
    assert len(said) == 1


def test_a_failure_is_one_line_with_its_remedy(tmp_path):
    assert "clone" in fetch_heads(tmp_path)
    script(tmp_path, FAILS)
    assert fetch_heads(tmp_path) == "no real heads: no network: check it"


def test_without_them_only_the_notebook_that_reads_them_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    script(tmp_path, FAILS)
    (tmp_path / "data/cohort").mkdir(parents=True)
    (tmp_path / "data/cohort/participants.tsv").write_text("participant_id\n")
    write_notebook(tmp_path / "notebooks/00_a.ipynb", code("1"))
    reads = code("import os\nos.listdir(HEADS)")
    write_notebook(tmp_path / "notebooks/01_b.ipynb", code("HEADS = '../data/heads'", "parameters"), reads)
    assert cli.execute(["all"]) == 1
    printed = capsys.readouterr().err
    assert printed == "error: no real heads: no network: check it\nerror: 1 of 2 notebooks failed: 01_b\n"
