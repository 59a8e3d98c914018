"""HTML pages of one file that need no network: style, skeleton and figures."""

from base64 import b64encode
from html import escape
from io import BytesIO

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#1f2329;background:#fff}
img{max-width:100%;height:auto;vertical-align:middle}figure{margin:1rem 0}figcaption{color:#4a5058;max-width:60rem}
table{border-collapse:collapse;font-size:.85em;margin:.6rem 0}pre{overflow-x:auto;font-size:.85em}
td,th{border-bottom:1px solid #d8dee4;padding:.25rem .6rem;text-align:left;vertical-align:top}
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.good{color:#1b7f4b}.bad{color:#b3261e}.open{color:#5f6770}
details{margin:.5rem 0}summary{cursor:pointer}li{margin:.3rem 0}
"""


def html_page(title: str, body: str) -> str:
    """The whole page; the body is HTML."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def png_of(figure: Figure, dpi: int = 100) -> bytes:
    """A figure as PNG; closes it."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    return buffer.getvalue()


def figure_element(figure: Figure, caption: str) -> str:
    """A figure as part of a page, with its caption (text); closes it."""
    text, source = escape(caption), data_uri(png_of(figure), "png")
    return f'<figure><img alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>'


def data_uri(image: bytes, kind: str) -> str:
    """An image of this kind (png, jpeg) as the source of an ``img``."""
    return f"data:image/{kind};base64,{b64encode(image).decode()}"
