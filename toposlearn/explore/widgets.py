"""Widgets as thin shells over the plot functions: controls, the picture they lead to, and its errors."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from toposlearn.anatomy import LabelMap
from toposlearn.cohort.contrast import SEQUENCES, PulseSequence
from toposlearn.data import PosedSubjects
from toposlearn.explore.gradients import Vectors, plot_steering, steering
from toposlearn.explore.html_page import png_of
from toposlearn.explore.match_errors import follow_token, known_motion, plot_followed
from toposlearn.explore.neighborhoods import plot_neighbors, token_at
from toposlearn.explore.signals import plot_contrast
from toposlearn.explore.slices import PLANE_AXES, STRUCTURE_COLORS, Spacing, Volume
from toposlearn.explore.structures import plot_people
from toposlearn.explore.triplets import anchor_triplets, plot_triplets
from toposlearn.models import Taco
from toposlearn.settings import T1CE

DIRECTIONS = ("right, mm", "front, mm", "up, mm")
LATER: Mapping[str, Any] = {"continuous_update": False}  # a slider draws when it is released
_TIMINGS = {"TR, ms": (200, 10_000, 100), "TE, ms": (2, 300, 1), "TI, ms": (0, 10_000, 10), "b, s/mm²": (0, 2000, 50)}


def handle_messages_here(control: widgets.Widget) -> None:
    """Let a widget handle its messages in the thread of this call, one at a time.

    JupyterLab delivers them to several threads of the kernel. A click would change a control in one of them while
    another still draws, and pyplot has one state for all.
    """
    home = threading.get_ident()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # no kernel, hence no messages
        return

    def handle(message: Mapping[str, Any]) -> None:
        if threading.get_ident() == home:
            control._handle_msg(message)
        else:
            loop.call_soon_threadsafe(control._handle_msg, message)

    control.comm.on_msg(handle)


class PictureBox:
    """Controls above a picture, drawn now and when a control changes: the widget `box`. Errors are shown and raised."""

    def __init__(
        self,
        rows: Sequence[Sequence[widgets.ValueWidget]],
        plot: Callable[[], Figure],
        adjust: Callable[[widgets.Widget | None], None] | None = None,
        follow: Callable[[], None] | None = None,
        *,
        picture: Any = None,
        dpi: int = 100,
    ) -> None:
        """`adjust` is called before `plot` with the control that changed (at first None); it may set others.

        `follow` is called when the picture is there. `picture` is a widget whose `value` is a PNG.
        """
        self._plot, self._adjust, self._follow, self._dpi = plot, adjust, follow, dpi
        self._drawing = False
        self.picture, self.error = picture or widgets.Image(format="png"), widgets.Label()
        for control in (control for row in rows for control in row):
            handle_messages_here(control)
            control.observe(lambda change: self.draw(change["owner"]), names="value")
        self.draw()
        lines = [widgets.HBox(list(row), layout={"flex_flow": "row wrap"}) for row in rows]
        self.box = widgets.VBox([*lines, self.error, self.picture])

    def draw(self, changed: widgets.Widget | None = None) -> None:
        """Draw the picture anew because of a control."""
        if self._drawing:  # a control that `adjust` moves draws nothing
            return
        self._drawing = True
        try:
            if self._adjust:
                self._adjust(changed)
            with plt.ioff():  # after a message, also in another thread, the notebook shows and closes all other figures
                self.picture.value = png_of(self._plot(), self._dpi)
            self.error.value = ""
            if self._follow:
                self._follow()
        except Exception as error:
            self.error.value = f"Error: {error}"
            raise
        finally:
            self._drawing = False


def neighborhood_browser(
    volumes: Mapping[str, Volume],
    tokens: Mapping[str, Tensor],
    *,
    stride: int,
    spacing: float = 3.0,
    mask: Tensor | None = None,
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> widgets.VBox:
    """Sliders for a point in mm and for K over `toposlearn.explore.neighborhoods.plot_neighbors`; same arguments."""
    shape = next(iter(volumes.values())).shape
    sliders, count = _point_sliders(shape, spacing, at), widgets.IntSlider(5, 1, 15, description="K", **LATER)

    def plot() -> Figure:
        anchor = token_at([slider.value for slider in sliders], shape, stride, spacing)
        return plot_neighbors(volumes, tokens, anchor, stride=stride, spacing=spacing, k=count.value, mask=mask)

    return PictureBox([[*sliders, count]], plot).box


def triplet_browser(
    volumes: Mapping[str, Volume],
    tokens: Mapping[str, Tensor],
    masks: Sequence[Tensor] | None = None,
    matches: Mapping[str, Tensor] | None = None,
    *,
    stride: int,
    spacing: float = 3.0,
    margin: float = 0.05,
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> widgets.VBox:
    """Sliders for a point, K and margin, menus for the rest, over `toposlearn.explore.triplets.plot_triplets`.

    Volumes (D, H, W), tokens (N, F) and masks (N,) are those of a and of b. `matches` are matcher -> (N,) long, the
    match in b of each token of a; without them, a and b are one person, token by token. `at` is in mm.
    """
    (name_a, volume_a), (name_b, volume_b) = volumes.items()
    (tokens_a, tokens_b), (mask_a, mask_b) = tokens.values(), masks or (None, None)
    sliders = _point_sliders(volume_a.shape, spacing, at)
    count = widgets.IntSlider(5, 1, 15, description="K", **LATER)
    gap = widgets.FloatSlider(margin, min=0, max=1, step=0.05, description="margin", **LATER)
    ways = widgets.Dropdown(options={"uniform": "uniform", "semi-hard": "semi_hard"}, description="negatives")
    name, options = ("matcher", list(matches)) if matches else ("form", ["within", "cross"])
    choice = widgets.Dropdown(options=options, description=name)

    def plot() -> Figure:
        anchor = token_at([slider.value for slider in sliders], volume_a.shape, stride, spacing)
        chosen = {"matches": matches[choice.value]} if matches else {"form": choice.value}
        settings = {"mask_a": mask_a, "mask_b": mask_b, "k": count.value, "margin": gap.value, **chosen}
        draws = torch.Generator().manual_seed(0)
        triplets = anchor_triplets(tokens_a, tokens_b, anchor, negatives=ways.value, generator=draws, **settings)
        return plot_triplets(volume_a, volume_b, triplets, stride=stride, spacing=spacing, names=(name_a, name_b))

    return PictureBox([[*sliders, count, gap, ways, choice]], plot).box


def _point_sliders(shape: Sequence[int], spacing: float, at: tuple[float, float, float]) -> list[widgets.IntSlider]:
    """Sliders for right, front and up, mm from the center of a volume (D, H, W)."""
    reach = [int(size * spacing / 2) - 1 for size in shape]
    return [
        widgets.IntSlider(int(np.clip(value, -end, end)), -end, end, description=name, **LATER)
        for name, value, end in zip(DIRECTIONS, at, reach, strict=True)
    ]


def steering_browser(gradients: Mapping[str, Vectors], weights: Sequence[float]) -> widgets.VBox:
    """A menu for the part of the network over `toposlearn.explore.gradients.plot_steering`; gradients by network."""
    parts = next(iter(next(iter(gradients.values())).values()))
    part = widgets.Dropdown(options={"all": "", **{name: name for name in parts}}, description="part")

    def plot() -> Figure:
        tables = {name: steering(each, weights, part.value) for name, each in gradients.items()}
        return plot_steering(tables, f"which term does a step follow? part of the network: {part.label}")

    return PictureBox([[part]], plot).box


def people_browser(subjects: Mapping[str, LabelMap]) -> widgets.VBox:
    """A menu for the plane and a slider for its place over `toposlearn.explore.structures.plot_people`."""
    plane = widgets.Dropdown(options=list(PLANE_AXES), description="plane")
    place = widgets.IntSlider(6, -40, 40, 2, description="place (mm)", **LATER)

    def plot() -> Figure:
        return plot_people(subjects, tuple(STRUCTURE_COLORS), plane.value, place.value)

    return PictureBox([[plane, place]], plot).box


def move_browser(
    networks: Mapping[str, Taco],
    subjects: PosedSubjects,
    token: int,
    *,
    pair: tuple[str, str],
    stride: int,
    shift: int = 27,
) -> widgets.VBox:
    """Sliders for shift (mm) and angle over `plot_followed`, for one token of the first person."""
    slide = widgets.IntSlider(shift, 0, 30, description="shift, mm", **LATER)
    turn = widgets.IntSlider(0, -20, 20, description="angle, degrees", **LATER)

    def plot() -> Figure:
        motion = known_motion(slide.value, turn.value)
        views = follow_token(networks, subjects, token, motion, pair=pair, stride=stride)
        return plot_followed(views, stride=stride, spacing=subjects.spacing, positions=subjects.token_positions(stride))

    return PictureBox([[slide, turn]], plot).box


def signal_browser(tissues: NDArray[np.int16], *, at: float = 0.0, spacing: Spacing = 2.0) -> widgets.VBox:
    """Protocols as buttons, sliders for TR, TE, TI and b, and a box for the contrast agent; the slice is at `at` mm."""
    options = {"T1w + agent" if name == T1CE else name: name for name in SEQUENCES}
    buttons = widgets.ToggleButtons(options=options, value="T1w", style={"button_width": "auto"})
    sliders = [
        widgets.IntSlider(low, low, high, step, description=name, **LATER)
        for name, (low, high, step) in _TIMINGS.items()
    ]
    agent = widgets.Checkbox(description="contrast agent")

    def adjust(changed: widgets.Widget | None) -> None:
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
