"""Every notebook of the course keeps the rules; each message names the notebook and the cell."""

import ast
import re
import statistics
from pathlib import Path

import nbformat
import pytest

from toposlearn.course.notebooks import course_folder, heading, numbered_notebooks, read_notebook, read_parameters, tags

ROOT = Path(__file__).parents[1]
NOTEBOOKS = numbered_notebooks(ROOT / "notebooks")
EXERCISES = re.compile(r"0[1-5]_")
LINES, FIGURE_LINES, MEDIAN = 15, 25, 8


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture(scope="module")
def notebook(path):
    return read_notebook(path)


def code_cells(notebook):
    return [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def report(path, problems):
    assert not problems, "\n".join(f"{path.name}, cell {index}: {what}" for index, what in problems)


def test_the_course_is_found_and_numbered_without_gaps():
    assert course_folder().resolve() == (ROOT / "notebooks").resolve()
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02d}" for number in range(len(NOTEBOOKS))]


def test_is_valid_and_for_the_kernel_python3(path, notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.get("kernelspec", {}).get("name") == "python3", f"{path.name}: kernel must be python3"
    assert "widgets" not in notebook.metadata, f"{path.name}: widget state is stored, run nbstripout"


def test_is_stored_without_outputs(path, notebook):
    stored = [(i, "has outputs: run nbstripout") for i, cell in code_cells(notebook) if cell.outputs]
    counted = [
        (i, "has an execution count: run nbstripout") for i, cell in code_cells(notebook) if cell.execution_count
    ]
    report(path, stored + counted)


def test_begins_with_title_and_question(path, notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown", f"{path.name}, cell 0: must be markdown"
    assert first.source.startswith("# "), f"{path.name}, cell 0: must begin with '# Title'"
    assert heading(notebook)[1], f"{path.name}, cell 0: no line that ends with a question mark: the question answered"


def test_ends_with_the_next_notebook_and_references(path, notebook):
    end = "\n".join(cell.source for cell in notebook.cells[-2:])
    following = [later.name for later in NOTEBOOKS[NOTEBOOKS.index(path) + 1 :][:1]]
    linked = re.findall(r"\]\(([^)#]+\.ipynb)", end[end.find("**Next:**") :])
    assert set(following) <= set(linked), f"{path.name}: the end must say '**Next:**' and link to {following}"
    references = re.search(r"\*\*References?\.\*\*(.*)", end, re.DOTALL)
    assert references, f"{path.name}: the end has no '**References.**'"
    assert re.search(r"\b(19|20)\d\d\b", references[1]), f"{path.name}: no reference has a year"


def test_every_heading_is_followed_by_its_content(path, notebook):
    report(path, [(index, f"nothing is shown under {title!r}") for index, title in headings_without_content(notebook)])


TEXT_ALONE = re.compile(r"What it means|What .* means here|In this notebook|One step|What this notebook cannot show")


def headings_without_content(notebook):
    """Headings under which no code, formula or table stands before the next of their level; text alone by name only."""
    parts = [part for index, cell in enumerate(notebook.cells) for part in parts_of(index, cell)]
    empty = []
    for place, (index, level, title) in enumerate(parts):
        if level < 2 or TEXT_ALONE.match(title):
            continue
        rest = [(depth, text) for _, depth, text in parts[place + 1 :]]
        end = next((number for number, (depth, _) in enumerate(rest) if 0 < depth <= level), len(rest))
        if not any(depth == CODE or re.search(r"\$\$|^\|", text, re.MULTILINE) for depth, text in rest[:end]):
            empty.append((index, title))
    return empty


TEXT, CODE = 0, -1


def parts_of(index, cell):
    """The headings (by level), the text between them, and the code of a cell, as (cell, level, text)."""
    if cell.cell_type == "code":
        return [(index, CODE, cell.source)]
    split = re.split(r"^(#+ .*)$", re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL), flags=re.MULTILINE)
    levels = [(len(each) - len(each.lstrip("#")), each.lstrip("# ")) for each in split if each.strip()]
    return [(index, level, text) for level, text in levels]


def test_a_heading_that_lost_its_cells_is_found():
    cells = [("markdown", "# T"), ("markdown", "## Lost\n\nHere it is."), ("markdown", "## Kept"), ("code", "1")]
    made = nbformat.v4.new_notebook(cells=[getattr(nbformat.v4, f"new_{kind}_cell")(text) for kind, text in cells])
    assert headings_without_content(made) == [(1, "Lost")]
    made.cells.insert(2, nbformat.v4.new_markdown_cell("### Below\n\n$$ x = 1 $$"))
    assert headings_without_content(made) == []


def test_has_one_cell_of_parameters_plain_and_explained(path, notebook):
    cells = [(i, cell) for i, cell in code_cells(notebook) if "parameters" in tags(cell)]
    assert len(cells) == 1, f"{path.name}: one cell tagged 'parameters' is needed, found {len(cells)}"
    ((index, cell),) = cells
    assert read_parameters(notebook), f"{path.name}, cell {index}: no parameter"
    report(path, [(index, f"no trailing comment: {line}") for line in lines(cell) if not re.search(r"\S\s+# \S", line)])


def test_defines_nothing_outside_exercises(path, notebook):
    problems = []
    for index, cell in code_cells(notebook):
        if {"exercise", "solution"} & set(tags(cell)):
            continue
        nodes = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, DEFINITIONS)]
        problems += [(index, f"defines {node.name}: move it to the package") for node in nodes]
    report(path, problems)


DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def test_is_plain_python(path, notebook):
    shell = re.compile(r"^\s*[!%]", re.MULTILINE)
    report(path, [(i, "shell or magic line") for i, cell in code_cells(notebook) if shell.search(cell.source)])


def test_cells_are_small(path, notebook):
    sizes = [(index, len(lines(cell)), is_one_call(cell)) for index, cell in code_cells(notebook)]
    long = [(i, f"{size} lines of code") for i, size, one in sizes if size > (FIGURE_LINES if one else LINES)]
    report(path, long)
    median = statistics.median(size for _, size, _ in sizes)
    assert median <= MEDIAN, f"{path.name}: median code cell has {median} lines, at most {MEDIAN}"


def is_one_call(cell):
    body = ast.parse(cell.source).body if not re.search(r"^\s*[!%]", cell.source, re.MULTILINE) else []
    return len(body) == 1 and isinstance(getattr(body[0], "value", None), ast.Call)


def test_imports_stand_in_one_cell(path, notebook):
    imports = (ast.Import, ast.ImportFrom)
    cells = [i for i, cell in code_cells(notebook) if any(isinstance(n, imports) for n in ast.parse(cell.source).body)]
    report(path, [(index, "imports: put them into the setup cell") for index in cells[1:]])


def test_exercises_have_stub_solution_and_check(path, notebook):
    kinds = [tag for cell in notebook.cells for tag in tags(cell) if tag in ("exercise", "solution", "check")]
    if EXERCISES.match(path.name):
        assert kinds, f"{path.name}: no exercise"
    assert kinds == ["exercise", "solution", "check"] * (len(kinds) // 3), (
        f"{path.name}: tags must come as exercise, solution, check, found {kinds}"
    )


def test_links_to_other_notebooks_lead_somewhere(path, notebook):
    problems = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            names = re.findall(r"\]\((?!https?:)([^)#]+\.ipynb)", cell.source)
            problems += [(index, f"no such file: {name}") for name in names if not (path.parent / name).exists()]
    report(path, problems)
