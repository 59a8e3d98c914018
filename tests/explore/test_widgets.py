import asyncio
import dataclasses
import threading

import numpy as np
import pytest
import torch
from draws import tokens as random_tokens
from ipywidgets import IntSlider
from matplotlib import pyplot as plt
from traitlets import TraitError

from toposlearn.anatomy import load_label_map, structure
from toposlearn.cohort.contrast import SEQUENCES, PulseSequence
from toposlearn.data import pose_subjects
from toposlearn.explore import widgets
from toposlearn.explore.signals import tissue_map
from toposlearn.models import Taco
from toposlearn.settings import T1CE


def controls(box):
    return {control.description: control for row in box.children[:-2] for control in row.children}


def picture(box):
    return bytes(box.children[-1].value)


def drawn(monkeypatch, name):
    """The arguments of every call to a plot function of the widgets."""
    calls = []
    original = getattr(widgets, name)

    def recorded(*args, **settings):
        calls.append((args, settings))
        return original(*args, **settings)

    monkeypatch.setattr(widgets, name, recorded)
    return calls


def test_a_picture_is_drawn_at_once_and_again_for_each_change():
    slider = IntSlider(3, 0, 10, description="n")
    box = widgets.PictureBox([[slider]], lambda: plt.figure(figsize=(1 + slider.value, 1))).box
    first = picture(box)
    slider.value = 5
    assert first.startswith(b"\x89PNG")
    assert picture(box) != first
    assert not plt.get_fignums()


def test_controls_that_a_widget_adjusts_draw_nothing():
    one, other, figures = IntSlider(description="one"), IntSlider(description="other"), []

    def adjust(changed):
        other.value = one.value

    box = widgets.PictureBox([[one, other]], lambda: figures.append(plt.figure()) or figures[-1], adjust).box
    controls(box)["one"].value = 4
    assert (other.value, len(figures)) == (4, 2)


def test_messages_from_another_thread_wait_for_their_turn():
    """JupyterLab delivers the messages of one widget to several threads of the kernel."""

    async def click():
        slider, drawn = IntSlider(1, 0, 10), []

        def plot():
            before = slider.value
            if before == 4:  # two more clicks while this picture is being drawn
                workers = [threading.Thread(target=slider.comm.handle_msg, args=[update(n)]) for n in (6, 7)]
                for worker in workers:
                    worker.start()
                    worker.join()
            drawn.append((before, slider.value, threading.current_thread() is threading.main_thread()))
            return plt.figure()

        box = widgets.PictureBox([[slider]], plot)
        slider.comm.handle_msg(update(4))
        await asyncio.sleep(0)
        assert drawn == [(1, 1, True), (4, 4, True), (6, 6, True), (7, 7, True)]
        assert picture(box.box).startswith(b"\x89PNG")

    def update(value):
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        return {"content": {"data": data}, "buffers": []}

    asyncio.run(click())


def test_an_error_is_shown_and_raised():
    slider = IntSlider(1, 0, 10)

    def plot():
        if slider.value > 3:
            raise ValueError("<too many>")
        return plt.figure()

    box = widgets.PictureBox([[slider]], plot).box
    with pytest.raises(ValueError, match="too many"):
        slider.value = 4
    assert box.children[-2].value == "Error: <too many>"
    slider.value = 2
    assert box.children[-2].value == ""
    slider.value = 0
    with pytest.raises(TraitError):
        slider.value = "oblique"
    with pytest.raises(ZeroDivisionError):
        widgets.PictureBox([[slider]], lambda: 1 / 0)


def test_neighborhood_browser_names_the_token_at_the_point(monkeypatch):
    calls = drawn(monkeypatch, "plot_neighbors")
    volumes, tokens = people_in_two_modalities()
    box = widgets.neighborhood_browser(volumes, tokens, stride=2, at=(-11, -11, -11))
    assert calls[-1][0][2] == 0
    controls(box)["up, mm"].value = 11
    assert calls[-1][0][2] == 3
    controls(box)["K"].value = 7
    assert calls[-1][1]["k"] == 7


def people_in_two_modalities():
    volumes = {"T1w": torch.ones(8, 8, 8), "T2w": torch.ones(8, 8, 8)}
    return volumes, dict(zip(volumes, random_tokens(2, 64, 8), strict=True))


def test_triplet_browser_hands_every_knob_to_the_triplets(monkeypatch):
    calls = drawn(monkeypatch, "anchor_triplets")
    volumes, tokens = people_in_two_modalities()
    mask = torch.ones(64, dtype=torch.bool)
    box = widgets.triplet_browser(volumes, tokens, (mask, mask), stride=2, at=(-11, -11, -11), margin=0.2)
    assert calls[-1][0][2] == 0
    for name, value in (("up, mm", 11), ("K", 7), ("margin", 0.4), ("negatives", "semi_hard"), ("form", "cross")):
        before = picture(box)
        controls(box)[name].value = value
        assert picture(box) != before, name
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


def test_people_browser_moves_the_plane(monkeypatch):
    calls = drawn(monkeypatch, "plot_people")
    box = widgets.people_browser({"B": load_label_map("B")})
    controls(box)["place (mm)"].value = 20
    controls(box)["plane"].value = "axial"
    assert [args[2:] for args, _ in calls] == [("coronal", 6), ("coronal", 20), ("axial", 20)]


def test_move_browser_moves_and_turns_the_head(subjects, smoke, monkeypatch):
    upright = pose_subjects(subjects, smoke, posed=False)
    token = int(upright.token_mask(4)[0].nonzero()[20])
    calls = drawn(monkeypatch, "known_motion")
    networks = {"untrained": Taco(smoke.model).eval()}
    box = widgets.move_browser(networks, upright, token, pair=("T1w", "T2w"), stride=4)
    first = picture(box)
    controls(box)["shift, mm"].value = 12
    controls(box)["angle, degrees"].value = -10
    assert [args for args, _ in calls] == [(27, 0), (12, 0), (12, -10)]
    assert picture(box) != first


@pytest.fixture
def signal_calls(monkeypatch):
    """(sequence, agent) of every picture."""
    seen, original = [], widgets.plot_contrast

    def recorded(tissues, sequence, *, agent, **view):
        seen.append((sequence, agent))
        return original(tissues, sequence, agent=agent, **view)

    monkeypatch.setattr(widgets, "plot_contrast", recorded)
    return seen


@pytest.fixture
def signal_box(signal_calls):
    labels = np.full((6, 6, 6), structure("cerebral-white-matter", "left").label)
    return widgets.signal_browser(tissue_map(labels))


def buttons(box):
    return box.children[0].children[0]


def test_signal_browser_begins_with_the_protocol(signal_box, signal_calls):
    assert signal_calls == [(PulseSequence(2000, 3, 900, 0), False)]
    assert picture(signal_box).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [name for name in SEQUENCES if name != "T1w"])
def test_a_button_sets_all_timings_and_draws_once(name, signal_box, signal_calls):
    buttons(signal_box).value = name
    sequence, agent = signal_calls[-1]
    wanted = SEQUENCES[name]
    assert len(signal_calls) == 2
    assert (sequence.repetition, sequence.echo, sequence.b_value) == (wanted.repetition, wanted.echo, wanted.b_value)
    assert sequence.inversion == (wanted.inversion or 0)
    assert agent == (name == T1CE)
    assert buttons(signal_box).value == name


@pytest.mark.parametrize(("slider", "value"), [("TR, ms", 4000), ("TE, ms", 40), ("TI, ms", 500), ("b, s/mm²", 500)])
def test_a_slider_reaches_the_picture_and_lets_the_button_go(slider, value, signal_box, signal_calls):
    before = picture(signal_box)
    controls(signal_box)[slider].value = value
    assert value in dataclasses.astuple(signal_calls[-1][0])
    assert len(signal_calls) == 2
    assert picture(signal_box) != before
    assert buttons(signal_box).value is None
    buttons(signal_box).value = "T1w"
    assert signal_calls[-1][0] == signal_calls[0][0]


def test_the_agent_makes_t1w_the_other_protocol(signal_box, signal_calls):
    controls(signal_box)["contrast agent"].value = True
    assert signal_calls[-1][1]
    assert buttons(signal_box).value == T1CE
    assert not plt.get_fignums()


def test_an_impossible_timing_is_shown_and_raised(signal_box):
    with pytest.raises(ValueError, match="inversion must come within"):
        controls(signal_box)["TI, ms"].value = 3000
    assert "inversion must come within" in signal_box.children[-2].value
    controls(signal_box)["TI, ms"].value = 900
    assert signal_box.children[-2].value == ""
