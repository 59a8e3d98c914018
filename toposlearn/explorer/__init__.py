"""The explorer: an application to look up neighbors and matches of a token, in a notebook or as a page of its own."""

from toposlearn.explorer.answers import answer, choose_token, describe, first_view
from toposlearn.explorer.figure import plot_explorer
from toposlearn.explorer.scene import open_scene
from toposlearn.explorer.widget import explorer
