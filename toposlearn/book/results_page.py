"""The page of results: every claim with its status, numbers, command and file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from toposlearn.book.claims import Claim, ClaimStatus, Result, compare, load_claims
from toposlearn.book.claims_figure import draw_comparisons
from toposlearn.book.templates import TEMPLATES
from toposlearn.course.notebooks import one_line

ABLATION, MATCHERS = "checkpoints/lab/results.json", "checkpoints/lab/matchers.json"
EVALUATION = "checkpoints/lab/evaluation.json"


def write_results_page(sources: Path, results: Path, root: Path) -> Path:
    """Write ``results.md``, its figure, and copies of the result files, into the sources of the book.

    Args:
        sources: folder of the book's sources.
        results: folder of the notebooks' result files.
        root: folder of the paths such as ``checkpoints/lab/results.json``.
    """
    claims = load_claims()
    files = _copy_results(sources / "data", results, root, claims)
    assessed = [
        ClaimStatus(each, tuple(compare(one, files.get(each.file)) for one in each.evidence)) for each in claims
    ]
    page = TEMPLATES.get_template("results.md.j2").render(
        claims=assessed,
        files=files,
        figure=draw_comparisons(assessed, sources / "claims.svg"),
        tables=_tables(files, sources / "data"),
    )
    path = sources / "results.md"
    path.write_text(page, encoding="utf-8")
    return path


def read_result(path: Path) -> Result:
    """Content of a result file.

    Raises:
        ValueError: not JSON, or without metrics.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a result file: {one_line(str(error))}") from error
    if not isinstance(content, dict) or not isinstance(content.get("metrics"), dict):
        raise ValueError(f"{path} is not a result file: it has no metrics")
    return content


def _copy_results(copies: Path, results: Path, root: Path, claims: Sequence[Claim]) -> dict[str, Result]:
    """Name -> content of every result file that exists; each is copied into the book."""
    paths = {path.name: path for path in sorted(results.glob("*.json"))}
    paths |= {claim.file: root / claim.file for claim in claims if "/" in claim.file and (root / claim.file).exists()}
    copies.mkdir(parents=True, exist_ok=True)
    for path in paths.values():
        shutil.copy(path, copies / path.name)
    return {name: read_result(path) for name, path in paths.items()}


def _tables(files: Mapping[str, Result], copies: Path) -> dict[str, str]:
    """Heading -> the full table behind the claims."""
    from toposlearn.studies.ablation.tables import matchers_section, result_section
    from toposlearn.studies.tasks.summary import evaluation_tables

    tables = {}
    if ABLATION in files:
        tables["Every variant and control: correspondence"] = result_section(files[ABLATION])
    if MATCHERS in files:
        tables["Every matcher, and the topology of the tokens trained with it"] = matchers_section(files[MATCHERS])
    if EVALUATION in files:
        tables["Every variant and control: tasks"] = evaluation_tables(copies / Path(EVALUATION).name)
    return tables
