"""Settings of Sphinx, copied into the sources of the book. Dead links become plain text, and formulas become SVG.

The glyphs of formulas are outlines (STIX Two Math): every browser draws the same, without script, network or fonts.
"""

import warnings
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator
from ziafont.config import config as outlines

with warnings.catch_warnings():  # it opens its font by a call that Python 3.11 and 3.12 deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from ziamath.zmath import Latex

project = "toposlearn"
author = ""
html_title = "toposlearn"
extensions = ["myst_nb"]
html_math_renderer = "outlines"
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath"]
suppress_warnings = [
    "myst.header",  # a notebook may skip a level of headings
    "myst.xref_missing",  # a link to a file that is not part of the book becomes text
    "misc.highlighting_failure",
]

html_theme = "sphinx_book_theme"
html_theme_options = {"home_page_in_toc": True, "use_fullscreen_button": False, "navbar_persistent": []}
html_context = {"default_mode": "auto"}  # the theme logs an error where no mode is set
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_show_search_summary = False  # it fetches pages, which a browser forbids without a server
html_use_index = False
html_show_copyright = False
html_show_sphinx = False

EM = 20.0  # units of the drawing in one em of the surrounding text


def setup(app: Sphinx) -> None:
    """Register the renderer ``outlines`` and the removal of dead links; called by Sphinx."""
    app.add_html_math_renderer("outlines", (_visit_formula, None), (_visit_formula, None))
    app.connect("doctree-resolved", _unlink)


def formula(latex: str, *, inline: bool) -> str:
    """LaTeX (without dollars) as SVG on the baseline, in the color and size of its text; ValueError if unreadable."""
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


def _visit_formula(self: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Draw a formula, or warn, which stops a strict build and names the place."""
    inline = isinstance(node, nodes.math)
    tag, end = ("span", "") if inline else ("div", "\n")
    try:
        drawn = formula(node.astext().strip(), inline=inline)
        self.body.append(f"{self.starttag(node, tag, end, CLASS='math notranslate')}{drawn}</{tag}>{end}")
    except ValueError as error:
        logging.getLogger("toposlearn.book").warning("%s", error, location=node)
    raise nodes.SkipNode


def _unlink(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Notebooks link to files outside the book; the parser leaves these as links to missing places of the page."""
    for link in list(doctree.findall(nodes.reference)):
        address = link.get("refuri", f"#{link['refid']}" if "refid" in link else "")
        if address.startswith("#") and address[1:] not in doctree.ids:
            link.replace_self(link.children)
