"""Buttons and sliders of the signal equations: what they hand to the picture, and that no error is swallowed."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from toposlearn.anatomy import structure
from toposlearn.cohort.contrast import SEQUENCES, PulseSequence
from toposlearn.cohort.recipes import T1CE
from toposlearn.explore import signal_browser
from toposlearn.explore.signals import tissue_map


@pytest.fixture
def calls(monkeypatch):
    """(sequence, agent) of every picture."""
    seen, original = [], signal_browser.plot_contrast

    def recorded(tissues, sequence, *, agent, **view):
        seen.append((sequence, agent))
        return original(tissues, sequence, agent=agent, **view)

    monkeypatch.setattr(signal_browser, "plot_contrast", recorded)
    return seen


@pytest.fixture
def box(calls):
    labels = np.full((6, 6, 6), structure("cerebral-white-matter", "left").label)
    return signal_browser.signal_browser(tissue_map(labels))


def controls(box):
    return {control.description: control for control in box.children[1].children}


def buttons(box):
    return box.children[0].children[0]


def test_begins_with_the_protocol_and_its_picture(box, calls):
    assert calls == [(PulseSequence(2000, 3, 900, 0), False)]
    assert bytes(box.children[-1].value).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [name for name in SEQUENCES if name != "T1w"])
def test_a_button_sets_all_timings_and_draws_once(name, box, calls):
    buttons(box).value = name
    sequence, agent = calls[-1]
    wanted = SEQUENCES[name]
    assert len(calls) == 2
    assert (sequence.repetition, sequence.echo, sequence.b_value) == (wanted.repetition, wanted.echo, wanted.b_value)
    assert sequence.inversion == (wanted.inversion or 0)
    assert agent == (name == T1CE)
    assert buttons(box).value == name


@pytest.mark.parametrize(("slider", "value"), [("TR, ms", 4000), ("TE, ms", 40), ("TI, ms", 500), ("b, s/mm²", 500)])
def test_a_slider_reaches_the_picture_and_lets_the_button_go(slider, value, box, calls):
    before = bytes(box.children[-1].value)
    controls(box)[slider].value = value
    assert value in (calls[-1][0].repetition, calls[-1][0].echo, calls[-1][0].inversion, calls[-1][0].b_value)
    assert len(calls) == 2
    assert bytes(box.children[-1].value) != before
    assert buttons(box).value is None
    buttons(box).value = "T1w"
    assert calls[-1][0] == calls[0][0]


def test_the_agent_makes_t1w_the_other_protocol(box, calls):
    controls(box)["contrast agent"].value = True
    assert calls[-1][1]
    assert buttons(box).value == T1CE
    assert not plt.get_fignums()


def test_an_impossible_timing_is_said_and_raised(box):
    with pytest.raises(ValueError, match="inversion must come within"):
        controls(box)["TI, ms"].value = 3000
    assert "inversion must come within" in box.children[-2].value
    controls(box)["TI, ms"].value = 900
    assert box.children[-2].value == ""
