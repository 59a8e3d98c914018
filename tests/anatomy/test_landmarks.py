"""The same two landmarks from every kind of file, and errors that name file, line and remedy."""

import json
from pathlib import Path

import numpy as np
import pytest

from toposlearn.anatomy.landmarks import median_landmarks, read_landmarks

AC, PC = (1.5, 2.0, -3.0), (-4.0, -25.0, 1e-1)  # RAS mm
COLUMNS = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"


def fcsv(system: str, sign: int) -> str:
    rows = (
        f"vtk_{number},{sign * x},{sign * y},{z},0,0,0,1,1,1,0,{number},{name},"
        for number, (name, (x, y, z)) in enumerate([("AC", AC), ('"PC, upper"', PC)], 1)
    )
    return "\n".join(["# Markups fiducial file version = 4.6", f"# CoordinateSystem = {system}", COLUMNS, *rows])


def mrk(**system: str) -> str:
    first, second = ([-x, -y, z] for x, y, z in (AC, PC))
    points = [
        {"label": "AC", "position": first},
        {"label": "2", "description": "PC, upper", "position": second},
        {"label": "F", "position": [0, 0, 0], "positionStatus": "undefined"},
    ]
    return json.dumps({"markups": [{"type": "Fiducial", **system, "controlPoints": points}]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a_afids.fcsv", fcsv("0", 1)),
        ("a_afids.fcsv", fcsv("RAS", 1)),
        ("a.fcsv", fcsv("1", -1)),
        ("a.FCSV", fcsv("LPS", -1)),
        ("a.mrk.json", mrk(coordinateSystem="LPS")),
        ("a.mrk.json", mrk()),
        ("a.csv", 'Name,X,Y,Z\nAC,1.5,2,-3\n"PC, upper",-4,-25,0.1\nmissing,n/a,n/a,n/a\n'),
        ("a.tsv", "x\ty\tz\tlandmark\n1.5\t2\t-3\tAC\n-4\t-25\t0.1\tPC, upper\n"),
        ("a.csv", 'label,l,p,s,defined,description\nAC,-1.5,-2,-3,1,\n2,4,25,.1,1,"PC, upper"\n'),
    ],
)
def test_every_format_gives_the_same_points_in_ras(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text("\ufeff" * name.endswith("csv") + text, encoding="utf-8")
    points = read_landmarks(path)
    assert list(points) == ["AC", "PC, upper"]
    np.testing.assert_allclose([points["AC"], points["PC, upper"]], [AC, PC])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "a.txt is no file of landmarks: give one that ends in .fcsv, .mrk.json, .csv, .tsv"),
        ("a.fcsv", "", "a.fcsv holds no landmark"),
        ("a.fcsv", "# CoordinateSystem = 7\n", "a.fcsv, line 1: coordinate system '7' is none of RAS"),
        ("a.fcsv", fcsv("0", 1).replace("-25.0", "east"), "a.fcsv, line 5: position -4.0, east, 0.1 is not three"),
        ("a.fcsv", fcsv("0", 1).replace('"PC, upper"', "AC"), "a.fcsv, line 5: AC is placed twice"),
        ("a.mrk.json", "{\n", "a.mrk.json, line 2: "),
        ("a.mrk.json", "[]", "a.mrk.json holds no markups"),
        ("a.mrk.json", mrk().replace("0.1]", "0.1, 7]"), "a.mrk.json, point 2: position"),
        ("a.csv", "name,x,y\nAC,1,2\n", "a.csv has no columns for a name .* its columns are name, x, y"),
        ("a.csv", "name,x,y,z\nAC,1,2,3\n,1,2,4\n", "a.csv, line 3: the landmark has no name"),
        ("a.csv", "name,x,y,z\nAC,1,2,inf\n", "a.csv, line 2: position 1, 2, inf is not three numbers"),
    ],
)
def test_errors_name_file_line_and_remedy(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_landmarks(tmp_path / name)
    assert "\n" not in str(error.value)


def test_several_raters_are_one_by_the_median(tmp_path: Path) -> None:
    rows = ("AC,1,0,0\nPC,5,5,5", "AC,2,1,0", "AC,90,2,0")
    paths = [tmp_path / f"rater{number}.csv" for number in range(3)]
    for path, row in zip(paths, rows, strict=True):
        path.write_text(f"name,x,y,z\n{row}\n")
    points = median_landmarks(paths)
    assert {name: tuple(place) for name, place in points.items()} == {"AC": (2, 1, 0), "PC": (5, 5, 5)}
