"""Formulas of the book as pictures that need no network and no script: LaTeX becomes SVG while the book is built.

A Sphinx extension. The glyphs are outlines (STIX Two Math), so every browser draws the same, with or without fonts.
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
    """LaTeX as an SVG element on the baseline of the text around it, in the text's color and size.

    Args:
        latex: without the dollars.
        inline: in a line of text; otherwise in display style.

    Raises:
        ValueError: the LaTeX cannot be read.
    """
    outlines.svg2 = False  # plain outlines: symbols would give one page the same id many times
    try:
        svg = Latex(latex, size=EM, color="currentColor", inline=inline).svgxml()
    except Exception as error:  # the parser raises whatever it stumbles over
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


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx: the renderer that ``html_math_renderer = "outlines"`` selects."""
    app.add_html_math_renderer("outlines", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
