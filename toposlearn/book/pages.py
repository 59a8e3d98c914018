"""Pages on what was measured: every claim with its status, and Markdown with numbers from the shipped result files.

The files of ``pages/``, in the order of ``pages/contents.txt``, are Jinja templates that call `PageFunctions`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from docutils.nodes import make_id
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from toposlearn.book.claims import ClaimStatus, Result, compare, draw_comparisons, load_claims
from toposlearn.course.notebooks import one_line
from toposlearn.reproducibility import write_text

ABLATION, MATCHERS = "checkpoints/lab/results.json", "checkpoints/lab/matchers.json"
EVALUATION, PAIRING = "checkpoints/lab/evaluation.json", "checkpoints/lab/pairing.json"
MALF, LANDMARKS = "checkpoints/real/malf_topology.json", "checkpoints/real/landmarks_topology.json"
Report = Callable[[str], object]  # receives each line that says what was done
FILES = {
    "results": ABLATION,
    "matchers": MATCHERS,
    "pairing": PAIRING,
    "evaluation": EVALUATION,
    "malf": MALF,
    "landmarks": LANDMARKS,
}
FOLDER = Path(__file__).parent


def duration(seconds: float) -> str:
    """Whole seconds below a minute and a half, else minutes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def memory(size: int) -> str:
    """Bytes in MB below one GB, else in GB (powers of ten)."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def three_digits(value: object) -> str:
    """Three significant digits, four decimals below 0.001, a true minus sign; a dash for None or undefined."""
    if not isinstance(value, (int, float)):
        return "–"
    text = f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.4f}"
    return text.replace("-", "−")


TEMPLATES = Environment(
    loader=FileSystemLoader([FOLDER / "templates", FOLDER / "pages"]),
    undefined=StrictUndefined,
    autoescape=lambda name: (name or "").endswith(".html.j2"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {"anchor": make_id, "duration": duration, "memory": memory, "three_digits": three_digits}


def read_result(path: Path) -> Result:
    """Content of a result file; ValueError where it is not JSON or has no metrics."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a result file: {one_line(str(error))}") from error
    if not isinstance(content, dict) or not isinstance(content.get("metrics"), dict):
        raise ValueError(f"{path} is not a result file: it has no metrics")
    return content


def write_results_page(sources: Path, results: Path, root: Path) -> Path:
    """Write ``results.md``, its figure, and copies of result files (of `results` and below `root`), to `sources`."""
    claims, copies = load_claims(), sources / "data"
    paths = {path.name: path for path in sorted(results.glob("*.json"))}
    shipped = {file: root / file for claim in claims for file in claim.files if "/" in file}
    paths |= {file: path for file, path in shipped.items() if path.exists()}
    copies.mkdir(parents=True, exist_ok=True)
    for path in paths.values():
        shutil.copy(path, copies / path.name)
    files = {name: read_result(path) for name, path in paths.items()}
    assessed = [ClaimStatus(each, tuple(compare(one, files.get(one.file)) for one in each.evidence)) for each in claims]
    figure, tables = draw_comparisons(assessed, sources / "claims.svg"), _tables(files, copies)
    page = TEMPLATES.get_template("results.md.j2").render(claims=assessed, files=files, figure=figure, tables=tables)
    return write_text(sources / "results.md", page)


def _tables(files: Mapping[str, Result], copies: Path) -> dict[str, str]:
    """Heading -> the full table behind the claims."""
    from toposlearn.studies.ablation.tables import matchers_section, result_section
    from toposlearn.studies.pairing.tables import pairing_section
    from toposlearn.studies.tasks.summary import evaluation_tables

    tables = {
        "Every variant and control: correspondence": (ABLATION, result_section),
        "Every matcher, and the topology of the tokens trained with it": (MATCHERS, matchers_section),
        "People with one modality: with and without the inter term": (PAIRING, pairing_section),
        "Every variant and control: tasks": (EVALUATION, lambda _: evaluation_tables(copies / Path(EVALUATION).name)),
    }
    return {heading: table(files[file]) for heading, (file, table) in tables.items() if file in files}


def write_pages(sources: Path, root: Path, report: Report = print) -> list[str]:
    """Write the Markdown pages to `sources`; return their names. A page that lacks its result file is reported."""
    written = []
    for name in (FOLDER / "pages/contents.txt").read_text(encoding="utf-8").split():
        try:
            text = render_page(name, PageFunctions(sources, root))
        except FileNotFoundError as error:
            report(f"Page {name} is left out: {Path(error.filename).relative_to(root)} does not exist")
            continue
        write_text(sources / f"{name}.md", text)
        written.append(name)
    return written


def render_page(name: str, functions: PageFunctions) -> str:
    """Markdown of the page ``pages/NAME.md``; ValueError for an error of the page, or a number that does not exist."""
    names = [each for each in vars(PageFunctions) if not each.startswith("_")]
    try:
        return TEMPLATES.get_template(f"{name}.md").render({each: getattr(functions, each) for each in names})
    except (KeyError, TemplateError, ValueError) as error:
        raise ValueError(f"pages/{name}.md: {error}") from error


@dataclass(frozen=True)
class PageFunctions:
    """What pages can call. A result file has a name of `FILES`."""

    sources: Path
    root: Path

    def value(self, file: str, name: str, digits: int = 1, unit: str = "", *, sign: str = "") -> str:
        """A metric with its 95 % interval: ``24.7 [22.1, 27.5]``, or with a unit ``24.7 mm [22.1, 27.5]``."""
        value, low, high = (f"{self._part(file, name, part):{sign}z.{digits}f}" for part in ("value", "low", "high"))
        return f"{value}{' ' if unit else ''}{unit} [{low}, {high}]".replace("-", "−")

    def difference(self, file: str, name: str, digits: int = 1, unit: str = "") -> str:
        """The same with signs: ``+1.6 [+0.8, +2.4]``."""
        return self.value(file, name, digits, unit, sign="+")

    def number(
        self, file: str, name: str, digits: int = 1, minus: str = "", part: str = "value", scale: int = 1
    ) -> str:
        """A number of a metric (`part`, such as ``null`` or ``n``), less that of the metric `minus`, times `scale`."""
        value = self._part(file, name, part) - (self._part(file, minus, part) if minus else 0.0)
        return f"{value * scale:z.{digits}f}".replace("-", "−")

    def results_table(self) -> str:
        """Every variant and control of the ablation."""
        from toposlearn.studies.ablation.tables import result_section

        return result_section(read_result(self.root / ABLATION))

    def presets_table(self) -> str:
        """The presets as `toposlearn config` shows them."""
        from toposlearn.models import preset_table

        return preset_table()

    def figure(self, path: str, alt: str, caption: str = "") -> str:
        """A figure of the repository, copied into the book; empty where the file does not exist."""
        if not (self.root / path).exists():
            return ""
        copy = self.sources / "figures" / path.replace("/", "_")
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(self.root / path, copy)
        return f"```{{figure}} figures/{copy.name}\n:alt: {alt}\n:width: 100%\n\n{caption}\n```"

    def _part(self, file: str, name: str, part: str) -> float:
        metric = read_result(self.root / FILES[file])["metrics"].get(name, {})
        if part not in metric:
            raise ValueError(f"{FILES[file]} has no {part} of {name!r}")
        return float(metric[part])
