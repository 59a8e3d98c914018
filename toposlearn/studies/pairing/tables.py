"""Tables of ``pairing.json``: every network and control, and each network minus the one without the inter term."""

from collections.abc import Mapping
from typing import Any

from toposlearn.pretrain.point_errors import CONTINUOUS, TOKEN
from toposlearn.studies.pairing.measure import OVERLAP, WITHIN
from toposlearn.tables import interval_table, labeled_table

WITHOUT = "intra"
NAMES = {
    WITHOUT: "no inter",
    "full": "inter, mutual matches",
    "full-gated": "inter, mutual matches and gates",
    "full-nearest": "inter, every nearest token",
    "full-oracle": "inter, true matches",
    "full-random": "inter, random matches (null)",
}
CONTROL_NAMES = {
    "untrained": "nothing (untrained)",
    "position": "*grid position*",
    "centered": "*centered and scaled position*",
    "floor": "*floor: best token there is*",
    "random": "*null: random features*",
}
COLUMNS = {
    "two people, T1→T2": f"T1w-T2w/{TOKEN}",
    "two people, below a token": f"T1w-T2w/{CONTINUOUS}",
    "one person, T1→T2": f"T1w-T2w/{WITHIN[TOKEN]}",
    "one person, below a token": f"T1w-T2w/{WITHIN[CONTINUOUS]}",
    "two people, T1→T1": f"T1w-T1w/{TOKEN}",
}


def pairing_section(result: Mapping[str, Any]) -> str:
    """All tables of ``pairing.json`` in Markdown, errors in mm with 95 % intervals over people and seeds."""
    metrics, parts = result["metrics"], []
    for stride in sorted(result["config"]["model"]["token_strides"], reverse=True):
        columns = {title: f"NAME/stride{stride}/{key}" for title, key in COLUMNS.items()}
        size = stride * result["config"]["volume"]["spacing"]
        everyone = row_names(metrics) | CONTROL_NAMES
        kept = interval_table(metrics, everyone, {"neighbors kept": f"NAME/stride{stride}/{OVERLAP}"}, digits=2)
        table = interval_table(metrics, everyone, columns).join(kept)
        parts += [f"**Tokens of {size:g} mm**", labeled_table("paired", table, everyone)]
        less = row_names(metrics, f"-{WITHOUT}")
        changes = interval_table(metrics, less, columns, sign="+")
        parts += [f"**With inter minus without, {size:g} mm**", labeled_table("paired", changes, less)]
    across = {
        share_words(share): metrics[f"{share_name(share)}/comparisons_across_modalities"]["value"]
        for share in shares_of(metrics)
    }
    listed = ", ".join(f"{value:.2f} ({words} paired)" for words, value in across.items())
    return "\n\n".join([*parts, f"Comparisons of two people that are across modalities: {listed}."]) + "\n"


def row_names(metrics: Mapping[str, Any], ending: str = "") -> dict[str, str]:
    """Prefix of the metrics of each share and variant -> its name in tables, from all people paired to none."""
    return {
        f"{share_name(share)}/{variant}{ending}": f"{share_words(share)}, {words}"
        for share in shares_of(metrics)
        for variant, words in NAMES.items()
    }


def shares_of(metrics: Mapping[str, Any]) -> list[float]:
    """The shares of paired people of which there are metrics, from high to low."""
    names = {name.split("/")[0] for name in metrics if name.startswith("share")}
    return sorted((float(name.removeprefix("share")) for name in names), reverse=True)


def share_name(share: float) -> str:
    """The first part of the names of metrics, and the name of the folder of the people."""
    return f"share{share:g}"


def share_words(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:g} %"
