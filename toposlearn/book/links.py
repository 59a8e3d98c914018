"""Links of the book that lead nowhere become plain text: notebooks link to files that are not part of the book.

A Sphinx extension. The parser leaves what it cannot resolve as a link to a place of the same page that is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def _keep_text(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for link in list(doctree.findall(nodes.reference)):
        address = link.get("refuri", f"#{link['refid']}" if "refid" in link else "")
        if address.startswith("#") and address[1:] not in doctree.ids:
            link.replace_self(link.children)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx, before a page is written."""
    app.connect("doctree-resolved", _keep_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
