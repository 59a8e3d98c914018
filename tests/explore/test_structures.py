import numpy as np
import pytest

from toposlearn.anatomy import LabelMap, load_donor_map, load_label_map, structure
from toposlearn.explore import structures
from toposlearn.relations import graphs
from toposlearn.relations.layout import layout


@pytest.fixture(scope="module")
def subjects() -> dict[str, LabelMap]:
    return {"B": load_label_map("B"), "9861": load_donor_map("9861"), "10021": load_donor_map("10021")}


def test_own_slice_shows_left_on_the_left_and_up_on_top(subjects: dict[str, LabelMap]) -> None:
    image = structures.own_slice(subjects["B"], "coronal", at=0, extent=70, step=1)
    assert image.shape == (141, 141)
    columns = {side: np.argwhere(image == structure("putamen", side).label)[:, 1] for side in ("left", "right")}
    assert columns["left"].max() < 70 < columns["right"].min()
    rows = {
        name: np.argwhere(image == structure(name, "left").label)[:, 0].mean() for name in ("thalamus", "hippocampus")
    }
    assert rows["thalamus"] < rows["hippocampus"]


def test_own_slice_does_not_change_when_the_head_moves(subjects: dict[str, LabelMap]) -> None:
    head = subjects["B"]
    pose = np.array([[0, -1, 0, 20], [1, 0, 0, -10], [0, 0, 1, 5], [0, 0, 0, 1]], dtype=float)
    moved = LabelMap(head.labels, pose @ head.affine, "moved", head.source)
    same = structures.own_slice(head, step=2) == structures.own_slice(moved, step=2)
    assert same.mean() > 0.995  # a sample on the border of two voxels may fall on either side


def test_own_slice_refuses_an_unknown_plane(subjects: dict[str, LabelMap]) -> None:
    with pytest.raises(ValueError, match="plane must be one of coronal, axial, sagittal"):
        structures.own_slice(subjects["B"], "oblique")  # type: ignore[arg-type]


@pytest.mark.parametrize("plane", ["coronal", "axial", "sagittal"])
def test_every_person_has_a_panel(subjects: dict[str, LabelMap], plane: str) -> None:
    figure = structures.plot_people(subjects, plane=plane)  # type: ignore[arg-type]
    titles = [ax.get_title() for ax in figure.axes if ax.get_visible()]
    assert titles == list(subjects)
    figure.canvas.draw()


def test_the_shared_graph_has_units_and_a_line_per_edge(subjects: dict[str, LabelMap]) -> None:
    measured = [layout(subject) for subject in subjects.values()]
    shared = graphs.shared_edges([graphs.nearest_graph(subject) for subject in measured])
    (ax,) = structures.plot_shared_graph(measured, shared).axes
    assert "mm" in ax.get_xlabel()
    assert "mm" in ax.get_ylabel()
    edges = np.triu(np.maximum(shared.to_numpy(), shared.to_numpy().T), k=1)
    of_all, of_some = (
        [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == style]
        for style in ("-", ":")
    )
    assert (len(of_all), len(of_some)) == ((edges == 1).sum(), ((edges > 0) & (edges < 1)).sum())
    assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == ["edge in all 3", "edge in some"]
