"""The book from the file system, in a browser: no network, no error, formulas drawn, search and links work."""

import pytest
from book_maker import make_run

from toposlearn.book.build import write_book

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = make_run(tmp_path_factory.mktemp("run") / "latest")
    write_book(out, out.parent, lambda line: None)
    return out


@pytest.fixture
def open_page(run, browser_page, page_problems):
    """Open a page by its path under the run; at the end of the test nothing may have gone wrong."""
    browser_page.on("requestfailed", lambda request: page_problems.append(f"failed: {request.url}"))

    def opened(path):
        browser_page.goto((run / path).as_uri())
        return browser_page

    yield opened
    assert page_problems == []


def test_the_entry_leads_to_the_book_and_on_to_a_notebook_and_the_next(open_page):
    page = open_page("index.html")
    page.get_by_role("link", name="Read the book").click()
    page.wait_for_url("**/book/index.html")
    page.locator("article").get_by_role("link", name="First").click()
    page.wait_for_url("**/book/00_a.html")
    page.locator("article").get_by_role("link", name="next", exact=True).click()
    page.wait_for_url("**/book/01_b.html")
    assert page.locator("article h1").first.inner_text().startswith("Second")


def test_formulas_are_drawn_in_the_size_of_the_text(open_page):
    formulas = open_page("book/00_a.html").locator("article svg.formula")
    assert formulas.count() == 3
    boxes = [formulas.nth(index).bounding_box() for index in range(3)]
    assert all(box["width"] > 5 and 5 < box["height"] < 100 for box in boxes)
    line = open_page("book/00_a.html").locator("article p:has(svg.formula)").first.bounding_box()
    assert line["y"] <= boxes[1]["y"] <= line["y"] + line["height"]


def test_a_formula_follows_the_theme(open_page):
    page = open_page("book/00_a.html")
    color = "() => getComputedStyle(document.querySelector('article svg.formula path')).fill"
    bright = page.evaluate(color)
    page.evaluate("() => { document.documentElement.dataset.theme = 'dark' }")
    assert page.evaluate(color) != bright


def test_search_finds_a_page_without_a_server(open_page):
    page = open_page("book/search.html")
    page.goto(f"{page.url}?q=multiply")
    hits = page.locator("#search-results a")
    hits.get_by_text("First").first.click()
    page.wait_for_url("**/book/00_a.html*")


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("path", ["book/index.html", "book/00_a.html", "book/results.html"])
def test_a_page_does_not_scroll_sideways(open_page, browser_page, path, width):
    browser_page.set_viewport_size({"width": width, "height": 900})
    page = open_page(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_of_results_leads_from_the_summary_to_a_claim(open_page):
    page = open_page("book/results.html")
    page.get_by_role("link", name="Segmentation improves: structures").first.click()
    assert page.url.endswith("#claim-segmentation-improves-structures")
    assert page.get_by_role("heading", name="Segmentation improves: structures").is_visible()
