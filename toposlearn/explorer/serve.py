"""The explorer as a page of its own: one notebook cell served by Voila on this machine only, behind a token."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from traitlets.config import Config
from voila.app import Voila

from toposlearn.anatomy.label_names import TABLES
from toposlearn.data import PointSource, Source, pose_subjects, prepare
from toposlearn.data.places import PLACE as CACHE_PLACE
from toposlearn.data.source import Data
from toposlearn.explorer.scene import choose_subjects, load_networks, weights_in

Report = Callable[[str], object]  # prints
HOST = "127.0.0.1"  # never anything else: the page runs code
PAGE = Path(__file__).parent / "page"
CELL = """\
import os
from pathlib import Path, PosixPath, WindowsPath
from toposlearn.data import PointSource, Source
from toposlearn.explorer.scene import open_scene
from toposlearn.explorer.widget import explorer

os.environ.update({cache!r})
explorer(open_scene({weights!r}, {source!r}, points={points!r}))"""


class ThisPython(KernelSpecManager):
    """Kernels of this interpreter: one called python3 in the user's home may belong to another environment."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """This interpreter, whatever the name."""
        return KernelSpec(**get_kernel_dict())


def serve_explorer(
    data: Data, weights: str | Path, points: PointSource, *, port: int | None, browser: bool, report: Report
) -> None:
    """Serve the explorer until it is interrupted; `report` receives its address. Errors are raised before it starts."""
    _, config = load_networks(weights)
    manifest, config = choose_subjects(data, config, weights=weights_in(weights)[-1])
    people = prepare(manifest, config.volume)  # with a progress bar here, rather than behind an empty page
    pose_subjects(people, config, points=points)
    token, port = secrets.token_urlsafe(24), free_port(port)
    address = f"http://{HOST}:{port}/?token={token}"
    with tempfile.TemporaryDirectory() as folder:
        notebook = write_page(Path(folder), data, weights, points)
        app = Voila(config=settings(port, token))
        app.initialize([str(notebook)])
        app.template_paths.insert(0, str(PAGE))
        report(f"The explorer is at {address}\nPress Ctrl-C to stop it.")
        if browser:
            waiting = threading.Timer(1.0, webbrowser.open, [address])
            waiting.daemon = True
            waiting.start()
        app.start()  # returns when interrupted, with its kernels ended
    report("The explorer has stopped.")


def settings(port: int, token: str) -> Config:
    """Voila's configuration: this machine only, a token, this interpreter."""
    page = {"show_tracebacks": True, "theme": "light", "kernel_spec_manager_class": ThisPython}
    server = {"ip": HOST, "port": port, "port_retries": 0, "token": token, "open_browser": False}
    return Config({"Voila": server, "VoilaConfiguration": page, "Application": {"log_level": "WARN"}})


def free_port(port: int | None) -> int:
    """The given port, or a free one; ValueError if it is in use or no port."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port or 0))
            return int(probe.getsockname()[1])
    except (OSError, OverflowError) as error:
        reason = f"port {port} cannot be used on {HOST} ({error})"
        raise ValueError(f"{reason}: choose another, or leave out --port") from None


def write_page(folder: Path, data: Data, weights: str | Path, points: PointSource) -> Path:
    """Write the notebook behind the page: one cell. Paths become literals, whatever characters they contain.

    The kernel runs in `folder`, so that every path is made absolute here, that of the cache in the environment too.
    """
    source, table, cache = Source.of(data), points.table, os.path.expanduser(os.environ.get(CACHE_PLACE, ""))
    source = replace(source, folders=tuple(each.absolute() for each in source.folders))
    points = replace(points, table=table if table is None or table in TABLES else Path(table).absolute())
    place = {CACHE_PLACE: str(Path(cache).absolute())} if cache else {}
    cell = CELL.format(weights=str(Path(weights).absolute()), source=source, points=points, cache=place)
    heading = nbformat.v4.new_markdown_cell("# Who is next to whom, in two people?")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[heading, nbformat.v4.new_code_cell(cell)], metadata=kernel)
    nbformat.write(notebook, folder / "explorer.ipynb")
    return folder / "explorer.ipynb"
