"""The first page of the book: what the course is, the way through it, and what each notebook took on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import nbformat

from toposlearn.course.run import NotebookRun

INTRODUCTION = """\
# Who is next to whom?

Anatomy keeps most of its spatial relations from person to person: in each of the six real people of notebook 02 the
thalamus lies medial to the putamen, whatever the size of the head. The method of this course, TACO (*Beyond
Instance-Level Self-Supervision in 3D Multi-Modal Medical Imaging*, ICML 2026), turns that into a training signal:
neighborhoods of tokens must agree between the modalities of one person, and, where tokens correspond, between two
people.

Each notebook answers one question, on real anatomy and on simulated people in whom the truth is known. This book shows
the notebooks as they ran on this machine; the claims of the paper, each as a measurement, are on
[one page of results](results.md).
"""


@dataclass(frozen=True)
class Way:
    """A way through the course: the numbers of its notebooks, and whom it suits."""

    who: str
    why: str
    numbers: tuple[str, ...]


WAYS = (
    Way(
        "A student in a course",
        "Everything in order, with the exercises. `toposlearn course` writes copies without the solutions.",
        tuple(f"{number:02d}" for number in range(15)),
    ),
    Way(
        "A new member of the lab",
        "The two losses, one training, what it is worth. The rest when a question leads there.",
        ("00", "03", "04", "06", "07", "09"),
    ),
    Way(
        "A researcher with own scans",
        "Point the parameter `DATA` at your folder, check it in 01, train in 06, judge the result in the last ones.",
        ("00", "01", "06", "07", "08", "09", "10"),
    ),
)


def index_page(notebooks: Sequence[tuple[NotebookRun, nbformat.NotebookNode | None]]) -> str:
    """The index in MyST Markdown.

    Args:
        notebooks: in the course's order, each run with its executed notebook; None where there is no copy to show.
    """
    runs = [run for run, _ in notebooks]
    shown = [run for run, notebook in notebooks if notebook is not None]
    parts = [INTRODUCTION, _state(runs), "## Three ways through", *_ways(shown), "## The notebooks in order"]
    parts += [_step(run, notebook) for run, notebook in notebooks]
    parts += ["## What it took", time_table(runs), _environments(runs), _contents(shown)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _state(runs: Sequence[NotebookRun]) -> str:
    failed = [run for run in runs if not run.ok]
    if not failed:
        return ""
    lines = [f"* [{run.title}](#{anchor(run)}): `{_code(run.error)}`" for run in failed]
    return (
        f"```{{error}}\n{len(failed)} of {len(runs)} notebooks stopped before their end.\n\n"
        + "\n".join(lines)
        + "\n```"
    )


def _ways(shown: Sequence[NotebookRun]) -> Iterable[str]:
    for way in WAYS:
        steps = [_link(run, run.name[:2]) for run in shown if run.name[:2] in way.numbers]
        path = " → ".join(steps) or "None of its notebooks was run yet."
        yield f"````{{container}} way\n**{way.who}.** {way.why}\n\n{path}\n````"


def _step(run: NotebookRun, notebook: nbformat.NotebookNode | None) -> str:
    learned, needed = goals(notebook) if notebook is not None else ([], "")
    took = f"{duration(run.seconds)} · {memory(run.peak_memory_bytes)}"
    title = run.title if notebook is None else _link(run, run.title)
    lines = [f"````{{container}} {'step' if run.ok else 'step failed'}", f"({anchor(run)})=\n{run.name[:2]} · {title}"]
    lines.append(f"**{run.question}** <span class='took'>{took}</span>")
    if not run.ok:
        lines.append(f"<span class='failed'>failed</span> `{_code(run.error)}`")
    if learned:
        lines.append("Afterwards you can\n\n" + "\n".join(f"* {goal}" for goal in learned))
    lines.append(needed)
    return "\n\n".join(line for line in lines if line) + "\n````"


def goals(notebook: nbformat.NotebookNode) -> tuple[list[str], str]:
    """What a notebook's opening says one will learn, and its sentence on what one needs; empty where it is silent."""
    text = next((cell.source for cell in notebook.cells if re.search(r"^# ", cell.source, re.MULTILINE)), "")
    learned = re.findall(r"^\* (.+(?:\n {2,}.+)*)", text.partition("You will learn to")[2], re.MULTILINE)
    need = re.search(r"^You need (?:.|\n)+?\.(?=\s|$)", text, re.MULTILINE)
    return [" ".join(goal.split()) for goal in learned], " ".join(need.group().split()) if need else ""


def time_table(runs: Sequence[NotebookRun]) -> str:
    """Measured time and peak memory of each notebook, and of all."""
    lines = ["| notebook | | time | peak memory |", "|---|---|---:|---:|"]
    for run in runs:
        state = "" if run.ok else "<span class='failed'>failed</span>"
        lines.append(f"| {run.title} | {state} | {duration(run.seconds)} | {memory(run.peak_memory_bytes)} |")
    total, peak = sum(run.seconds for run in runs), max((run.peak_memory_bytes for run in runs), default=0)
    return "\n".join([*lines, f"| **all** | | **{duration(total)}** | **{memory(peak)}** |"])


def _environments(runs: Sequence[NotebookRun]) -> str:
    return "\n\n".join(f"Measured with {line}." for line in sorted({run.environment for run in runs}) if line)


def _contents(shown: Sequence[NotebookRun]) -> str:
    """The table of contents for the side bar."""
    chapters = "\n".join(f"{run.name[:2]} · {run.title} <{run.name}>" for run in shown)
    return (
        f"```{{toctree}}\n:hidden:\n:caption: Notebooks\n\n{chapters}\n```\n\n"
        "```{toctree}\n:hidden:\n:caption: Results\n\nresults\n```"
    )


def anchor(run: NotebookRun) -> str:
    """The name of a notebook's place on the index page."""
    return f"step-{run.name.replace('_', '-').lower()}"


def _link(run: NotebookRun, text: str) -> str:
    return f"[{text}]({run.name}.ipynb)"


def _code(text: str | None) -> str:
    return (text or "").replace("`", "'")


def duration(seconds: float) -> str:
    """Seconds in words: whole seconds below a minute and a half, else minutes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def memory(size: int) -> str:
    """Bytes in words: MB below one GB, else GB (powers of ten)."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
