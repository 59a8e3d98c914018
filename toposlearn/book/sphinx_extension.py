"""Sphinx extension of the book: formulas as SVG, without script or network; dead links become plain text.

The glyphs are outlines (STIX Two Math), so that every browser draws the same, whichever fonts it has.
"""

from __future__ import annotations

import html
import warnings
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from docutils import nodes
from sphinx.util import logging
from ziafont.config import config as outlines

with warnings.catch_warnings():  # it opens its font by a call that Python 3.11 and 3.12 deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from ziamath.zmath import Latex

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

EM = 20.0  # units of the drawing in one em of the surrounding text


def formula(latex: str, *, inline: bool) -> str:
    """LaTeX (without dollars) as an SVG element on the baseline of its text, in the text's color and size.

    Raises:
        ValueError: the LaTeX cannot be read.
    """
    outlines.svg2 = False  # plain outlines: symbols would repeat the same id on one page
    try:
        svg = Latex(latex, size=EM, color="currentColor", inline=inline).svgxml()
    except Exception as error:  # the parser has no error class of its own
        raise ValueError(f"formula {latex!r} cannot be drawn: {type(error).__name__}: {error}") from error
    _, top, _, height = map(float, svg.attrib["viewBox"].split())
    svg.attrib["width"] = f"{float(svg.attrib['width']) / EM:.3f}em"
    svg.attrib["height"] = f"{height / EM:.3f}em"
    svg.attrib["style"] = f"vertical-align:{-(top + height) / EM:.3f}em"
    svg.attrib |= {"role": "img", "aria-label": latex, "class": "formula"}
    return ElementTree.tostring(svg, encoding="unicode")


def _drawn(node: nodes.math | nodes.math_block, *, inline: bool) -> str:
    """The formula, or its source with a warning, which stops a strict build and names the place."""
    source = node.astext().strip()
    try:
        return formula(source, inline=inline)
    except ValueError as error:
        logging.getLogger(__name__).warning("%s", error, location=node)
        return f"<code>{html.escape(source)}</code>"


def _visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(f'<span class="math notranslate">{_drawn(node, inline=True)}</span>')
    raise nodes.SkipNode


def _visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math notranslate"))
    self.body.append(f"{_drawn(node, inline=False)}</div>\n")
    raise nodes.SkipNode


def _unlink(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Notebooks link to files outside the book; the parser leaves these as links to missing places of the page."""
    for link in list(doctree.findall(nodes.reference)):
        address = link.get("refuri", f"#{link['refid']}" if "refid" in link else "")
        if address.startswith("#") and address[1:] not in doctree.ids:
            link.replace_self(link.children)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer ``outlines`` and the removal of dead links; called by Sphinx."""
    app.add_html_math_renderer("outlines", (_visit_inline, None), (_visit_block, None))
    app.connect("doctree-resolved", _unlink)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
