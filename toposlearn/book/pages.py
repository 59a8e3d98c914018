"""Pages on what was measured: Markdown in ``pages/``, with every number read from the shipped result files.

The pages are Jinja templates; `PageFunctions` lists what they can call. ``pages/contents.txt`` gives their order.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path

from jinja2 import TemplateError

from toposlearn.book.claims import Result
from toposlearn.book.results_page import ABLATION, EVALUATION, MATCHERS, read_result
from toposlearn.book.templates import FOLDER, TEMPLATES
from toposlearn.course.run import NotebookRun

FILES = {"results": ABLATION, "matchers": MATCHERS, "evaluation": EVALUATION}


def write_pages(
    sources: Path, root: Path, runs: Sequence[NotebookRun], report: Callable[[str], object] = print
) -> list[str]:
    """Write the pages into the sources of the book; return their names.

    A page is left out, and reported, when a result file that it reads does not exist.

    Args:
        sources: folder of the book's sources.
        root: folder that holds ``checkpoints/`` and ``benchmarks/``.
        runs: the runs of the notebooks, for their times.
        report: receives one line per page that is left out.

    Raises:
        ValueError: a page with an error, or with a number that its result file does not hold.
    """
    results = {name: read_result(root / path) for name, path in FILES.items() if (root / path).exists()}
    written = []
    for name in (FOLDER / "pages/contents.txt").read_text(encoding="utf-8").split():
        try:
            text = render_page(name, PageFunctions(results, sources, root, runs))
        except FileNotFoundError as error:
            report(f"Page {name} is left out: {error.filename} does not exist")
            continue
        (sources / f"{name}.md").write_text(text, encoding="utf-8")
        written.append(name)
    return written


def render_page(name: str, functions: PageFunctions) -> str:
    """Markdown of the page ``pages/NAME.md``; for its errors see `write_pages`."""
    names = [each for each in vars(PageFunctions) if not each.startswith("_")]
    try:
        return TEMPLATES.get_template(f"{name}.md").render({each: getattr(functions, each) for each in names})
    except (KeyError, TemplateError, ValueError) as error:
        raise ValueError(f"pages/{name}.md: {error}") from error


@dataclass(frozen=True)
class PageFunctions:
    """What pages can call. A result file is named ``results``, ``matchers`` or ``evaluation``."""

    results: Mapping[str, Result]
    sources: Path
    root: Path
    runs: Sequence[NotebookRun]

    def value(self, file: str, name: str, digits: int = 1, unit: str = "") -> str:
        """A metric with its 95 % interval: ``24.7 [22.1, 27.5]``, or with a unit ``24.7 mm [22.1, 27.5]``."""
        return self._with_interval(file, name, f"z.{digits}f", unit)

    def difference(self, file: str, name: str, digits: int = 1, unit: str = "") -> str:
        """The same with signs: ``+1.6 [+0.8, +2.4]``."""
        return self._with_interval(file, name, f"+z.{digits}f", unit)

    def number(
        self, file: str, name: str, digits: int = 1, minus: str = "", part: str = "value", scale: float = 1
    ) -> str:
        """A metric without its interval: ``24.7``. The value of the metric `minus` is subtracted.

        `part` can be another number of the metric, such as ``null`` or ``n``; `scale` is 100 for percent.
        """
        value = self._part(file, name, part) - (self._part(file, minus, part) if minus else 0.0)
        return f"{value * scale:z.{digits}f}".replace("-", "−")

    def results_table(self) -> str:
        """Every variant and control of the ablation."""
        from toposlearn.studies.ablation.tables import result_section

        return result_section(self._result("results"))

    def presets_table(self) -> str:
        """The presets as `toposlearn config` shows them."""
        from toposlearn.models import preset_table

        return preset_table()

    def measured_times(self) -> str:
        """Time and peak memory of each notebook of this run."""
        return TEMPLATES.get_template("times.md.j2").render(runs=self.runs)

    def figure(self, path: str, alt: str, caption: str = "") -> str:
        """A figure of the repository, copied into the book; empty where the file does not exist."""
        if not (self.root / path).exists():
            return ""
        copy = self.sources / "figures" / path.replace("/", "_")
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(self.root / path, copy)
        return f"```{{figure}} figures/{copy.name}\n:alt: {alt}\n:width: 100%\n\n{caption}\n```"

    def _result(self, file: str) -> Result:
        if file not in self.results:
            raise FileNotFoundError(ENOENT, "no such result", FILES[file])
        return self.results[file]

    def _part(self, file: str, name: str, part: str) -> float:
        metric = self._result(file)["metrics"].get(name, {})
        if part not in metric:
            raise ValueError(f"{FILES[file]} has no {part} of {name!r}")
        return float(metric[part])

    def _with_interval(self, file: str, name: str, form: str, unit: str) -> str:
        value, low, high = (f"{self._part(file, name, part):{form}}" for part in ("value", "low", "high"))
        return f"{value}{' ' if unit else ''}{unit} [{low}, {high}]".replace("-", "−")
