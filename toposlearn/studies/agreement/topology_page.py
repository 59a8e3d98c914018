"""What `toposlearn topology` found as one page: how alike people are, what they dispute, and each one's graph."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from toposlearn.anatomy import structure
from toposlearn.explore.html_page import figure_element, html_page
from toposlearn.explore.structures import STRUCTURE_COLORS, plot_people, plot_shared_graph
from toposlearn.relations.consistency import BASAL_GANGLIA, fraction_interval, medial_table
from toposlearn.relations.frame import SIDES
from toposlearn.relations.graphs import adjacency_graph, nearest_graph, shared_edges
from toposlearn.relations.relations import UNDECIDED
from toposlearn.reproducibility import atomic_path
from toposlearn.studies.agreement.graph_pictures import plot_graph_over_anatomy
from toposlearn.studies.agreement.relations import plot_agreement, plot_margins
from toposlearn.studies.agreement.study import NEIGHBORS, SHOWN, Study

MOST_ROWS = 40
MOST_IN_A_PICTURE = 45  # structures of the graph of all people; more cannot be told apart


def write_topology_page(study: Study, file: Path) -> Path:
    """Write the page: one HTML file that needs nothing else."""
    title = f"Topology of {len(study.subjects)} people"
    parts = [f"<h1>{title}</h1>", *_subjects(study), *_agreement(study), *_example(study)]
    parts += [*_relations(study), *_graphs(study), _files()]
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as partial:
        partial.write_text(html_page(title, "\n".join(parts)))
    return file


def _subjects(study: Study) -> Iterator[str]:
    """Who is in, who is not, and what was left out of their label maps."""
    yield f"<p>{len(study.subjects)} people, {len(study.shared)} structures that all of them have.</p>"
    pitch = [name for name, subject in study.subjects.items() if subject.scanner_pitch]
    if pitch:
        who = escape(", ".join(pitch))
        yield f"<p class=open>Too few known structures, so front and top are the scanner's: {who}.</p>"
    if study.doubtful:
        yield "<p class=open>Measured, but look again:</p><ul>"
        yield "".join(f"<li><b>{escape(name)}</b>: {why}</li>" for name, why in study.doubtful.items()) + "</ul>"
    if study.failed:
        yield "<p class=bad>Left out:</p><ul>"
        yield "".join(f"<li><b>{escape(name)}</b>: {escape(why)}</li>" for name, why in study.failed.items()) + "</ul>"
    if study.unknown:
        yield "<details><summary>Labels that the table does not name, taken as background</summary><ul>"
        for name, voxels in study.unknown.items():
            told = ", ".join(f"{label} ({count} voxels)" for label, count in voxels.items())
            yield f"<li>{escape(name)}: {told}</li>"
        yield "</ul></details>"


def _agreement(study: Study) -> Iterator[str]:
    if study.agreement is None:
        yield "<p class=open>One person, or next to no structures in common: there is nothing to compare.</p>"
        return
    score = study.agreement.set_index("measure").loc["relations"]
    interval = f" [{score['low']:.2f}, {score['high']:.2f}]" if pd.notna(score["low"]) else ""
    yield "<h2>How alike are they?</h2>"
    yield (
        f"<p>Consistency score <b>{score['value']:.2f}</b>{interval}: relations that two people decide alike, less "
        "those they decide oppositely, among those that either decides. With names shuffled within a side it is "
        f"{score['null']:.2f} (95th percentile {score['null_high']:.2f}). A margin of less than {UNDECIDED:.0%} of the "
        "brain's size decides nothing.</p>"
    )
    caption = "Agreement of two people with its interval, beside the same of people whose structures swapped names."
    yield figure_element(plot_agreement(study.agreement), caption)


def _example(study: Study) -> Iterator[str]:
    """The paper's example, where the structures are there to answer it."""
    wanted = {structure(name, side).full_name for name in ("thalamus", *BASAL_GANGLIA) for side in SIDES}
    answering = {
        name: subject
        for name, subject in study.subjects.items()
        if wanted <= {each.full_name for each in subject.structures}
    }
    if not answering:
        return
    yield "<h2>Is the thalamus medial to the basal ganglia?</h2>"
    shown = dict(list(answering.items())[:SHOWN])
    more = f" The first {SHOWN} of {len(answering)} people." * (len(shown) < len(answering))
    yield figure_element(
        plot_margins(medial_table(shown)),
        f"Right of zero it is, in the gray band it is not; gray marks: undecided.{more}",
    )


def _relations(study: Study) -> Iterator[str]:
    yield "<h2>Which relations hold?</h2>"
    yield _table(_counts(study))
    count = len(study.subjects)
    low = fraction_interval(count, count)[0]
    yield (
        f"<p>Even a relation that holds in {count} of {count} people may, by the exact 95 % "
        f"interval, hold in as few as {low:.0%} of all. Every relation is in <code>consistency.csv</code>.</p>"
    )
    if len(study.disputed):
        more = f", the first {MOST_ROWS}" * (len(study.disputed) > MOST_ROWS)
        yield f"<h2>What they dispute</h2><p>{len(study.disputed)} relations hold in some and not in others{more}:</p>"
        yield _table(_disputes(study.disputed.head(MOST_ROWS)))


def _counts(study: Study) -> pd.DataFrame:
    """A row a relation: of the pairs that everybody has, each counted once, how many are decided, disputed, open."""
    ends = study.consistency[["structure_a", "side_a", "structure_b", "side_b"]].itertuples(index=False, name=None)
    once = np.array([end[:2] < end[2:] for end in ends], dtype=bool)
    rows = study.consistency[once & (study.consistency["people"] == len(study.subjects))]
    most, fewest = (rows[["clearly_holds", "clearly_not"]].agg(how, axis=1) for how in ("max", "min"))
    told = {"pairs": 1, "all decide alike": most == len(study.subjects), "some disagree": fewest > 0}
    table = pd.DataFrame(told, index=rows.index).groupby(rows["relation"], sort=False).sum()
    table["undecided in someone"] = table["pairs"] - table["all decide alike"] - table["some disagree"]
    return table.reset_index()


def _disputes(disputed: pd.DataFrame) -> pd.DataFrame:
    sides = disputed["side_a"].where(disputed["side_a"] != "midline", disputed["side_b"])
    told = disputed["structure_a"] + " " + disputed["relation"] + " to " + disputed["structure_b"] + ", " + sides
    unit = disputed["relation"].map(lambda relation: "mm²" if relation == "adjacent" else "mm")
    spread = disputed["spread"].round(1).astype(str) + " " + unit
    who = disputed[["holds", "does not hold", "undecided"]]
    return pd.concat([told.rename("relation"), who, spread.rename("margins apart")], axis=1)


def _graphs(study: Study) -> Iterator[str]:
    yield "<h2>Who is next to whom</h2>"
    if len(study.subjects) > 1 and NEIGHBORS < len(study.shared) <= MOST_IN_A_PICTURE:
        subjects = list(study.subjects.values())
        graphs = [nearest_graph(subject, NEIGHBORS) for subject in subjects]
        caption = f"The {NEIGHBORS} nearest of each structure, all people in one picture, from above."
        yield figure_element(plot_shared_graph(subjects, shared_edges(graphs)), caption)
    for name, head in study.heads.items():
        caption = f"{name}: who touches whom; wider lines for larger boundaries (thirds)."
        yield figure_element(
            plot_graph_over_anatomy(head, study.subjects[name], adjacency_graph(study.subjects[name])), caption
        )
    if any(each.name in STRUCTURE_COLORS for head in study.heads.values() for each in head.structures.values()):
        yield figure_element(plot_people(study.heads, tuple(STRUCTURE_COLORS)), "A slice from ear to ear of each head.")


def _files() -> str:
    return (
        "<h2>Files</h2><ul><li><code>relations.csv</code>: every relation of every pair, person by person; "
        "<code>distances.csv</code>: centroids, boundaries, ranks</li><li><code>consistency.csv</code>, "
        "<code>disputed.csv</code>, <code>agreement.csv</code></li><li><code>graphs/</code>: each person's graphs as "
        "GraphML, for Gephi, yEd, Cytoscape or networkx</li></ul>"
    )


def _table(table: pd.DataFrame) -> str:
    return str(table.to_html(index=False, border=0))
