import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from traitlets import TraitError

from toposlearn.explore import widgets
from toposlearn.explore.slices import mask_overlay


def controls(box):
    return {control.description: control for control in box.children[0].children}


def drawn(monkeypatch, name):
    """The arguments of every call to a plot function of the widgets."""
    calls = []
    original = getattr(widgets, name)

    def recorded(*args, **settings):
        calls.append((args, settings))
        return original(*args, **settings)

    monkeypatch.setattr(widgets, name, recorded)
    return calls


def test_sliders_move_the_plane_over_the_whole_volume(monkeypatch):
    calls = drawn(monkeypatch, "plot_row")
    volumes = {"T1w": np.ones((8, 10, 12))}
    box = widgets.slice_browser(volumes, {"T1w": mask_overlay(np.ones((8, 10, 12)))}, spacing=2.0)
    assert calls[-1][1]["at"] == pytest.approx(0)
    controls(box)["plane"].value = "sagittal"
    controls(box)["place, %"].value = 75
    assert (calls[-1][1]["plane"], calls[-1][1]["at"]) == ("sagittal", pytest.approx(4.0))
    assert calls[-1][1]["overlays"]
    controls(box)["overlay"].value = False
    assert calls[-1][1]["overlays"] is None


def test_every_place_of_every_plane_can_be_drawn_and_no_figure_stays_open():
    box = widgets.slice_browser({"T1w": np.ones((8, 10, 12))})
    before = bytes(box.children[1].value)
    for plane in ("sagittal", "coronal", "axial"):
        for share in (2, 98):
            controls(box)["plane"].value, controls(box)["place, %"].value = plane, share
    assert bytes(box.children[1].value) != before
    assert not plt.get_fignums()


def test_neighborhood_browser_names_the_token_at_the_point(monkeypatch):
    calls = drawn(monkeypatch, "plot_neighbors")
    tokens = {"T1w": torch.randn(64, 8), "T2w": torch.randn(64, 8)}
    volumes = {name: torch.ones(8, 8, 8) for name in tokens}
    box = widgets.neighborhood_browser(volumes, tokens, stride=2, at=(-11, -11, -11))
    assert calls[-1][0][2] == 0
    controls(box)["up, mm"].value = 11
    assert calls[-1][0][2] == 3
    controls(box)["K"].value = 7
    assert calls[-1][1]["k"] == 7


def test_an_exception_is_not_swallowed():
    with pytest.raises(ValueError, match="volume must be"):
        widgets.slice_browser({"broken": np.ones((4, 4, 4, 4, 4))})
    box = widgets.slice_browser({"T1w": np.ones((4, 4, 4))})
    with pytest.raises(TraitError):
        controls(box)["plane"].value = "oblique"


def people_in_two_modalities():
    volumes = {"T1w": torch.ones(8, 8, 8), "T2w": torch.ones(8, 8, 8)}
    tokens = torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(0))
    return volumes, dict(zip(volumes, tokens, strict=True))


def test_triplet_browser_hands_every_knob_to_the_triplets(monkeypatch):
    calls = drawn(monkeypatch, "anchor_triplets")
    volumes, tokens = people_in_two_modalities()
    mask = torch.ones(64, dtype=torch.bool)
    box = widgets.triplet_browser(volumes, tokens, (mask, mask), stride=2, at=(-11, -11, -11), margin=0.2)
    assert calls[-1][0][2] == 0
    for name, value in (("up, mm", 11), ("K", 7), ("margin", 0.4), ("negatives", "semi_hard"), ("form", "cross")):
        before = bytes(box.children[1].value)
        controls(box)[name].value = value
        assert bytes(box.children[1].value) != before, name
    assert calls[-1][0][2] == 3
    chosen = {name: calls[-1][1][name] for name in ("k", "margin", "negatives", "form")}
    assert chosen == {"k": 7, "margin": 0.4, "negatives": "semi_hard", "form": "cross"}
    assert not plt.get_fignums()


def test_triplet_browser_between_people_offers_the_matchers(monkeypatch):
    calls = drawn(monkeypatch, "anchor_triplets")
    matches = {"mutual": torch.arange(64), "oracle": torch.arange(64).flip(0)}
    box = widgets.triplet_browser(*people_in_two_modalities(), matches=matches, stride=2)
    assert calls[-1][1]["matches"] is matches["mutual"]
    controls(box)["matcher"].value = "oracle"
    assert calls[-1][1]["matches"] is matches["oracle"]
    assert "form" not in controls(box)


def test_steering_browser_asks_one_part_of_the_network(monkeypatch):
    calls = drawn(monkeypatch, "steering")
    parts = {"patches": torch.tensor([1.0, 0.0]), "decoder": torch.tensor([0.0, 1.0])}
    terms = {"reconstruction": parts, "intra": {name: part.flip(0) for name, part in parts.items()}}
    box = widgets.steering_browser({"untrained": terms}, [0.1, 1.0])
    assert calls[-1][0][2] == ""
    controls(box)["part"].value = "decoder"
    assert calls[-1][0][2] == "decoder"
