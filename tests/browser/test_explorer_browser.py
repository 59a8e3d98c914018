"""The explorer as users see it: the command, its page, a click, the keyboard, a menu."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest

from toposlearn.config import with_variant
from toposlearn.models import Taco
from toposlearn.models.weights import save_weights

pytestmark = pytest.mark.browser
SECONDS = 90


@pytest.fixture(scope="module")
def address(cohort, smoke, tmp_path_factory):
    """The page of `toposlearn explore` with small weights; the server is always stopped."""
    weights = tmp_path_factory.mktemp("weights")
    for name in ("reconstruction", "full"):
        save_weights(weights / f"{name}.safetensors", Taco(smoke.model), with_variant(smoke, "full"))
    arguments = ["explore", "--no-browser", "--data", str(cohort), "--checkpoints", str(weights)]
    start = (  # a shell that starts the tests in the background leaves SIGINT ignored, in its children too
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from toposlearn.cli import execute; raise SystemExit(execute({arguments!r}))"
    )
    log = (weights / "server.log").open("w+")
    settings = {"env": os.environ | {"PYTHONUNBUFFERED": "1"}, "text": True}
    server = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, stderr=log, **settings)
    try:
        yield wait_for_address(server, log)
    finally:
        server.send_signal(signal.SIGINT)
        try:
            assert server.wait(SECONDS) == 0
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
            log.close()


def wait_for_address(server, log):
    lines = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in server.stdout], daemon=True).start()
    try:
        line = lines.get(timeout=SECONDS)
    except queue.Empty:
        log.seek(0)
        pytest.fail(f"the server gave no address: {log.read()}")
    return re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)[0]


def words(page):
    return page.inner_text("figcaption")


def wait_for_other_words(page, before):
    page.wait_for_function("old => document.querySelector('figcaption').innerText !== old", arg=before)
    return words(page)


def slider_values(page):
    return [
        float(value)
        for value in page.eval_on_selector_all(
            "[role=slider]", "all => all.map(one => one.getAttribute('aria-valuenow'))"
        )
    ]


def test_the_page_needs_the_token(address):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for attempt in range(SECONDS):
        try:
            with opener.open(address.split("?")[0], timeout=SECONDS) as reply:
                assert "/login" in reply.url
                return
        except OSError:
            assert attempt < SECONDS - 1
            threading.Event().wait(0.5)  # the address is printed just before the server listens


def test_click_keyboard_and_menu_change_picture_and_words(address, browser_page, page_problems):
    page = browser_page
    page.goto(address, wait_until="commit", timeout=1000 * SECONDS)
    picture = page.locator("figure img")
    picture.wait_for(timeout=1000 * SECONDS)
    first, source = words(page), picture.get_attribute("src")
    assert "mm off" in first
    assert picture.get_attribute("alt") == first

    box, before = picture.bounding_box(), slider_values(page)
    picture.click(position={"x": 0.12 * box["width"], "y": 0.22 * box["height"]})  # sagittal slice of person a
    second = wait_for_other_words(page, first)
    after = slider_values(page)
    assert after[0] == before[0]  # the plane clicked on stays, the other two follow
    assert after[1:3] != before[1:3]
    assert picture.get_attribute("src") != source

    page.locator("[role=slider]").first.focus()
    page.keyboard.press("ArrowRight")
    third = wait_for_other_words(page, second)
    assert slider_values(page)[0] > after[0]

    page.locator("select").first.select_option("untrained")
    assert "untrained network" in wait_for_other_words(page, third)
    page.screenshot(path=os.environ.get("SCREENSHOT") or None, full_page=True)
    assert page_problems == []
