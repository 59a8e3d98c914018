"""The structure explorer in JupyterLab and on a page: menus, and the head in 3-D, drawn by this machine alone."""

import contextlib
import io
import os
import secrets
import subprocess
import sys
import threading
import urllib.request

import nbformat
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error

from toposlearn.anatomy import load_donor_map, load_label_map, structure
from toposlearn.explore.structure_widget import StructureExplorer
from toposlearn.explorer import serve

pytestmark = pytest.mark.browser
SECONDS = 60
CELL = """
from toposlearn.anatomy import load_donor_map, load_label_map, structure
from toposlearn.explore.structure_widget import structure_explorer
people = {"atlas B": load_label_map("B"), "donor": load_donor_map("9861")}
structure_explorer(people, structure("thalamus", "left"))
"""
VOILA = """
import sys
from voila.app import Voila
from toposlearn.explorer.serve import PAGE, settings
app = Voila(config=settings(int(sys.argv[1]), sys.argv[2]))
app.initialize([sys.argv[3]])
app.template_paths.insert(0, str(PAGE))
app.start()
"""


@pytest.fixture(params=["lab", "voila"])
def address(request, tmp_path):
    """A server with one notebook: JupyterLab, open at it, or its outputs as a page."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)], metadata=kernel)
    nbformat.write(page, tmp_path / "page.ipynb")
    port, token = serve.free_port(None), secrets.token_urlsafe(8)
    settings = {"ip": serve.HOST, "port": port, "root_dir": tmp_path, "open_browser": False, "allow_root": True}
    commands = {
        "lab": ["-m", "jupyterlab", f"--IdentityProvider.token={token}"]
        + [f"--ServerApp.{name}={value}" for name, value in settings.items()],
        "voila": ["-c", VOILA, str(port), token, str(tmp_path / "page.ipynb")],
    }
    server = subprocess.Popen([sys.executable, *commands[request.param]])
    path = {"lab": "lab/tree/page.ipynb", "voila": ""}[request.param]
    try:
        wait_for(f"http://{serve.HOST}:{port}/login", server)
        yield f"http://{serve.HOST}:{port}/{path}?token={token}"
    finally:
        server.terminate()
        server.wait(SECONDS)


def wait_for(url, server):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(2 * SECONDS):
        try:
            return opener.open(url, timeout=SECONDS).close()
        except OSError:
            assert server.poll() is None, "the server has ended"
            threading.Event().wait(0.5)
    pytest.fail("the server did not answer")


def colored_share(canvas):
    """Share of colored pixels in the middle of the canvas; heads that are not chosen are gray."""
    image = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")).astype(int)
    middle = image[:, image.shape[1] // 4 : 3 * image.shape[1] // 4]  # the cube in the corner is colored, too
    return float((np.ptp(middle, axis=-1) > 60).mean())


def wait_for_color(canvas):
    """The viewer draws when the head has arrived."""
    for _ in range(SECONDS):
        with contextlib.suppress(Error):  # the viewer is being replaced
            if colored_share(canvas) > 0.003:
                return
        canvas.page.wait_for_timeout(1000)
    pytest.fail("no structure was drawn in color")


def open_explorer(page, address):
    """The menus of structures and the button of the 3-D head, as soon as they show."""
    page.goto(address, wait_until="commit", timeout=1000 * SECONDS)
    if "/lab/" in address:
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=1000 * SECONDS)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
    solid = page.get_by_role("button", name="in 3-D")
    solid.wait_for(timeout=1000 * SECONDS)
    return page.locator(".jupyter-widgets select").first, solid


def pixels(image):
    return np.asarray(Image.open(io.BytesIO(bytes(image))))


def check_end(page, chosen):
    """Picture, words and 3-D head are those of the chosen structure."""
    page.get_by_text(f"2 of 2 people have the {chosen.side} {chosen.name}").wait_for()
    canvas = page.locator("canvas")
    canvas.wait_for()
    wait_for_color(canvas)
    read = "async image => [...new Uint8Array(await (await fetch(image.src)).arrayBuffer())]"
    alone = StructureExplorer({"atlas B": load_label_map("B"), "donor": load_donor_map("9861")}, chosen)
    shown = page.locator("img.widget-image").evaluate(read)
    np.testing.assert_array_equal(pixels(shown), pixels(alone.picture.picture.value))
    page.screenshot(path=os.environ.get("SCREENSHOT") or None, full_page=True)


def test_menus_and_the_head_in_3d(address, browser_page, page_problems):
    page = browser_page
    structures, solid = open_explorer(page, address)
    page.get_by_text("2 of 2 people have the left thalamus").wait_for()
    assert page.locator("canvas").count() == 0  # nothing heavy before it is asked for

    structures.select_option("brainstem")
    page.get_by_text("1 of 2 people have the brainstem").wait_for()
    structures.select_option("putamen")
    page.wait_for_timeout(150)
    solid.click()  # while the putamen is being drawn: JupyterLab sends it to another thread of the kernel
    check_end(page, structure("putamen", "left"))
    assert page_problems == []


def test_the_state_is_that_of_the_last_click_however_fast(address, browser_page, page_problems):
    page = browser_page
    structures, solid = open_explorer(page, address)
    solid.click()
    check_end(page, structure("thalamus", "left"))
    for _ in range(4):
        solid.click()
    for name in ("pallidum", "caudate", "pallidum", "putamen"):
        structures.select_option(name)
        page.wait_for_timeout(150)
    page.locator(".jupyter-widgets select").nth(1).select_option("right")
    check_end(page, structure("putamen", "right"))
    assert page_problems == []
