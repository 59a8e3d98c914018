"""The explorer as a page of its own: one notebook cell served by Voila on this machine only, behind a token."""

from __future__ import annotations

import secrets
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from traitlets.config import Config
from voila.app import Voila

from toposlearn.data import prepare
from toposlearn.explorer.scene import choose_subjects, load_networks

HOST = "127.0.0.1"  # never anything else: the page runs code
PAGE = Path(__file__).parent / "page"


class ThisPython(KernelSpecManager):
    """Kernels of this very interpreter: one called python3 in the user's home may belong to another environment."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """This interpreter, whatever the name."""
        return KernelSpec(**get_kernel_dict())


def serve_explorer(
    data: str | Path,
    weights: str | Path,
    *,
    port: int | None = None,
    browser: bool = True,
    tell: Callable[[str], object] = print,
) -> None:
    """Serve the explorer until it is interrupted (Ctrl-C, or SIGTERM).

    Args:
        data: BIDS folder.
        weights: a folder of weights, or a weights file.
        port: None takes a free one.
        browser: open a browser window.
        tell: receives the address, with its token.

    Raises:
        FileNotFoundError: no data, or no weights.
        ValueError: data and weights that do not fit, or a port that is taken. All before a server starts.
    """
    _, config = load_networks(weights)
    manifest, config = choose_subjects(data, config)
    prepare(manifest, config.volume)  # with a progress bar here, rather than behind an empty page
    token, port = secrets.token_urlsafe(24), free_port(port)
    address = f"http://{HOST}:{port}/?token={token}"
    with tempfile.TemporaryDirectory() as folder:
        notebook = write_page(Path(folder), data, weights)
        app = Voila(config=settings(port, token))
        app.initialize([str(notebook)])
        app.template_paths.insert(0, str(PAGE))
        tell(f"The explorer is at {address}\nCtrl-C ends it.")
        if browser:
            waiting = threading.Timer(1.0, webbrowser.open, [address])
            waiting.daemon = True
            waiting.start()
        app.start()  # returns when interrupted, with its kernels ended
    tell("The explorer has ended.")


def settings(port: int, token: str) -> Config:
    """Voila's configuration: this machine only, a token, this very Python."""
    return Config(
        {
            "Voila": {"ip": HOST, "port": port, "port_retries": 0, "token": token, "open_browser": False},
            "VoilaConfiguration": {
                "show_tracebacks": True,
                "theme": "light",
                "kernel_spec_manager_class": ThisPython,
            },
            "Application": {"log_level": "WARN"},
        }
    )


def free_port(port: int | None) -> int:
    """The port asked for, or a free one.

    Raises:
        ValueError: it is taken, or none at all.
    """
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port or 0))
            return int(probe.getsockname()[1])
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"port {port} cannot be used on {HOST} ({error}): choose another, or leave --port out"
        ) from None


def write_page(folder: Path, data: str | Path, weights: str | Path) -> Path:
    """The notebook behind the page: one cell. Paths are written as literals, whatever characters they hold."""
    cell = "\n".join(
        [
            "from toposlearn.explorer.scene import open_scene",
            "from toposlearn.explorer.widget import explorer",
            "",
            f"explorer(open_scene({str(Path(weights).resolve())!r}, {str(Path(data).resolve())!r}))",
        ]
    )
    heading = "# Who is next to whom, in two people?"
    cells = [nbformat.v4.new_markdown_cell(heading), nbformat.v4.new_code_cell(cell)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    path = folder / "explorer.ipynb"
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel)), encoding="utf-8")
    return path
