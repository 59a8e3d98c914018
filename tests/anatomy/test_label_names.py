from pathlib import Path

import pytest

from toposlearn.anatomy import STRUCTURES, structure_names
from toposlearn.anatomy.label_names import TABLES, canonical_name, read_names, split_side


@pytest.mark.parametrize("table", TABLES)
def test_every_shipped_table_names_each_structure_once_on_both_sides(table: str) -> None:
    structures = structure_names(table)
    assert all(label == each.label for label, each in structures.items())
    names = [(each.name, each.side) for each in structures.values()]
    assert len(set(names)) == len(names)
    left, right = ({name for name, side in names if side == which} for which in ("left", "right"))
    assert left == right
    assert {"thalamus", "putamen", "pallidum", "caudate", "accumbens", "hippocampus"} <= left


def test_shipped_labels_are_those_of_the_programs() -> None:
    freesurfer = structure_names("freesurfer")
    assert (freesurfer[10].full_name, freesurfer[49].full_name) == ("left-thalamus", "right-thalamus")
    assert (freesurfer[3].full_name, freesurfer[42].full_name) == ("left-cerebral-cortex", "right-cerebral-cortex")
    assert (freesurfer[1035].full_name, freesurfer[2022].full_name) == ("left-insula", "right-postcentral")
    assert freesurfer[16].side == "midline"
    assert 30 not in freesurfer  # a vessel is no structure
    neuromorphometrics = structure_names("neuromorphometrics")
    assert neuromorphometrics[37].full_name == "left-caudate"
    assert neuromorphometrics[115].full_name == "left-cuneus"
    assert structure_names("toposlearn")[102].full_name == "right-thalamus"
    assert structure_names("desikan")[83].full_name == "brainstem"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ctx-lh-cuneus", ("cuneus", "left")),
        ("Right_Cun_cuneus", ("Cun_cuneus", "right")),
        ("thalamus-R", ("thalamus", "right")),
        ("Caudate left", ("Caudate", "left")),
        ("Brain-Stem", ("Brain-Stem", "midline")),
        ("lateral-ventricle", ("lateral-ventricle", "midline")),
        ("ctx_rh_G_cuneus", ("G_cuneus", "right")),
    ],
)
def test_a_side_is_read_before_or_behind_the_name(name: str, expected: tuple[str, str]) -> None:
    assert split_side(name) == expected


def table(tmp_path: Path, text: str, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_table_of_ones_own_gives_the_side_in_a_column_or_in_the_name(tmp_path: Path) -> None:
    text = "Label,Name,Side\n0,air,\n5,Thalamus Proper,L\n6,Thalamus Proper,R\n7,pons,\n"
    column = {label: each.full_name for label, each in structure_names(table(tmp_path, text)).items()}
    assert column == {5: "left-thalamus", 6: "right-thalamus", 7: "pons"}
    both = structure_names(table(tmp_path, "label,name,side\n10,Left-Thalamus,left\n", "both.csv"))
    assert both[10].full_name == "left-thalamus"
    named = structure_names(table(tmp_path, "index\tname\n5\tleft-thalamus\n6\tthalamus_R\n", "dseg.tsv"))
    assert [each.full_name for each in named.values()] == ["left-thalamus", "right-thalamus"]


def test_names_of_any_script_stay_apart(tmp_path: Path) -> None:
    file = tmp_path / "TABLE.TSV"
    file.write_text("label\tname\tside\n2\t視床\tleft\n4\tNoyau caudé\tleft\n", encoding="utf-8")
    assert [each.full_name for each in structure_names(file).values()] == ["left-視床", "left-noyau-caudé"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column label or index or id: its columns are missing"),
        ("label,colour\n1,red\n", "has no column name or structure: its columns are label, colour"),
        ("label,name\n1,a\n2.5,b\n", r"line 3: label '2.5' is not a whole number"),
        ("label,name\n-1,a\n", r"line 2: label '-1' is not a whole number"),
        ("label,name\n²,a\n", r"line 2: label '²' is not a whole number"),
        ("label,name\n1,a\n\n\nb,c\n", r"line 5: label 'b' is not a whole number"),
        ("label,name\n1,\n", "line 2: label 1 has no name"),
        ("label,name\n1,--\n", "line 2: label 1 has no name"),
        ("label,name,side\n1,a,up\n", "line 2: side 'up' is none of left, right, midline"),
        ("label,name,side\n1,Left-a,R\n", "line 2: 'Left-a' and side 'r' contradict each other"),
        ("label,name\n1,left-a\n1,left-b\n", "line 3: label 1 is named twice, a and b"),
        ("label,name\n1,left-a\n2,lh-A\n", "line 3: labels 1 and 2 are both left-a: name each once"),
        ("label,name\n0,background\n", "names no structure"),
    ],
)
def test_a_bad_table_is_reported_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        structure_names(table(tmp_path, text))


def test_an_unknown_table_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no table of labels 'aal': choose one of freesurfer, .*or give a CSV file"):
        structure_names("aal")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"label,name\n\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"binary\.csv cannot be read as a table"):
        structure_names(binary)


@pytest.mark.parametrize(
    ("raw", "atlas", "expected"),
    [
        ("Left-Thalamus-Proper", "desikan", ("thalamus", "left")),
        ("ctx-rh-precuneus", "desikan", ("parietal-cortex", "right")),
        ("Brain-Stem", "desikan", ("brainstem", "midline")),
        ("CC_Central", "desikan", ("cerebral-white-matter", "midline")),
        ("Right_Cun_cuneus", "neuromorphometrics", ("occipital-cortex", "right")),
        ("Left_CO_central_operculum", "neuromorphometrics", ("frontal-cortex", "left")),
        ("3rd_Ventricle", "neuromorphometrics", ("third-ventricle", "midline")),
        ("lh-insula", "desikan", ("insula", "left")),
    ],
)
def test_atlas_names_find_their_structure(raw: str, atlas: str, expected: tuple[str, str]) -> None:
    assert canonical_name(raw, atlas) == expected


@pytest.mark.parametrize(
    ("names", "atlas"),
    [("A-names", "desikan"), ("B-names", "neuromorphometrics"), ("donor-names", "desikan")],
)
def test_no_atlas_name_is_left_out(names: str, atlas: str) -> None:
    structures = {canonical_name(raw, atlas)[0] for raw in read_names(names).values()}
    assert structures - {"nearest"} <= {each.name for each in STRUCTURES}  # some voxels join what lies nearest
    assert {"thalamus", "putamen", "frontal-cortex"} <= structures


def test_an_unknown_atlas_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'Left-Spleen' belongs to no structure"):
        canonical_name("Left-Spleen", "desikan")
