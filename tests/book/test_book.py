"""The book: strict, without a network, every link leads somewhere, and an earlier one outlives a failure."""

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from book_maker import make_run

from toposlearn.book import build as book
from toposlearn.book.build import goals, index_page, notebook_page, write_book
from toposlearn.book.conf import formula
from toposlearn.book.pages import duration, memory
from toposlearn.course.run import NotebookRun

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """What a page loads, links to, can be linked to, and shows."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.anchors, self.images = [], [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag in ("script", "img", "iframe", "source", "object") and (given.get("src") or given.get("data")):
            self.loads.append(given.get("src") or given["data"])
        if tag == "link" and {"stylesheet", "icon", "preload"} & set(given.get("rel", "").split()):
            self.loads.append(given["href"])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img":
            self.images.append(given.get("alt"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = make_run(tmp_path_factory.mktemp("run") / "latest")
    (out.parent / "checkpoints").symlink_to(ROOT / "checkpoints")
    lines = []
    write_book(out, out.parent, lines.append)
    assert re.fullmatch(r"Book: \d+ pages in \d+\.\d s", lines[1])
    return out


@pytest.fixture(scope="module")
def pages(run):
    return {path: Page(path) for path in sorted((run / "book").glob("*.html"))}


def text_of(run, name):
    return (run / "book" / name).read_text(encoding="utf-8")


def words_of(run, name):
    """The text of a page without its tags."""
    return " ".join(re.sub(r"<[^>]*>", "", text_of(run, name)).split())


def test_the_book_has_its_pages_and_leaves_nothing_else(run):
    names = {path.name for path in (run / "book").glob("*.html")}
    assert {"index.html", "00_a.html", "01_b.html", "results.html", "measured.html", "search.html"} <= names
    assert {path.name for path in run.iterdir()} == {"book", "notebooks", "results", "notebooks.json", "index.html"}
    assert not list((run / "book").rglob("*.doctree"))
    assert all(path.stat().st_size < 3e6 for path in (run / "book").glob("*.html"))


def test_nothing_is_loaded_from_a_network(run, pages):
    for path, one in pages.items():
        assert [address for address in one.loads if urlsplit(address).netloc] == [], path.name
    for style in (run / "book").rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*['\"]?(https?:|//)[^)]*", style.read_text(encoding="utf-8"))
        assert found == [], style


def test_every_link_and_file_is_there(run, pages):
    for path, one in pages.items():
        for address in [*one.links, *one.loads]:
            parts = urlsplit(address)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            assert target.is_file(), f"{path.name}: {address}"
            if parts.fragment and target.suffix == ".html":
                assert parts.fragment in Page(target).anchors, f"{path.name}: {address}"


def test_the_entry_leads_into_the_book(run):
    links = Page(run / "index.html").links
    assert {"book/index.html", "book/results.html", "book/00_a.html", "notebooks/00_a.ipynb"} <= set(links)
    assert all((run / link).is_file() for link in links)


def test_the_index_names_question_time_goals_and_the_failed_notebook(run):
    index = text_of(run, "index.html")
    for words in (
        "Does it add?",
        "12 s · 1.2 GB",
        "add;",
        "multiply.",
        "You need nothing.",
        "1.7 min",
        "python 3.11 · CPU",
    ):
        assert words in index
    assert "failed In [1]: ZeroDivisionError" in words_of(run, "index.html")
    assert "1 of 2 notebooks stopped before their end" in index
    assert "failed'>failed</span>" in index


def test_links_between_notebooks_lead_on_and_others_are_text(run, pages):
    first = pages[run / "book" / "00_a.html"]
    assert "01_b.html" in first.links
    assert not [link for link in first.links if "safetensors" in link or "cohort" in link]
    assert "weights" in text_of(run, "00_a.html")


def test_figures_are_described_and_formulas_drawn(run, pages):
    first = pages[run / "book" / "00_a.html"]
    assert "Figure: The idea in K" in first.images
    assert all(alt for one in pages.values() for alt in one.images)
    text = text_of(run, "00_a.html")
    assert text.count('aria-label="N_K(i)"') == 1
    assert 'aria-label="L = \\frac{1}{n} \\sum_i d(i, m(i))"' in text
    assert "MathJax" not in text


def test_what_needs_a_kernel_is_one_sentence(run):
    text = text_of(run, "00_a.html")
    assert text.count("Interactive: run the notebook") == 1
    assert "STATE" not in text + (run / "book/_sources/00_a.ipynb").read_text()
    assert "require.js" not in text
    assert "2 of 2" in text
    assert "1 of 2" not in text


def test_a_failed_notebook_says_where_it_stopped(run):
    text = words_of(run, "01_b.html")
    assert "This notebook stopped: In [1]: ZeroDivisionError: division by zero. The cells after it" in text
    assert "An Exception" not in text


def test_the_executed_notebook_is_left_as_it_is(run):
    executed = nbformat.read(run / "notebooks/00_a.ipynb", as_version=4)
    before = nbformat.writes(executed)
    notebook_page(executed)
    assert nbformat.writes(executed) == before
    assert "widgets" in executed.metadata


@pytest.mark.parametrize("effect", [KeyboardInterrupt, OSError])
def test_an_interrupted_build_leaves_the_earlier_book(tmp_path, monkeypatch, effect):
    out = make_run(tmp_path / "latest")
    (out / "book").mkdir()
    (out / "book/index.html").write_text("earlier")

    def stopped(*arguments, **named):
        raise effect

    monkeypatch.setattr(subprocess, "run", stopped)
    with pytest.raises(effect):
        write_book(out, tmp_path)
    assert (out / "book/index.html").read_text() == "earlier"
    assert [path.name for path in out.glob(".*")] == []


def test_a_move_that_fails_brings_the_earlier_book_back(tmp_path):
    (tmp_path / "book").mkdir()
    with pytest.raises(FileNotFoundError):
        book._replace(tmp_path / "absent", tmp_path / "book", tmp_path / "aside")
    assert (tmp_path / "book").is_dir()


def test_a_fault_that_sphinx_reports_is_one_line(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/conf.py").write_text("")
    (tmp_path / "sources/index.rst").write_text("Title\n===\n\n:nope:`x`\n")
    with pytest.raises(ValueError, match=r"the book was not built: index.rst:") as caught:
        book._run_sphinx(tmp_path / "sources", tmp_path / "built")
    assert "\n" not in str(caught.value)


def test_a_formula_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match="cannot be drawn"):
        formula(r"\frac{1", inline=True)


def test_a_formula_scales_with_the_text_and_stands_on_its_line():
    high, deep = formula("x", inline=True), formula("x_y", inline=True)
    assert re.search(r'width="[\d.]+em" height="[\d.]+em"', high)
    depths = [float(re.search(r"vertical-align:(-?[\d.]+)em", one)[1]) for one in (high, deep)]
    assert depths[1] < depths[0] < 0.01


def test_an_index_of_nothing_and_of_a_run_without_a_copy():
    assert "None of its notebooks was run yet" in index_page([])
    lost = NotebookRun("00_a", "First", "Why?", "In [1]: `x`", 1.0, 2)
    text = index_page([(lost, None)])
    assert "(00_a.ipynb)" not in text
    assert "`In [1]: 'x'`" in text


def test_goals_of_a_notebook_that_states_none():
    assert goals(nbformat.v4.new_notebook()) == ([], "")


def test_numbers_in_words():
    assert (duration(89.4), duration(90), duration(143)) == ("89 s", "1.5 min", "2.4 min")
    assert (memory(999_000_000), memory(1_250_000_000)) == ("999 MB", "1.2 GB")
