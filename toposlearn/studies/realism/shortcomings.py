"""Where simulated people fall short of real ones: sentences, each with its measured number where there is one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from toposlearn.cohort.scanner import SCANNERS
from toposlearn.studies.realism.published import VOLUMES, verdict
from toposlearn.studies.realism.row import Row

NEVER = (
    "No skull, scalp, eyes, dura or vessels: scans are brain-extracted, and all around the head is exactly zero.",
    "No motion, ghosts, Gibbs ringing, flow, susceptibility, or distortion of diffusion-weighted images.",
    "Lesions are balls with an uneven outline, of one brightness for each part; real ones follow fibers and vessels.",
    "All people are bent from one label map; a second one (anatomy B) is kept for testing.",
)


def shortcomings(rows: Sequence[Row], donors: pd.DataFrame) -> list[str]:
    """What is known to be wrong, the measured first; what a folder does not tell is left out."""
    found = {f"{row.group}/{row.name}": row for row in rows}
    measured = (
        _size(found),
        _one_brain(found),
        _flat(found),
        _contrast(found),
        _fluid(found),
        _aging(found),
        _mass(found),
        _shading(found),
        _donors(donors),
    )
    return [*(sentence for sentence in measured if sentence), *NEVER]


def _size(found: dict[str, Row]) -> str:
    mean, spread = found.get("volume/intracranial"), found.get("size/variation of the intracranial volume")
    if mean is None or spread is None:
        return ""
    return (
        f"Heads hold {mean.value:.0f} ml and differ by {spread.value:.0%} (coefficient of variation); published are "
        f"{mean.reference} and {spread.low:.0%} to {spread.high:.0%}."
    )


def _one_brain(found: dict[str, Row]) -> str:
    same = found.get("one brain, bent/voxels with the label that the template has there")
    shared = found.get("one brain, bent/neighbors that two people share")
    if same is None or shared is None:
        return ""
    return (
        f"It is one brain, bent: {same.value:.1%} of a person's voxels carry the label that the template has at their "
        f"place, so that everybody has the same gyri. Of the pairs of gray structures that touch, two people share "
        f"{shared.value:.0%}, two real donors {shared.low:.0%} to {shared.high:.0%}."
    )


def _flat(found: dict[str, Row]) -> str:
    row = found.get("texture of white matter/T1w")
    if row is None:
        return ""
    return (
        f"A tissue is one brightness: beyond noise and shading, white matter varies by {row.value:.2f} % in T1w, that "
        f"of the templates by {row.low:.2f} to {row.high:.2f} %, though they are averages of 152 people."
    )


def _contrast(found: dict[str, Row]) -> str:
    row = found.get("T1w, over white matter/cortex")
    if row is None:
        return ""
    return (
        f"In T1w, cortex is {row.value:.2f} times as bright as white matter; in the templates, which averaging "
        f"blurs, {row.low:.2f} to {row.high:.2f}."
    )


def _fluid(found: dict[str, Row]) -> str:
    row = found.get("FLAIR, over white matter/csf")
    if row is None or row.people is None:
        return ""
    return (
        f"FLAIR is there to make fluid dark; here it is {row.value:.2f} times as bright as white matter, and "
        f"{row.people[1]:.2f} times in the worst twentieth of scans."
    )


def _aging(found: dict[str, Row]) -> str:
    parts = [found.get(f"aging/{name}") for name in ("fluid", "cortex", "hippocampus")]
    if any(part is None or part.interval is None for part in parts):
        return ""
    told = [
        f"{part.name} {part.value:+.2f} [{part.interval[0]:+.2f}, {part.interval[1]:+.2f}]"
        for part in parts
        if part is not None and part.interval is not None
    ]
    return (
        "Age changes little: in % of the intracranial volume a decade, with 95 % intervals, "
        f"{', '.join(told)}; published is about +2 for fluid."
    )


def _mass(found: dict[str, Row]) -> str:
    near = found.get("local size around a mass/0 to 5 mm")
    if near is None:
        return ""
    return (
        f"Tissue within 5 mm of a mass is {near.value:.2f} times its usual size; where something grows in a closed "
        "skull it should be squeezed."
    )


def _shading(found: dict[str, Row]) -> str:
    told = []
    for site, scanner in SCANNERS.items():
        row = found.get(f"shading of white matter/site {site}")
        if row is not None:
            told.append(f"{site} {row.value:.1f} of {100 * scanner.bias:.0f} %")
    return f"Bias fields are weaker inside the head than their nominal strength: {', '.join(told)}." if told else ""


def _donors(donors: pd.DataFrame) -> str:
    names = [name for name in VOLUMES if f"volume/{name}" in donors]
    means = {name: float(donors[f"volume/{name}"].mean()) for name in names}
    outside = [name for name in names if verdict(means[name], VOLUMES[name].low, VOLUMES[name].high) != "within"]
    return (
        "References fall short too: by the same code, the mean of the six real donors misses the published range of "
        f"{len(outside)} of {len(names)} structures ({', '.join(name.replace('-', ' ') for name in outside)})."
    )
