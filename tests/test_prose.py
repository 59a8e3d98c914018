"""Numbers in the text of the notebooks: each must stand, to the digits given, in what earlier cells printed or say.

A number from elsewhere is declared in its cell, where a reader of the rendered page does not see it:
``<!-- numbers: 26.8, 31.0 from benchmarks/misregister.py -->``. The executed copies are those of the last `make run`.
"""

import re
from pathlib import Path

import nbformat
import pytest

from toposlearn.course.notebooks import numbered_notebooks, read_notebook

ROOT = Path(__file__).parents[1]
TITLE = nbformat.v4.new_markdown_cell("# Title, measured: 99 s")
WORDS = (
    *("three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"),
    *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
COUNTS = {word: str(number) for number, word in enumerate(WORDS, start=3)}
FREE = {"0", "1", "2"}  # so common in plain sentences that they say nothing
DECLARED = re.compile(r"<!--\s*numbers:(.*?)-->", re.DOTALL)
NO_PROSE = re.compile(  # code, formulas, links, comments, references, names of notebooks and of modalities
    r"<!--.*?-->|```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|\*\*References?\.\*\*.*|\[\d\d\b"
    r"|(?i:notebooks?) \d\d(?:(?:, | and | to )\d\d)*",
    re.DOTALL,
)
NUMBER = re.compile(r"(?<![\w./])(\d{1,3}(?:,\d{3})+|\d*\.\d+|\d+)(?![\w³²]|\.\d)(\s?%)?")
SHARE = r"half(?= of\b)|(?<=about )half|(?<=one )half|(?<=than )half|(?<=nearly )half|(?<=almost )half"
WORD = re.compile(rf"\b({'|'.join(WORDS)}|{SHARE})\b", re.IGNORECASE)


def unsupported_numbers(executed):
    """The numbers of text cells that neither an earlier cell nor a declaration holds: (cell, number, text around it).

    The first cell, with title, question and measured time, is left out. A percentage may be printed as a share.
    """
    known, unsupported = set(), []
    for index, cell in enumerate(executed.cells):
        if cell.cell_type == "code":
            known |= values(cell.source) | values(printed(cell))
        elif cell.cell_type == "markdown" and index > 0:
            declared = " ".join(DECLARED.findall(cell.source))
            here, words = known | values(declared), set(re.findall(r"[a-z]+", declared.lower()))
            text = " ".join(NO_PROSE.sub(" ", cell.source).split())
            for match in [*NUMBER.finditer(text), *WORD.finditer(text)]:
                if not is_supported(match, here) and match[1].lower() not in words:
                    around = text[max(0, match.start() - 40) : match.end() + 30]
                    unsupported.append((index, match[0].strip(), around))
    return unsupported


def is_supported(match, known):
    percent = match.re is NUMBER and bool(match[2])
    if match[1] in FREE and not percent:
        return True
    digits = COUNTS.get(match[1].lower(), match[1]).replace(",", "")
    if digits.lower() == "half":
        return False  # say it with a number that was printed, or declare it
    value, step = float(digits), 10.0 ** -len(digits.partition(".")[2])
    slack = step if "." in digits or percent else 1e-9  # the last digit may be another on another processor
    return any(abs(each - value) <= slack or (percent and abs(100 * each - value) <= slack) for each in known)


def values(text):
    """Every number in printed text or code, without its sign."""
    return {float(each) for each in re.findall(r"\d+\.?\d*(?:e[-+]?\d+)?|\.\d+", text.replace(",", ""))}


def printed(cell):
    """The words in the outputs of a code cell: streams, results, tables; not pictures."""
    texts = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        texts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/markdown", "")]
        texts.append(re.sub(r"<[^>]+>", " ", data.get("text/html", "")))
    return "\n".join(texts)


def raw_tables(executed):
    """Indices of the cells that print a table in Markdown, a wall of bars and dashes, instead of displaying it."""
    streams = {
        index: "\n".join(output.text for output in cell.outputs if output.output_type == "stream")
        for index, cell in enumerate(executed.cells)
        if cell.cell_type == "code"
    }
    return [index for index, text in streams.items() if re.search(r"^\| ?--", text, re.MULTILINE)]


def executed(printed, text):
    output = nbformat.v4.new_output("stream", text=printed)
    code = nbformat.v4.new_code_cell("K = 5\nprint(result)", outputs=[output])
    return nbformat.v4.new_notebook(cells=[TITLE, code, nbformat.v4.new_markdown_cell(text)])


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        ("error 26.84 mm", "The error is 26.8 mm."),
        ("share 0.273", "That is 27 %, or 0.27, or .27."),
        ("27%", "27 % of them."),
        ("1368 directions", "Of 1,368 directions."),
        ("values: 4", "Four values say it; with `17` tokens and $x = 18$; two people, one head."),
        ("nothing", "With K five neighbors. <!-- numbers: 31.0 and half from benchmarks/x.py --> Half: 31.0 mm."),
        ("nothing", "See notebook 13, notebooks 03 and 04 and [12 Where](12_where.ipynb), a 64³ grid, T1w, /8."),
    ],
)
def test_what_was_printed_or_declared_may_be_said(printed, text):
    assert unsupported_numbers(executed(printed, text)) == []


@pytest.mark.parametrize(
    ("printed", "text", "number"),
    [
        ("error 26.84 mm", "The error is 27.4 mm.", "27.4"),
        ("share 0.273", "That is 31 %.", "31 %"),
        ("values: 5", "Four values say it.", "Four"),
        ("0.272 of 0.5", "About half of it.", "half"),
        ("0.272 of 0.5", "Half of it.", "Half"),
    ],
)
def test_what_was_not_printed_is_found(printed, text, number):
    ((cell, unsupported, _),) = unsupported_numbers(executed(printed, text))
    assert (cell, unsupported) == (2, number)


def test_a_number_must_be_printed_before_it_is_said():
    notebook = executed("26.8", "")
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell("We will find 26.8 mm."))
    assert [cell for cell, *_ in unsupported_numbers(notebook)] == [1]


@pytest.mark.parametrize("ruler", ["|---|---|", "| --- | ---: |"])
def test_a_printed_table_is_found_and_a_displayed_one_is_not(ruler):
    table = f"| network | Dice |\n{ruler}\n| full | 0.22 |"
    stream = nbformat.v4.new_output("stream", text=table)
    displayed = nbformat.v4.new_output("display_data", {"text/markdown": table, "text/plain": "<Markdown>"})
    cells = [nbformat.v4.new_code_cell("", outputs=[each]) for each in (displayed, stream)]
    assert raw_tables(nbformat.v4.new_notebook(cells=cells)) == [1]


@pytest.mark.notebook
@pytest.mark.parametrize("path", numbered_notebooks(ROOT / "notebooks"), ids=lambda path: path.stem)
def test_the_course_says_only_numbers_that_it_printed_and_displays_its_tables(path):
    run = ROOT / "runs" / "latest" / "notebooks" / path.name
    assert run.exists(), f"{run} is missing: `make run` first"
    unsupported = unsupported_numbers(read_notebook(run))
    lines = [f"{path.name}, cell {cell}: {number!r} in «{around}»" for cell, number, around in unsupported]
    assert not lines, "\n".join(lines)
    assert not raw_tables(read_notebook(run)), f"{path.name}: display(Markdown(table)) instead of print(table)"
