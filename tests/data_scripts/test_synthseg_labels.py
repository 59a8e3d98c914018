"""Label maps by script: one folder of them, which `toposlearn cohort --anatomy` takes."""

import arrange
import published
import synthseg_labels

from toposlearn.cohort.head import find_anatomies


def test_label_maps_become_a_folder_of_anatomies(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(arrange, "known_checksums", lambda _: {})
    for name in synthseg_labels.NAMES[:2]:
        published.labels(tmp_path / "there" / name)
    out = tmp_path / "maps"
    assert synthseg_labels.main(["--from", str(tmp_path / "there"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: 2 people of SynthSeg training label maps; dseg 2" in printed
    assert printed.endswith(f"next: toposlearn cohort --anatomy {out}\n")
    anatomies = find_anatomies(str(out), "synthseg")
    assert [each.name for each in anatomies] == ["training_seg_01", "training_seg_02"]
    assert all(each.path.resolve().parent == tmp_path / "there" for each in anatomies)
