"""Turn TR, TE and TI and watch contrast: a thin shell over `toposlearn.explore.signals.plot_contrast`."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toposlearn.cohort.contrast import SEQUENCES, PulseSequence
from toposlearn.cohort.recipes import T1CE
from toposlearn.explore.signals import plot_contrast
from toposlearn.explore.slices import Spacing
from toposlearn.explore.widgets import LATER, PictureBox

_SLIDERS = {"TR, ms": (200, 10_000, 100), "TE, ms": (2, 300, 1), "TI, ms": (0, 10_000, 10), "b, s/mm²": (0, 2000, 50)}


def signal_browser(tissues: NDArray[np.int16], *, at: float = 0.0, spacing: Spacing = 2.0) -> widgets.VBox:
    """Buttons with the timing of each protocol, sliders for TR, TE, TI and b, and a box for the contrast agent.

    Args:
        tissues: from `toposlearn.explore.signals.tissue_map`.
        at: place of the axial slice, mm from the center.
        spacing: mm per voxel.
    """
    options = {"T1w + agent" if name == T1CE else name: name for name in SEQUENCES}
    buttons = widgets.ToggleButtons(options=options, value="T1w", style={"button_width": "auto"})
    sliders = [
        widgets.IntSlider(low, low, high, step, description=name, **LATER)
        for name, (low, high, step) in _SLIDERS.items()
    ]
    agent = widgets.Checkbox(description="contrast agent")

    def adjust(changed: widgets.ValueWidget | None) -> None:
        """A button moves the sliders; a slider keeps only the button whose timing it still shows."""
        if changed in (None, buttons) and buttons.value is not None:
            agent.value = buttons.value == T1CE
            for slider, value in zip(sliders, _timing_of(buttons.value), strict=True):
                slider.value = value
        elif changed is not buttons:
            timing = [slider.value for slider in sliders]
            same = [name for name in SEQUENCES if _timing_of(name) == timing and (name == T1CE) == agent.value]
            buttons.value = same[0] if same else None

    def plot() -> Figure:
        repetition, echo, inversion, b_value = (float(slider.value) for slider in sliders)
        sequence = PulseSequence(repetition, echo, inversion, b_value)
        return plot_contrast(tissues, sequence, agent=agent.value, at=at, spacing=spacing)

    return PictureBox([[buttons], [*sliders, agent]], plot, adjust).box


def _timing_of(protocol: str) -> list[int]:
    sequence = SEQUENCES[protocol]
    return [round(each or 0) for each in (sequence.repetition, sequence.echo, sequence.inversion, sequence.b_value)]
