"""A headless Chromium for the tests of pages: `browser_page` to drive, `page_problems` to assert empty at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

# No sandbox in containers; no request of the browser's own; WebGL without a graphics card.
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
TIMEOUT = 30_000  # milliseconds, of every wait
HERE = {"127.0.0.1", "localhost"}


def find_chromium() -> str:
    """The executable named by $CHROMIUM, or ``chromium`` on the PATH."""
    found = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    if found is None:
        pytest.fail("browser tests need Chromium: install it, or set CHROMIUM to its executable", pytrace=False)
    return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    executable = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def browser_page(chromium: Browser) -> Iterator[Page]:
    """A fresh page, 1400 x 1000 pixels, with a time limit on every wait."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(TIMEOUT)
    yield context.new_page()
    context.close()


@pytest.fixture
def page_problems(browser_page: Page) -> list[str]:
    """What goes wrong on `browser_page` from now on: console errors, exceptions, failed and foreign requests."""
    problems: list[str] = []

    def asked(url: str) -> None:
        address = urlsplit(url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in HERE:
            problems.append(f"request to another host: {url}")

    browser_page.on("request", lambda request: asked(request.url))
    browser_page.on("websocket", lambda socket: asked(socket.url))
    browser_page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
    browser_page.on("console", lambda line: problems.append(f"console: {line.text}") if line.type == "error" else None)
    browser_page.on(
        "response", lambda reply: problems.append(f"{reply.status} {reply.url}") if reply.status >= 400 else None
    )
    return problems
