"""The realism page: every figure with its rows and verdicts, what falls short, the sources; one file, no network."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from toposlearn.explore.html_page import figure_element, html_page
from toposlearn.studies.realism.image_figures import ordered, short
from toposlearn.studies.realism.published import SOURCES
from toposlearn.studies.realism.row import NOT_JUDGED, Row

RESOLUTION = (
    "<p>Voxel size: width of the edge between white matter and fluid, both in mm, right–left × front–back × "
    "up–down. Thick slices show as a wider edge along one axis; a dash where the two are too alike to tell.</p>"
)


@dataclass(frozen=True)
class Section:
    """A part of the page: figures with captions, and the groups of rows that belong to them."""

    title: str
    text: str
    figures: tuple[tuple[str, str], ...] = ()  # name, caption
    groups: tuple[str, ...] = ()  # beginnings of the names of groups


SECTIONS = (
    Section(
        "Side by side",
        "Real T1 templates are averages of many people, so they are smoother than any scan.",
        (
            (
                "templates",
                "Left: three real templates. Right: simulated people, turned upright but not scaled. Look for the size "
                "of the heads, the contrast between gray and white matter, and tissue without texture.",
            ),
            (
                "scans",
                "All scans of a few people, one axial slice through the lesion (outlined in the first column), each "
                "scan on the grid of the truth with its own voxels: thick slices show as blocks.",
            ),
        ),
    ),
    Section(
        "Contrast between tissues",
        "Mean brightness of voxels that hold one tissue only, over that of white matter. For T1w there are real images "
        "to compare with; for diffusion, published values; for the rest only the order of tissues is judged.",
        (
            ("contrast", "Each dot is a scan. Gray: the range of the three templates, measured by the same code."),
            ("brightness", "Brightness of all voxels of the head, the mean over people, by site."),
        ),
        ("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR", "PDw", "dwi", "ADC", "order"),
    ),
    Section(
        "Noise, shading, texture",
        "Noise is taken from air where there is any that was not set to zero, else from what is left in white matter "
        "after the mean of six neighbors is taken off. Shading is the slow change of brightness in white matter; "
        "texture what lies between 2 and 8 mm, less what noise explains. Published ratios of signal to noise hold for "
        "other voxel sizes and coils, and T1w there is an MP2RAGE: a wide range, and no more.",
        (
            (
                "noise",
                "Left: signal to noise by modality and site; gray: published at 3 T. Middle: shading; gray: templates, "
                "whose shading was corrected. Right: texture.",
            ),
        ),
        ("signal to noise", "shading", "texture"),
    ),
    Section(
        "Volumes",
        "Healthy people, as published values are of healthy adults; sizes of heads from everybody. Some sources "
        "disagree by more than people do, because they draw a structure's border elsewhere.",
        (
            (
                "volumes",
                "Each dot is a person. Left: as they are. Right: with every brain scaled to the published mean, so "
                "that only proportions are left. Donors have gray matter labels only.",
            ),
            ("spread", "How much proportions differ between people: simulated and real."),
        ),
        ("size", "volume", "spread"),
    ),
    Section(
        "The map to the template",
        "Local size is one over the Jacobian determinant of the map from a person to the template: 2 means twice the "
        "template's volume.",
        (
            (
                "local size",
                "Left: a line for each person. Middle: the median of each tissue, over the person's own median. "
                "Right: around a mass, a line a person, black the mean.",
            ),
        ),
        ("map", "local size", "one brain", "aging"),
    ),
)


def page_of(
    title: str,
    lead: str,
    rows: Sequence[Row],
    figures: Mapping[str, Figure],
    images: pd.DataFrame,
    missing: Iterable[str],
) -> str:
    """The page as HTML.

    Args:
        title: of the page.
        lead: what was measured, in one sentence.
        rows: of `image_rows` and `shape_rows`.
        figures: name -> figure, closed here; those of `SECTIONS` that are not there are left out.
        images: a row a scan, of `measure_folder`, for the table of voxel sizes.
        missing: sentences on where it falls short.
    """
    sources = _sources(rows)
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(lead)}</p>", _summary(rows)]
    for section in SECTIONS:
        parts.append(f"<h2>{section.title}</h2>\n<p>{section.text}</p>")
        parts += [figure_element(figures[name], caption) for name, caption in section.figures if name in figures]
        parts.append(_table([row for row in rows if row.group.startswith(section.groups or ("–",))], sources))
    parts += ["<h2>Resolution</h2>", RESOLUTION, _voxels(images)]
    parts.append("<h2>Where it falls short</h2>\n<ul>")
    parts += [f"<li>{html.escape(sentence)}</li>" for sentence in missing]
    parts.append("</ul>\n<h2>Sources</h2>\n<ol>")
    parts += [f'<li id="{key}">{html.escape(SOURCES[key])}.</li>' for key in sources]
    body = "\n".join([*parts, "</ol>"])
    return html_page(title, body)


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows lie ``within`` their reference, how many ``outside``, how many are ``undecided``."""
    said = [row.verdict for row in rows if row.verdict not in (NOT_JUDGED, "not measured")]
    outside, undecided = (sum(one.startswith(kind) for one in said) for kind in ("outside", "undecided"))
    return {"within": len(said) - outside - undecided, "outside": outside, "undecided": undecided}


def _summary(rows: Sequence[Row]) -> str:
    found = counts(rows)
    missed = [row for row in rows if row.verdict.startswith("outside")]
    items = "".join(f"<li>{html.escape(f'{row.group}: {row.name}: {row.verdict[9:]}')}</li>" for row in missed)
    return (
        f"<p><strong>Of {sum(found.values())} numbers with a reference, <span class=good>{found['within']} lie within "
        f"it</span>, <span class=bad>{found['outside']} outside</span></strong>; {found['undecided']} are undecided, "
        "because their 95 % interval crosses an end of the range. Within says that the mean over people lies in the "
        "range; it does not say that people look real.</p>\n"
        f"<details><summary>What lies outside</summary><ul>{items}</ul></details>"
    )


def _table(rows: Sequence[Row], sources: Sequence[str]) -> str:
    if not rows:
        return ""
    head = ("what", "mean", "95 % interval", "5th to 95th of people", "n", "reference", "verdict")
    lines = ["<table><tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            unit = f" ({row.unit})" if row.unit else ""
            lines.append(f'<tr><th colspan="7">{html.escape(group + unit)}</th></tr>')
        lines.append(_line(row, sources))
    return "\n".join([*lines, "</table>"])


def _line(row: Row, sources: Sequence[str]) -> str:
    kinds = {"outside": "bad", "undecided": "open", NOT_JUDGED: "open", "not measured": "open"}
    kind = next((color for start, color in kinds.items() if row.verdict.startswith(start)), "good")
    spans = [f"{number(part[0])} to {number(part[1])}" if part else "–" for part in (row.interval, row.people)]
    links = "".join(f' <a href="#{key}">[{sources.index(key) + 1}]</a>' for key in row.sources if key in sources)
    cells = [f"<td>{html.escape(row.name)}</td>", f'<td class="n">{number(row.value)}</td>']
    cells += [f'<td class="n">{text}</td>' for text in (*spans, str(row.n))]
    cells += [f"<td>{html.escape(row.reference or '–')}{links}</td>"]
    return f'<tr>{"".join(cells)}<td class="{kind}">{html.escape(row.verdict)}</td></tr>'


def number(value: float) -> str:
    """Three digits, no exponent, a true minus sign."""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return ("0" if text in ("0", "-0") or "e-" in text else text).replace("-", "−")


def _voxels(images: pd.DataFrame) -> str:
    sites = sorted(set(images["site"].astype(str)))
    lines = ["<table><tr><th></th>" + "".join(f"<th>{html.escape(site)}</th>" for site in sites) + "</tr>"]
    for modality in ordered(images["modality"]):
        cells = [f"<td>{html.escape(short(modality))}</td>"]
        for site in sites:
            table = images[(images["modality"] == modality) & (images["site"] == site)]
            edges = " × ".join(f"{table[f'edge/{axis}'].median():.1f}" for axis in range(3)).replace("nan", "–")
            cells.append(f"<td>{table['voxel'].iloc[0]}: {edges}</td>" if len(table) else "<td>–</td>")
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join([*lines, "</table>"])


def _sources(rows: Iterable[Row]) -> list[str]:
    used = {key for row in rows for key in row.sources}
    return [key for key in SOURCES if key in used]
