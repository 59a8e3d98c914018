import numpy as np
import pytest

from toposlearn.anatomy import load_label_map, structure
from toposlearn.studies.homology.panel import plot_homology_panel
from toposlearn.studies.homology.shapes import Shapes, describe_change, drill, exchange_places, measure_shapes

PALLIDUM, ACCUMBENS = structure("pallidum", "left"), structure("accumbens", "left")


@pytest.fixture(scope="module")
def before() -> Shapes:
    return measure_shapes(load_label_map("A"), (PALLIDUM, ACCUMBENS))


@pytest.fixture(scope="module")
def changes(before: Shapes) -> dict[str, Shapes]:
    exchanged = exchange_places(before.head, PALLIDUM, ACCUMBENS)
    drilled = drill(before.head, PALLIDUM, 1.5)
    return {
        "exchanged": measure_shapes(exchanged, (PALLIDUM, ACCUMBENS)),
        "drilled": measure_shapes(drilled, (PALLIDUM,)),
    }


def test_words_say_which_kind_of_topology_changed(before: Shapes, changes: dict[str, Shapes]) -> None:
    exchanged = describe_change(before, changes["exchanged"], ACCUMBENS, PALLIDUM)
    assert exchanged["diagrams"] == "0.0 mm apart"
    assert exchanged["Betti numbers"].startswith("pallidum (1, 0, 0) → (1, 0, 0), accumbens")
    margins = exchanged["accumbens is medial to pallidum"]
    assert "by +" in margins
    assert "→ -" in margins
    drilled = describe_change(before, changes["drilled"], ACCUMBENS, PALLIDUM)
    assert drilled["Betti numbers"] == "pallidum (1, 0, 0) → (1, 1, 0)"
    assert drilled["diagrams"] != "0.0 mm apart"
    assert drilled["relations"].startswith("0 of 2,340 turn over")


def test_panel_has_a_column_for_the_example_and_for_each_change(before: Shapes, changes: dict[str, Shapes]) -> None:
    figure = plot_homology_panel(before, ACCUMBENS, changes, PALLIDUM, ACCUMBENS)
    figure.canvas.draw()
    titles = [column.get_suptitle() for column in figure.subfigs]
    assert titles == ["left accumbens, from the side", "exchanged", "drilled"]
    diagrams = [ax for ax in figure.axes if "born" in ax.get_xlabel()]
    assert len(diagrams) == 3
    new = [dots.get_offsets() for dots in diagrams[2].collections if len(dots.get_offsets())]
    alive = [(x, y) for x, y in np.concatenate(new).tolist() if x <= 0 < y]
    assert len(alive) == 3  # the piece before, the piece after, the new tunnel
