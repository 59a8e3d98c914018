import pytest
import torch
from matplotlib import pyplot as plt

from toposlearn.data.pose import voxel_coordinates
from toposlearn.explore.places import place_of, plot_places


def shifted_head(shift):
    """A head that lies `shift` mm to the right of where the template has it."""
    coordinates = voxel_coordinates((9, 9, 9), 3.0).clone()
    coordinates[0] -= shift
    return coordinates


def test_a_moved_head_has_the_place_where_it_was_moved_to():
    assert place_of(shifted_head(0), (3, 0, -6)) == (3, 0, -6)
    assert place_of(shifted_head(6), (3, 0, -6)) == (9, 0, -6)
    with pytest.raises(ValueError, match=r"got \(9, 9, 9\)"):
        place_of(torch.zeros(9, 9, 9), (0, 0, 0))


def test_the_cross_is_at_the_place_in_every_plane():
    heads = {"p": shifted_head(0), "q": shifted_head(6)}
    figure = plot_places({name: torch.ones(9, 9, 9) for name in heads}, heads, (3, 0, -6))
    crosses = [tuple(float(part[0]) for part in ax.lines[0].get_data()) for ax in figure.axes]
    assert crosses == [(0, -6), (3, -6), (3, 0), (0, -6), (9, -6), (9, 0)]
    plt.close(figure)
