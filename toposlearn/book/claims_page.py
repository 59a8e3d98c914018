"""The one page of results: every claim with its verdict, numbers, command and file, in Markdown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from toposlearn.book.claims import Claim, Finding, Result, judge, overall, unbeaten
from toposlearn.book.claims_figure import draw_findings
from toposlearn.book.claims_list import ABLATION, CLAIMS, EVALUATION, MATCHING
from toposlearn.course.notebooks import one_line

Judged = tuple[Claim, list[Finding]]

HOW = """\
# Results: claims and measurements

Each claim is one or more numbers with a 95 % interval over people, crossed with pre-training seeds where there are
several. The verdict is computed: **holds** when every interval lies wholly on the claim's side of its reference, **does
not hold** when one lies wholly on the other side, else **undecided**; **not measured** when the numbers are not there.

A *rival* is a method that the claim does not mention and that may do as well. It decides nothing, but the verdict names
every rival than which the method is not better in all comparisons: **holds, but** not better than that rival.

Nothing here reproduces a table of the paper: networks are small, and people simulated unless a claim says otherwise.
"""
CAUTION = """\
Read a verdict with its reference. *Null*: what knowing nothing gives. *Baseline*: what the simpler method reaches. Many
intervals are compared on this page and none is widened for that: one that barely clears its reference is weak evidence.
"""
RIVAL_WORDS = {"holds": "better", "does not hold": "worse"}  # of the claim's method, beside its rival


def write_results_page(sources: Path, results: Path, root: Path, claims: Sequence[Claim] = CLAIMS) -> Path:
    """Write ``results.md``, its figure, and copies of the result files, into the sources of the book.

    Args:
        sources: folder of the book's sources.
        results: folder of the notebooks' result files.
        root: folder of the paths such as ``checkpoints/lab/results.json``.
        claims: which claims to judge.
    """
    files = _gather(sources / "data", results, root, claims)
    judged = [(claim, [judge(one, files.get(claim.file)) for one in claim.evidence]) for claim in claims]
    pairs = [(claim.title, finding) for claim, findings in judged for finding in findings]
    words = draw_findings(pairs, sources / "claims.svg")
    parts = [HOW, _summary(judged), CAUTION, _figure(words), "## Claim by claim"]
    parts += [_section(claim, findings, files.get(claim.file)) for claim, findings in judged]
    parts += [_tables(files, sources / "data"), _files(files)]
    page = sources / "results.md"
    page.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return page


def read_result(path: Path) -> Result:
    """A result file.

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


def _gather(copies: Path, results: Path, root: Path, claims: Sequence[Claim]) -> dict[str, Result]:
    """Name -> content of every result file there is, each copied into the book."""
    paths = {path.name: path for path in sorted(results.glob("*.json"))}
    paths |= {claim.file: root / claim.file for claim in claims if "/" in claim.file and (root / claim.file).exists()}
    copies.mkdir(parents=True, exist_ok=True)
    for path in paths.values():
        shutil.copy(path, copies / path.name)
    return {name: read_result(path) for name, path in paths.items()}


def _summary(judged: Iterable[Judged]) -> str:
    lines = ["| claim | verdict | numbers on its side |", "|---|---|---|"]
    for claim, findings in judged:
        deciding = [finding for finding in findings if not finding.evidence.rival]
        holding = sum(finding.verdict == "holds" for finding in deciding)
        whose = "ours: " if claim.ours else ""
        link = f"[{whose}{claim.title}](#{_anchor(claim)})"
        lines.append(f"| {link} | {_verdict_and_rivals(findings)} | {holding} of {len(deciding)} |")
    return "\n".join(lines)


def _figure(words: Sequence[str]) -> str:
    if not words:
        return ""
    description = "Each effect with its interval beside its reference. " + "; ".join(words)
    caption = (
        "Dot: effect. Line: its 95 % interval. Gray: its reference. Green holds, red does not, ocher is undecided. "
        "Open dot: against a rival, which does not decide the claim."
    )
    return f"```{{figure}} claims.svg\n:alt: {description}\n:width: 100%\n\n{caption}\n```"


def _section(claim: Claim, findings: Sequence[Finding], result: Result | None) -> str:
    lines = [
        f"({_anchor(claim)})=\n### {claim.title}",
        f"{_verdict_and_rivals(findings)}{' · a requirement of this project' if claim.ours else ''}",
        claim.sentence,
        _findings_table(findings, result),
    ]
    file = f"[`{claim.file}`](data/{Path(claim.file).name})" if result else f"`{claim.file}` (not there yet)"
    lines.append(
        f"Measured by `{claim.command}`; numbers in {file}." if result else f"`{claim.command}` writes {file}."
    )
    return "\n\n".join(lines)


def _findings_table(findings: Iterable[Finding], result: Result | None) -> str:
    seeds = len(result.get("seeds", ())) if result else 0
    lines = [
        "| what | verdict | effect | 95 % interval | null | baseline | people | seeds |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *(_finding_row(one, seeds) for one in findings)])


def _finding_row(one: Finding, seeds: int) -> str:
    rival = bool(one.evidence.rival)
    unit = one.unit if one.unit in ("mm", "Dice") else ""
    cells = [
        f"rival: {one.evidence.label}" if rival else one.evidence.label,
        _verdict(one.verdict, RIVAL_WORDS if rival else {}),
        "–" if one.value is None else f"{_number(one.value)} {unit}".strip(),
        "–" if one.low is None or one.high is None else f"{_number(one.low)} to {_number(one.high)}",
        _number(one.null),
        _number(one.baseline),
        str(one.subjects or "–"),
        str(seeds or "–") if one.value is not None else "–",
    ]
    return "| " + " | ".join(cells) + " |"


def _tables(files: Mapping[str, Result], copies: Path) -> str:
    """The full tables behind the claims: of the comparison of variants, of matchers, and of the evaluation."""
    from toposlearn.studies.ablation.table import result_section

    parts = []
    comparison = files.get(ABLATION)
    if comparison:
        parts += ["## Every variant and control: correspondence", result_section(comparison)]
    if MATCHING in files:
        from toposlearn.studies.ablation.matchers_table import matchers_section

        parts += ["## Every matcher, and the topology of what it taught", matchers_section(files[MATCHING])]
    if EVALUATION in files:
        from toposlearn.studies.tasks.evaluation_table import evaluation_tables

        parts += ["## Every variant and control: tasks", evaluation_tables(copies / Path(EVALUATION).name)]
    return "\n\n".join(parts)


def _files(files: Mapping[str, Result]) -> str:
    lines = ["## The files", "| file | made by | device | commit |", "|---|---|---|---|"]
    for name, result in files.items():
        made = [f"`{result.get('source', '–')}`", str(result.get("device", "–")), f"`{result.get('commit', '–')}`"]
        lines.append(f"| [`{name}`](data/{Path(name).name}) | " + " | ".join(made) + " |")
    return "\n".join([lines[0], "", *lines[1:]]) if files else ""


def _anchor(claim: Claim) -> str:
    return "claim-" + "-".join("".join(letter if letter.isalnum() else " " for letter in claim.title.lower()).split())


def _verdict(verdict: str, words: Mapping[str, str] | None = None) -> str:
    return f'<span class="verdict-{verdict.replace(" ", "-")}">{(words or {}).get(verdict, verdict)}</span>'


def _verdict_and_rivals(findings: Sequence[Finding]) -> str:
    """The verdict, and the rivals that are not beaten: "holds, but not better than X"."""
    verdict, rivals = overall(findings), unbeaten(findings)
    if not rivals:
        return _verdict(verdict)
    limited = verdict == "holds"
    span = _verdict("undecided", {"undecided": "holds, but"}) if limited else _verdict(verdict) + ";"
    return f"{span} not better than {'; nor than '.join(rivals)}"


def _number(value: float | None) -> str:
    """Three significant digits, no exponent for the sizes met here, a true minus sign."""
    if value is None:
        return "–"
    text = f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.4f}"
    return text.replace("-", "−")
