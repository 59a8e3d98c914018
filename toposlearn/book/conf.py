"""Settings of Sphinx. `toposlearn.book.build` copies this file into the folder of the book's sources."""

project = "toposlearn"
author = ""
html_title = "toposlearn"
language = "en"

extensions = ["myst_nb", "toposlearn.book.sphinx_extension"]
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
