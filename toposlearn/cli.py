"""The command line: read a command, run it, and report any error in one line on stderr (``--debug``: a traceback).

Exit code 0 only on success, 1 for an error, 2 for a command that cannot be read, 130 for an interruption.
"""

import os
import signal
import sys
from collections.abc import Sequence

import typer

from toposlearn.commands import app


def main() -> None:
    """Run the command of this process and exit with its code."""
    # Threads that wait by spinning slow each other down many times over as soon as anything else runs on the machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded, here and in kernels of notebooks
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that kernels end and temporary files go
    sys.exit(execute(sys.argv[1:]))


def execute(argv: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    try:
        code = app(_join_parameters(argv), prog_name="toposlearn", standalone_mode=False)
    except Exception as error:
        if "--debug" in argv:
            raise
        cause = error.__cause__ if isinstance(error, typer.Abort) else None  # EOFError, which typer takes for Ctrl-D
        print(_message(cause or error), file=sys.stderr)
        return int(getattr(error, "exit_code", 1))
    if code == 130:
        print("error: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _message(error: BaseException) -> str:
    usage = getattr(error, "format_message", None)  # the command line could not be read
    if usage is not None:
        text = str(usage())
        return text if text.startswith("Usage") else f"error: {' '.join(text.split())} (try --help)"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"error: {error.strerror}: {error.filename}"
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, (ValueError, OSError)):
        text = f"{type(error).__name__}: {text} (--debug before the command shows where)"
    return f"error: {text}"


def _join_parameters(argv: Sequence[str]) -> list[str]:
    """``-p name value`` as ``-p name=value``: the parser takes one value per option."""
    joined: list[str] = []
    rest = list(argv)
    while rest:
        joined.append(rest.pop(0))
        if joined[-1] in ("-p", "--parameter") and len(rest) >= 2 and "=" not in rest[0]:
            joined.append(f"{rest.pop(0)}={rest.pop(0)}")
    return joined
