"""Errors between two people at the structures and landmarks of a scene: the network beside position alone."""

from __future__ import annotations

from html import escape

import pandas as pd
import torch

from toposlearn.explorer.answers import View, count_in_words, in_words, level_of
from toposlearn.explorer.scene import Scene
from toposlearn.pretrain.point_errors import CONTINUOUS, FITTED, TOKEN, PointTruth, network_errors, rivals

ROWS = {"position": "grid position", "centered": "centered, scaled position", "floor": "best token there is"}
STYLE = "<style>.pair-errors :is(th, td) { padding: 0 10px; line-height: 1.5; text-align: right }</style>"
READINGS = {TOKEN: "best token", CONTINUOUS: "below a token", FITTED: "with neighbors"}


def pair_errors(scene: Scene, view: View, name: str = "") -> pd.DataFrame:
    """Errors (mm) in person b of places in person a, at all points of a scene or at one of them.

    Rows are the network, positions and the best token there is; columns are readings, NaN where there is none.
    """
    pair = [view.subject_a, view.subject_b]
    tokens = scene.tokens[view.network]
    first, second = (tokens[modality][pair] for modality in (view.modality_a, view.modality_b))
    level, names = level_of(scene, *pair), [name] if name else list(scene.points)
    truth = PointTruth(torch.stack([scene.points[each][pair] for each in names], dim=1))
    network = network_errors(first, second, level, truth, scene.readouts[view.network])
    others = rivals(level, truth, {})
    errors = {f"{view.network} network": network} | {label: others[each] for each, label in ROWS.items()}
    means = {
        row: {label: each[end][0, 1] for end, label in READINGS.items() if end in each} for row, each in errors.items()
    }
    return pd.DataFrame.from_dict(means, orient="index", columns=list(READINGS.values()))


def pair_table_html(scene: Scene, view: View, name: str = "") -> str:
    """The `pair_errors` of one point, if any, beside those of all points, with a caption; empty without points."""
    if not scene.points:
        return ""
    parts = {in_words(name): pair_errors(scene, view, name)} if name else {}
    parts[f"mean of {count_in_words(scene)}"] = pair_errors(scene, view)
    table = pd.concat(parts, axis=1).to_html(float_format="{:.1f}".format, na_rep="–", border=0, classes="pair-errors")
    names = scene.subjects.names
    people = f"{names[view.subject_a]} {view.modality_a} to {names[view.subject_b]} {view.modality_b}"
    caption = f"Errors in mm, {people}; readings below a token by {scene.readouts[view.network]}."
    return f"{STYLE}<p>{escape(caption)}</p>{table}"
