"""Turn TR, TE and TI and watch contrast: a thin shell over `toposlearn.explore.signals.plot_contrast`."""

from __future__ import annotations

import io
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from toposlearn.cohort.contrast import SEQUENCES, PulseSequence
from toposlearn.cohort.recipes import T1CE
from toposlearn.explore.quiet import Quiet
from toposlearn.explore.signals import plot_contrast
from toposlearn.explore.slices import Spacing
from toposlearn.explore.structures import Plane

_NAMES = {T1CE: "T1w + agent"}
_SLIDERS = {"TR, ms": (200, 10_000, 100), "TE, ms": (2, 300, 1), "TI, ms": (0, 10_000, 10), "b, s/mm²": (0, 2000, 50)}


class SignalBrowser(Quiet):
    """Controls and picture. The first picture is drawn here, so its errors are the caller's.

    Attributes:
        box: the widget to show.
    """

    def __init__(self, tissues: NDArray[np.int16], plane: Plane, at: float, spacing: Spacing, protocol: str) -> None:
        self.tissues = tissues
        self.view: dict[str, Any] = {"plane": plane, "at": at, "spacing": spacing}
        options = {_NAMES.get(name, name): name for name in SEQUENCES}
        self.buttons = widgets.ToggleButtons(options=options, value=protocol, style={"button_width": "auto"})
        self.sliders = [
            widgets.IntSlider(low, low, high, step, description=name, continuous_update=False)
            for name, (low, high, step) in _SLIDERS.items()
        ]
        self.agent = widgets.Checkbox(description="contrast agent")
        self.picture = widgets.Image(format="png")
        self.words = widgets.Label()
        self._press()
        self.buttons.observe(self._press, names="value")
        for control in (*self.sliders, self.agent):
            control.observe(self._turn, names="value")
        rows = [self.buttons, widgets.HBox([*self.sliders, self.agent], layout={"flex_flow": "row wrap"})]
        self.box = widgets.VBox([*rows, self.words, self.picture])

    @property
    def sequence(self) -> PulseSequence:
        """What the sliders say."""
        repetition, echo, inversion, b_value = (float(slider.value) for slider in self.sliders)
        return PulseSequence(repetition, echo, inversion, b_value)

    def _press(self, _change: object = None) -> None:
        """A protocol's button: its timing goes to the sliders."""
        if self._quiet or self.buttons.value is None:
            return
        with self._silence():
            self.agent.value = self.buttons.value == T1CE
            for slider, value in zip(self.sliders, _timing_of(self.buttons.value), strict=True):
                slider.value = value
        self._draw()

    def _turn(self, _change: object) -> None:
        """A slider: the button stays down only where the timing is still that of its protocol."""
        if self._quiet:
            return
        set_now = [slider.value for slider in self.sliders]
        same = [name for name in SEQUENCES if _timing_of(name) == set_now and (name == T1CE) == self.agent.value]
        with self._silence():
            self.buttons.value = same[0] if same else None
        self._draw()

    def _draw(self) -> None:
        try:
            figure = plot_contrast(self.tissues, self.sequence, agent=self.agent.value, **self.view)
        except Exception as error:
            self.words.value = f"Error: {error}"
            raise
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        plt.close(figure)
        self.picture.value, self.words.value = buffer.getvalue(), ""


def signal_browser(
    tissues: NDArray[np.int16],
    *,
    plane: Plane = "axial",
    at: float = 0.0,
    spacing: Spacing = 2.0,
    protocol: str = "T1w",
) -> widgets.VBox:
    """Buttons with the timing of each protocol, sliders for TR, TE, TI and b, and a box for the contrast agent.

    Args:
        tissues: from `toposlearn.explore.signals.tissue_map`.
        plane: of the slice.
        at: mm from the center.
        spacing: mm a voxel.
        protocol: at first.
    """
    return SignalBrowser(tissues, plane, at, spacing, protocol).box


def _timing_of(protocol: str) -> list[int]:
    sequence = SEQUENCES[protocol]
    return [round(each or 0) for each in (sequence.repetition, sequence.echo, sequence.inversion, sequence.b_value)]
