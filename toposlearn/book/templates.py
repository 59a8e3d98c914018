"""The templates of the book, and how its pages write numbers."""

from __future__ import annotations

from pathlib import Path

from docutils.nodes import make_id
from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent


def duration(seconds: float) -> str:
    """Whole seconds below a minute and a half, else minutes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def memory(size: int) -> str:
    """Bytes in MB below one GB, else in GB (powers of ten)."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def three_digits(value: object) -> str:
    """Three significant digits, four decimals below 0.001, a true minus sign; a dash for None or undefined."""
    if not isinstance(value, (int, float)):
        return "–"
    text = f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.4f}"
    return text.replace("-", "−")


TEMPLATES = Environment(
    loader=FileSystemLoader([FOLDER / "templates", FOLDER / "pages"]),
    undefined=StrictUndefined,
    autoescape=lambda name: (name or "").endswith(".html.j2"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {"anchor": make_id, "duration": duration, "memory": memory, "three_digits": three_digits}
