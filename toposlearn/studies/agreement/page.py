"""The page of `toposlearn topology`: how alike people are, which relations they dispute, and each person's graph."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from toposlearn.anatomy import structure
from toposlearn.explore.html_page import figure_element, html_page
from toposlearn.explore.slices import STRUCTURE_COLORS
from toposlearn.explore.structures import plot_people, plot_shared_graph
from toposlearn.relations.agreement import BASAL_GANGLIA, PAIR, fraction_interval, medial_table
from toposlearn.relations.frame import SIDES
from toposlearn.relations.graphs import adjacency_graph, nearest_graph, shared_edges
from toposlearn.relations.relations import UNDECIDED
from toposlearn.reproducibility import write_text
from toposlearn.studies.agreement.figures import plot_agreement, plot_graph_over_anatomy, plot_margins
from toposlearn.studies.agreement.people import NEIGHBORS
from toposlearn.studies.agreement.study import SHOWN, Study

MAX_ROWS = 40
MAX_IN_A_PICTURE = 45  # structures; more cannot be distinguished: no graph of all people, and of one person only


def write_topology_page(study: Study, file: Path) -> Path:
    """Write the page: one HTML file that needs nothing else."""
    environment = Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    count = len(study.subjects)
    template = Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")
    body = environment.from_string(template).render(
        study=study,
        figures=_figures(study),
        figure=figure_element,
        scanner_pitch=[name for name, subject in study.subjects.items() if subject.scanner_pitch],
        score=None if study.agreement is None else study.agreement.set_index("measure").loc["relations"],
        counts=_counts(study),
        disputed=_disputes(study.disputed.head(MAX_ROWS), count),
        lowest=fraction_interval(count, count)[0],
        undecided=UNDECIDED,
        k=NEIGHBORS,
        max_rows=MAX_ROWS,
    )
    return write_text(file, html_page(f"Topology of {count} people", body))


def _figures(study: Study) -> dict[str, Any]:
    """Figures of the page by name; a figure for which structures or people are missing is None."""
    figures: dict[str, Any] = dict.fromkeys(("agreement", "margins", "graph", "slices"))
    if study.agreement is not None:
        figures["agreement"] = plot_agreement(study.agreement)
    wanted = {structure(name, side).full_name for name in ("thalamus", *BASAL_GANGLIA) for side in SIDES}
    has = {name: {each.full_name for each in subject.structures} for name, subject in study.subjects.items()}
    if complete := [name for name, names in has.items() if wanted <= names]:
        figures["margins"] = plot_margins(medial_table({name: study.subjects[name] for name in complete}))
    if len(study.subjects) > 1 and NEIGHBORS < len(study.shared) <= MAX_IN_A_PICTURE:
        subjects = list(study.subjects.values())
        edges = shared_edges([nearest_graph(subject, NEIGHBORS) for subject in subjects])
        figures["graph"] = plot_shared_graph(subjects, edges)
    if any(each.name in STRUCTURE_COLORS for head in study.heads.values() for each in head.structures.values()):
        figures["slices"] = plot_people(study.heads, tuple(STRUCTURE_COLORS))
    drawn = len(study.heads) if len(study.shared) <= MAX_IN_A_PICTURE else 1
    figures["heads"] = {
        name: plot_graph_over_anatomy(head, adjacency_graph(study.subjects[name]))
        for name, head in list(study.heads.items())[:drawn]
    }
    return figures


def _counts(study: Study) -> pd.DataFrame:
    """One row per relation: of the pairs that all people have, each counted once, how many are decided or disputed."""
    ends = study.consistency[PAIR[:4]].itertuples(index=False, name=None)
    once = np.array([end[:2] < end[2:] for end in ends], dtype=bool)
    rows = study.consistency[once & (study.consistency["people"] == len(study.subjects))]
    most, fewest = (rows[["clearly_holds", "clearly_not"]].agg(how, axis=1) for how in ("max", "min"))
    columns = {"pairs": 1, "all decide alike": most == len(study.subjects), "some disagree": fewest > 0}
    table = pd.DataFrame(columns, index=rows.index).groupby(rows["relation"], sort=False).sum()
    table["undecided in someone"] = table["pairs"] - table["all decide alike"] - table["some disagree"]
    return table.reset_index()


def _disputes(disputed: pd.DataFrame, people: int) -> pd.DataFrame:
    sides = disputed["side_a"].where(disputed["side_a"] != "midline", disputed["side_b"])
    words = disputed["structure_a"] + " " + disputed["relation"] + " to " + disputed["structure_b"] + ", " + sides
    unit = disputed["relation"].map(lambda relation: "mm²" if relation == "adjacent" else "mm")
    spread = disputed["spread"].round(1).astype(str) + " " + unit
    names = disputed[["holds", "does not hold", "undecided"]]
    if people > SHOWN:
        names = names.apply(lambda column: column.str.count(", ") + (column != ""))
    return pd.concat([words.rename("relation"), names, spread.rename("margins apart")], axis=1)
