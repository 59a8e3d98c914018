"""Rows on images: contrast between tissues, noise, shading, texture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from toposlearn.studies.realism import published
from toposlearn.studies.realism.published import Published
from toposlearn.studies.realism.row import Row, columns, row_of


def image_rows(images: pd.DataFrame, templates: pd.DataFrame) -> Iterator[Row]:
    """All rows on images, in the order of the page; what a folder does not tell is left out.

    Args:
        images: a row a scan, of `measure_folder`.
        templates: of `measure_templates`.
    """
    yield from _contrast(images, templates)
    yield from _diffusion(images)
    yield from _order(images)
    yield from _ratios(images)
    yield from _noise(images)
    yield from _shading_and_texture(images, templates)


def sites_of(images: pd.DataFrame) -> list[str]:
    """The sites of some scans, in alphabetical order; one empty name where they have none."""
    return sorted(set(images["site"].astype(str)))


def _contrast(images: pd.DataFrame, templates: pd.DataFrame) -> Iterator[Row]:
    t1w, real = images[images["modality"] == "T1w"], columns(templates, "ratio/")
    ours = columns(t1w, "ratio/")
    for name, values in real.items():
        text = f"{values.min():.2f} to {values.max():.2f} (three templates)"
        reference = Published(float(values.min()), float(values.max()), text, ("templates",))
        yield from row_of("T1w, over white matter", name, ours.get(name, ()), "", reference)


def _order(images: pd.DataFrame) -> Iterator[Row]:
    """Who has the order of every textbook: "order only" where no number could be verified."""
    for modality, order in published.ORDER.items():
        known = images[images["modality"] == modality]["as ordered"].dropna().astype(float)
        for row in row_of("order of tissues", modality, known, "share of people"):
            said = "as known" if row.value == 1 else f"outside: wrong in {1 - row.value:.0%} of people"
            yield replace(row, reference=f"order only: {' < '.join(order)}", verdict=said)


def _ratios(images: pd.DataFrame) -> Iterator[Row]:
    """Ratios without a reference, of the modalities whose order alone is judged."""
    for modality in published.ORDER:
        table = images[images["modality"] == modality]
        for name in ("cortex", "csf", "lesion"):
            if modality not in ("T1w", "ADC"):
                yield from row_of(f"{modality}, over white matter", name, table.get(f"ratio/{name}", ()))


def _diffusion(images: pd.DataFrame) -> Iterator[Row]:
    known = images[images["modality"] == "ADC"]
    strokes = known[known["lesion_type"] == "stroke"] if len(known) else known
    for name, reference in published.ADC_TO_WHITE.items():
        table, label = (strokes, "stroke") if name == "lesion" else (known, name)
        yield from row_of("ADC, over white matter", label, table.get(f"ratio/{name}", ()), "", reference)


def _noise(images: pd.DataFrame) -> Iterator[Row]:
    if "snr" not in images:
        return
    known = images.dropna(subset=["snr"])
    for modality in [name for name in published.ORDER if name in set(known["modality"])]:
        ours = known[known["modality"] == modality]
        for site in sites_of(ours):
            name, table = f"{modality}, {site}" if site else modality, ours[ours["site"] == site]
            yield from row_of("signal to noise in white matter", name, table["snr"], "", published.SNR.get(modality))


def _shading_and_texture(images: pd.DataFrame, templates: pd.DataFrame) -> Iterator[Row]:
    for site in sites_of(images):
        values = 100 * images[images["site"] == site]["shading"]
        yield from row_of("shading of white matter", f"site {site}" if site else "all", values, "%")
    real = 100 * templates["texture"]
    text = f"{real.min():.2f} to {real.max():.2f} (templates, averages of 152)"
    yield from row_of(
        "texture of white matter",
        "T1w",
        100 * images.get("texture", pd.Series(dtype=float)),
        "%",
        Published(float(real.min()), float(real.max()), text, ("templates",)),
    )
