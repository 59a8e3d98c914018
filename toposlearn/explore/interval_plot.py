"""Values with their intervals, one per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

BLUE = "#1f4e79"


def draw_intervals(
    ax: Axes,
    metrics: Mapping[str, Mapping[str, Any]],
    *,
    colors: Mapping[str, str] | None = None,
    shift: float = 0.0,
    label: str | None = None,
    **style: Any,
) -> None:
    """Draw one dot with its interval per row, the first at the top, and name the rows.

    `metrics` are name of a row -> metric with ``value`` and, where they are known, ``low`` and ``high``. Rows without
    one of `colors` are blue. `shift` moves the dots down, in rows; `style` is passed to `Axes.errorbar`.
    """
    for row, (name, metric) in enumerate(metrics.items()):
        value = metric["value"]
        ends = np.abs([[metric.get("low", value) - value], [metric.get("high", value) - value]])
        look: dict[str, Any] = {"fmt": "o", "ms": 6, "capsize": 3, "color": (colors or {}).get(name, BLUE)} | style
        ax.errorbar(value, row + shift, xerr=ends, label=None if row else label, **look)
    ax.set_yticks(range(len(metrics)), list(metrics))
    ax.set_ylim(len(metrics) - 0.4, -0.6)
    ax.grid(axis="x", color="0.92")
