"""Widgets of several controls that move together: one picture is drawn, not one for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Quiet:
    """Says whether controls are being moved by the program: a callback then draws nothing."""

    _quiet = False

    @contextmanager
    def _silence(self) -> Iterator[None]:
        """Several controls move; the caller draws afterwards."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False
