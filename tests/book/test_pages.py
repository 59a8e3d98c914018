"""Pages on what was measured: Markdown whose numbers come from the shipped result files."""

import json
from pathlib import Path

import pytest

from toposlearn.book.pages import ABLATION, FILES, FOLDER, TEMPLATES, PageFunctions, render_page, write_pages
from toposlearn.models import preset_table
from toposlearn.reproducibility import write_json

ROOT = Path(__file__).parents[2]
ERROR = {"value": 24.66, "low": 22.1, "high": 27.54, "n": 16, "null": 80.0}
METRICS = {"full": ERROR, "full-intra": {"value": -0.04, "low": -1.26, "high": 0.5}, "intra": {"value": 23.0}}


@pytest.fixture
def functions(tmp_path):
    write_json(tmp_path / ABLATION, {"metrics": METRICS})
    return PageFunctions(tmp_path, tmp_path)


@pytest.fixture
def page(functions, monkeypatch):
    """Render a page with the given text."""

    def rendered(text):
        monkeypatch.setattr(TEMPLATES, "get_template", lambda name: TEMPLATES.from_string(text))
        return render_page("a", functions)

    return rendered


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ('value("results", "full")', "24.7 [22.1, 27.5]"),
        ('value("results", "full", 0, unit="mm")', "25 mm [22, 28]"),
        ('value("results", "full-intra")', "0.0 [−1.3, 0.5]"),
        ('difference("results", "full-intra", 2)', "−0.04 [−1.26, +0.50]"),
        ('number("results", "full")', "24.7"),
        ('number("results", "full-intra")', "0.0"),
        ('number("results", "intra", 2, minus="full")', "−1.66"),
        ('number("results", "full", 0, part="n")', "16"),
        ('number("results", "full", 0, scale=100)', "2466"),
    ],
)
def test_a_number_is_read_from_its_result_file(page, call, text):
    assert page(f"a {{{{ {call} }}}} b\n") == f"a {text} b\n"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('value("results", "absent")', r"pages/a.md: checkpoints/lab/results.json has no value of 'absent'"),
        ('value("results", "intra")', r"pages/a.md: checkpoints/lab/results.json has no low of 'intra'"),
        ('value("wrong", "full")', r"pages/a.md: 'wrong'"),
        ("absent()", r"pages/a.md: 'absent' is undefined"),
        ("value(", r"pages/a.md: "),
    ],
)
def test_an_error_names_the_page_and_the_key(page, call, message):
    with pytest.raises(ValueError, match=message):
        page(f"{{{{ {call} }}}}")


def test_presets_and_figures(functions, tmp_path):
    assert functions.presets_table() == preset_table()
    assert functions.figure("benchmarks/gate.png", "A gate") == ""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/gate.png").write_bytes(b"picture")
    assert functions.figure("benchmarks/gate.png", "A gate", "*Kept*").splitlines() == [
        "```{figure} figures/benchmarks_gate.png",
        ":alt: A gate",
        ":width: 100%",
        "",
        "*Kept*",
        "```",
    ]
    assert (tmp_path / "figures/benchmarks_gate.png").read_bytes() == b"picture"


def test_a_page_without_its_result_file_is_left_out_and_reported(tmp_path):
    lines = []
    assert "measured" not in write_pages(tmp_path, tmp_path, lines.append)
    assert "Page measured is left out: checkpoints/lab/results.json does not exist" in lines
    assert not (tmp_path / "measured.md").exists()


def test_every_page_is_listed_and_renders_with_the_shipped_results(tmp_path):
    names = write_pages(tmp_path, ROOT, pytest.fail)
    assert sorted(names) == sorted(path.stem for path in (FOLDER / "pages").glob("*.md"))
    for name in names:
        text = (tmp_path / f"{name}.md").read_text()
        assert text.startswith("# ")
        assert "{{" not in text


def test_the_tables_of_the_readme_moved_to_the_page(tmp_path):
    write_pages(tmp_path, ROOT)
    text = (tmp_path / "measured.md").read_text()
    metric = json.loads((ROOT / FILES["results"]).read_text())["metrics"]["A/full/stride8/across_people_error"]
    assert f"{metric['value']:.1f} [{metric['low']:.1f}, {metric['high']:.1f}]" in text
    assert preset_table() in text
