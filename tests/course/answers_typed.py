"""Answers as a student types them into the notebooks of the course: read from ``wrong_answers``, put into exercises."""

import ast
import functools
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from toposlearn.course.notebooks import numbered_notebooks, read_notebook, tags

ROOT = Path(__file__).parents[2]
TYPED = Path(__file__).parent / "wrong_answers"
COURSE = numbered_notebooks(ROOT / "notebooks")


@dataclass(frozen=True)
class Exercise:
    """The cells of one exercise."""

    number: str
    name: str
    stub: str
    solution: str
    check: str
    hidden: bool

    def __str__(self) -> str:
        return f"{self.number}-{self.name}"

    def cell(self, body: str) -> str:
        """The exercise cell with an answer in place of ``...``; an answer that begins with ``def`` is a whole cell."""
        if body.startswith(("def ", f"{self.name} =")):
            return body
        stub = self.stub.rstrip()
        assert stub.endswith("    ...")
        return stub.removesuffix("    ...") + textwrap.indent(body, "    ")


@dataclass(frozen=True)
class Typed:
    """One answer. `named` says that the message must name the mistake; `fragment` is part of the message."""

    exercise: Exercise
    body: str
    kind: str
    fragment: str

    @property
    def named(self) -> bool:
        return self.kind == "hint"

    def __str__(self) -> str:
        return f"{self.exercise}-{self.fragment or self.body.splitlines()[-1].strip()}"


@functools.cache
def exercises() -> tuple[Exercise, ...]:
    """Every exercise of the course, in order."""
    collected = []
    for path in COURSE:
        cells = [cell for cell in read_notebook(path).cells if {"exercise", "solution", "check"} & set(tags(cell))]
        for stub, solution, check in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
            name = ast.parse(stub.source).body[-1].name
            hidden = solution.metadata.get("jupyter", {}).get("source_hidden", False)
            collected.append(Exercise(path.name[:2], name, stub.source, solution.source, check.source, hidden))
    return tuple(collected)


@functools.cache
def imported(number: str) -> dict:
    """What the setup cell of a notebook imports."""
    (path,) = [path for path in COURSE if path.name.startswith(number)]
    cells = [cell.source for cell in read_notebook(path).cells if cell.cell_type == "code"]
    lines = [node for node in ast.parse(cells[0]).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names: dict = {}
    exec(ast.unparse(lines), names)
    return names


def typed(exercise: Exercise) -> list[Typed]:
    """The answers to an exercise in ``wrong_answers``, right ones included."""
    text = (TYPED / f"{exercise.number}_{exercise.name}.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^## (right|hint|refused)(?:: (.*))?\n((?:(?!## ).*\n)+)", text, re.MULTILINE)
    assert len(blocks) == text.count("## "), "a heading is not right, hint: ... or refused: ..."
    return [Typed(exercise, body, kind, fragment) for kind, fragment, body in blocks]


def run_cells(exercise: Exercise, *sources: str) -> str:
    """What the check says after these cells, in a fresh namespace with the imports of the notebook."""
    names = dict(imported(exercise.number))
    for source in sources:
        exec(source, names)
    return eval(exercise.check, names)
