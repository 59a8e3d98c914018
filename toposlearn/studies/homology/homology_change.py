"""A head before and after a change: what homology says about it, and what relations say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toposlearn.anatomy import LabelMap, Structure
from toposlearn.relations.layout import Layout, layout
from toposlearn.relations.relations import relation_margin
from toposlearn.studies.homology.persistence import Diagram, diagram_distance, structure_diagram
from toposlearn.studies.homology.reshape import changed_relations


@dataclass(frozen=True, eq=False)
class Shapes:
    """One head: where its structures lie, and the persistence diagrams of some of them."""

    head: LabelMap
    layout: Layout
    diagrams: Mapping[Structure, Diagram]


def measure_shapes(head: LabelMap, parts: Sequence[Structure]) -> Shapes:
    """Lay out a head (no gaps), and follow the homology of `parts`. Needs gudhi."""
    return Shapes(head, layout(head), {part: structure_diagram(head, part) for part in parts})


def describe_change(before: Shapes, after: Shapes, a: Structure, b: Structure) -> dict[str, str]:
    """What homology and what relations say about a change, in words, by question. Homology of the parts both have."""
    parts = [part for part in before.diagrams if part in after.diagrams]
    ends = [[shapes.diagrams[part].alive() for part in parts] for shapes in (before, after)]
    apart = max(diagram_distance(before.diagrams[part], after.diagrams[part]) for part in parts)
    margins = [relation_margin(shapes.layout, a, "medial", b) for shapes in (before, after)]
    turned, relations, most = changed_relations(before.layout, after.layout)
    return {
        "Betti numbers": ", ".join(
            f"{part.name} {_triple(old)} → {_triple(new)}" for part, old, new in zip(parts, *ends, strict=True)
        ),
        "diagrams": f"{apart:.1f} mm apart",
        f"{a.name} is medial to {b.name}": f"by {margins[0]:+.1f} → {margins[1]:+.1f} mm",
        "relations": f"{turned} of {relations:,} turn over, margins move by up to {most:.2g} mm",
    }


def _triple(numbers: tuple[int, int, int]) -> str:
    return f"({', '.join(map(str, numbers))})"
