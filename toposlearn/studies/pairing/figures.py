"""Error across modalities against the share of people who have both, with and without the inter-instance term."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toposlearn.explore.curves import CONTROLS, color_of, draw_course, row_of_axes, shared_legend
from toposlearn.pretrain.point_errors import CONTINUOUS, TOKEN
from toposlearn.studies.pairing.measure import WITHIN
from toposlearn.studies.pairing.tables import NAMES, WITHOUT, share_name, share_words, shares_of

_COLORS = {"full-gated": "#009E73", "full-nearest": "#E69F00", "full-oracle": "#222222", "full-random": "#D55E00"}
_DRAWN = {"position": "--", "centered": "-.", "floor": ":"}  # controls
_APART = 0.07  # between two variants at one share, in steps of the axis


def plot_pairing(result: Mapping[str, Any], stride: int, *, soft: bool = False) -> Figure:
    """T1w to T2w at one token level of ``pairing.json``: between two people, and in one person in two poses.

    Errors are those of the best token, or with `soft` of the place below a token; bars are 95 % intervals.
    """
    reading = CONTINUOUS if soft else TOKEN
    figure, axes = row_of_axes(2, 4.9, 4.3, sharey=True)
    for ax, who, name in zip(axes, ("two people", "one person"), (reading, WITHIN[reading]), strict=True):
        ending = f"stride{stride}/T1w-T2w/{name}"
        _draw_variants(ax, result["metrics"], ending)
        for control, style in _DRAWN.items():
            if known := result["metrics"].get(f"{control}/{ending}"):
                ax.axhline(known["value"], color="0.5", ls=style, lw=1.1, label=CONTROLS[control][0])
        ax.set(xlabel="share of the people trained on who have both", ylim=(0, None))
        ax.set_title(f"{who}, T1w to T2w", size=10)
    axes[0].set_ylabel("error (mm)")
    shared_legend(figure, axes, columns=3)
    return figure


def _draw_variants(ax: Axes, metrics: Mapping[str, Mapping[str, Any]], ending: str) -> None:
    """One line per variant over the shares, side by side where they would cover each other."""
    shares = shares_of(metrics)
    for place, (variant, label) in enumerate(NAMES.items()):
        shift = _APART * (place - (len(NAMES) - 1) / 2)
        keys = {row + shift: f"{share_name(share)}/{variant}/{ending}" for row, share in enumerate(shares)}
        known = {row: metrics[key] for row, key in keys.items() if key in metrics}
        if known:
            look = {"color": _COLORS.get(variant, color_of(variant)), "lw": 2.6 if variant == WITHOUT else 1.3}
            draw_course(ax, known, label=label, capsize=0, **look)
    ax.set_xticks(range(len(shares)), list(map(share_words, shares)))
