"""The explorer's picture: heads, one per row, on linked planes; images on the left, token colors on the right."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from torch import Tensor

from toposlearn.explore import neighborhoods as blocks
from toposlearn.explore.slices import PLANE_AXES, PLANES, Panel, Plane, cut, draw_panel, extent_of, place_in_words
from toposlearn.explore.tokens_rgb import color_overlay, share_in_words
from toposlearn.explorer.answers import Answer, View, answer, describe
from toposlearn.explorer.scene import Scene

SIZE = (14.4, 8.6)  # inches, with three rows
LEFT, RIGHT, BOTTOM, TOP, GAP, MIDDLE = 0.055, 0.995, 0.065, 0.865, 0.006, 0.022  # fractions of the picture
ROW_GAP = 0.03
ROW = (TOP - BOTTOM + ROW_GAP) / 3  # with its gap
PERSON_A, PERSON_B = "person a", "person b"
POINT: Mapping[str, Any] = {"mew": 1.8, "path_effects": [withStroke(linewidth=3.5, foreground="black")]}
Marks = list[tuple[int, str]]  # tokens and their colors


def plot_explorer(scene: Scene, view: View, where: int | str) -> Figure:
    """Draw one token of person a (or the nearest of the foreground) or one of `Scene.points`, and what `answer` gives.

    Rows: person a in modality a, the same head in modality b if that is another, person b in modality b. Planes of
    person a go through the token, those of b through the true place, or through the match where it is unknown.
    """
    return draw_answer(scene, view, answer(scene, view, where))


def draw_answer(scene: Scene, view: View, reply: Answer) -> Figure:
    """Draw an answer, as in `plot_explorer`."""
    rows: list[tuple[str, int, str, Tensor, Marks]] = [
        (PERSON_A, view.subject_a, view.modality_a, reply.place, _neighbors(reply, reply.neighbors_a)),
        (PERSON_A, view.subject_a, view.modality_b, reply.place, _neighbors(reply, reply.neighbors_b)),
        (PERSON_B, view.subject_b, view.modality_b, reply.shown, reply.match.answers),
    ]
    if view.modality_a == view.modality_b:
        del rows[1]
    figure = plt.figure(figsize=(SIZE[0], SIZE[1] * (1 - (3 - len(rows)) * ROW)))
    for row, (who, subject, modality, center, marks) in enumerate(rows):
        _draw_head(figure, scene, view, reply, (row, who, subject, modality, center), marks)
        middle = _height(figure, TOP - (row + 0.5) * ROW)
        text = f"{who}: {scene.subjects.names[subject]}\n{modality}"
        figure.text(LEFT - 0.008, middle, text, rotation=90, ha="right", va="center", size=10, linespacing=1.3)
    _write_heads(figure, scene, view, reply)
    _add_legend(figure, view, reply)
    return figure


def _height(figure: Figure, y: float) -> float:
    """The height in this picture, of two or three rows, that is as far below the top as `y` is in one of three."""
    return 1 - (1 - y) * SIZE[1] / figure.get_figheight()


def _neighbors(reply: Answer, neighbors: Sequence[int]) -> Marks:
    marks = [(index, blocks.SHARED if index in reply.shared else blocks.SINGLE) for index in neighbors]
    return [*marks, (reply.token, blocks.ANCHOR)]


def _draw_head(
    figure: Figure, scene: Scene, view: View, reply: Answer, head: tuple[int, str, int, str, Tensor], marks: Marks
) -> None:
    """Draw one row: three planes of a head as images, and the same planes as colors of tokens."""
    row, who, subject, modality, center = head
    volume = scene.subjects.volumes[subject, scene.subjects.modalities.index(modality)]
    point, shape, mask = center.tolist(), scene.shape, scene.mask[subject]
    colors = color_overlay(scene.colors[view.network][modality][subject], scene.stride, shape, mask)
    heat = blocks.similarity_overlay(reply.match.similarity, scene.stride, shape, mask) if who == PERSON_B else None
    for column, (plane, at) in enumerate(zip(PLANES, point, strict=True)):
        panel = Panel(volume, plane, at, scene.subjects.spacing, heat)
        image, beside = (_add_slice(figure, row, place, panel, who) for place in (column, column + 3))
        draw_panel(image, panel)
        image.set_title(place_in_words(plane, at), size=8.5, pad=2.5)
        extent = extent_of(shape, plane, panel.spacing)
        beside.imshow(cut(colors, plane, at, panel.spacing), extent=extent, origin="lower", interpolation="nearest")
        for ax in (image, beside):
            _draw_marks(ax, scene, marks, panel, point)
            _draw_points(ax, scene, reply, panel, who)
        if who == PERSON_B:
            _draw_letters(image, scene, reply, plane)


def _add_slice(figure: Figure, row: int, column: int, panel: Panel, who: str) -> Axes:
    """Axes at a row and one of 6 columns, images and colors apart; labeled with person, plane and place in mm."""
    width = (RIGHT - LEFT - MIDDLE - 4 * GAP) / 6
    left = LEFT + column * width + (column - column // 3) * GAP + (MIDDLE if column >= 3 else 0)
    top, bottom = (_height(figure, TOP - row * ROW - down) for down in (0, ROW - ROW_GAP))
    ax = figure.add_axes((left, bottom, width, top - bottom), label=f"{who}|{panel.plane}|{panel.at!r}")
    ax.set(xticks=[], yticks=[], facecolor="black")
    ax.spines[:].set_visible(False)
    return ax


def point_of_click(figure: Figure, x: float, y: float) -> tuple[float, float, float] | None:
    """The place (right, front, up) in mm under fractions (x, y) of the picture; None outside person a's slices."""
    pixel = cast("tuple[float, float]", tuple(figure.transFigure.transform((x, y))))
    for ax in figure.axes:
        who, plane, at = str(ax.get_label()).split("|")
        if who == PERSON_A and ax.bbox.contains(*pixel):
            point = [float(at)] * 3
            across, up = PLANE_AXES[plane]
            point[across], point[up] = (float(value) for value in ax.transData.inverted().transform(pixel))
            return point[0], point[1], point[2]
    return None


def _draw_marks(ax: Axes, scene: Scene, marks: Marks, panel: Panel, point: Sequence[float]) -> None:
    """Draw blocks of tokens, several on one token within each other, and where the other two planes cut this one."""
    across, up = PLANE_AXES[panel.plane]
    ax.axvline(point[across], color="white", lw=0.5, alpha=0.45, zorder=3)
    ax.axhline(point[up], color="white", lw=0.5, alpha=0.45, zorder=3)
    halo = [withStroke(linewidth=3.5, foreground="black", alpha=0.7)]
    seen: dict[int, int] = {}
    for index, color in marks:
        half = scene.token_size / 2 - 2.2 * seen.get(index, 0)
        seen[index] = seen.get(index, 0) + 1
        blocks.draw_block(ax, panel, scene.positions[index].numpy(), half, color, lw=1.7, zorder=4, path_effects=halo)


def _draw_points(ax: Axes, scene: Scene, reply: Answer, panel: Panel, who: str) -> None:
    """Draw the center of a structure or the landmark and, in person b, the match below a token; small off the plane."""
    points = {"+": (reply.place if who == PERSON_A else reply.shown, blocks.ANCHOR)} if reply.name else {}
    points |= {"x": (reply.soft, blocks.MATCH)} if who == PERSON_B else {}
    for marker, (place, color) in points.items():
        x, y = (float(place[axis]) for axis in PLANE_AXES[panel.plane])
        away = abs(float(place[PLANES.index(panel.plane)]) - panel.at)
        size = 7 if away <= scene.token_size / 2 else 4
        ax.plot(x, y, marker, c=color, ms=size, zorder=6, scalex=False, scaley=False, **POINT)


def _draw_letters(ax: Axes, scene: Scene, reply: Answer, plane: Plane) -> None:
    """Write T, M, P beside the blocks of the true place, the match and position, so that no colors are needed."""
    letters: dict[int, str] = {}
    for letter, index in (("T", reply.match.truth), ("M", reply.match.found), ("P", reply.match.position)):
        if index is not None:
            letters[index] = letters.get(index, "") + letter
    halo = [withStroke(linewidth=2, foreground="black")]
    for index, text in letters.items():
        x, y = (float(scene.positions[index, axis]) + scene.token_size / 2 + 1.5 for axis in PLANE_AXES[plane])
        ax.text(x, y, text, size=8, weight="bold", c="white", va="center", zorder=7, clip_on=True, path_effects=halo)


def _write_heads(figure: Figure, scene: Scene, view: View, reply: Answer) -> None:
    people, match, neighbors, *places = describe(scene, view, reply)
    figure.text(0.5, _height(figure, 0.99), match, ha="center", va="top", size=14, weight="bold")
    lines = [f"{people} · {neighbors}", " · ".join(places)]
    figure.text(0.5, _height(figure, 0.958), "\n".join(lines), ha="center", va="top", size=9.5, linespacing=1.25)
    quarter = (RIGHT - LEFT) / 4
    cut_through = "the match" if reply.match.truth is None else "the true place"
    explained = share_in_words(scene.explained[view.network])
    left = f"images; person b is cut through {cut_through}, bright where similar to the token"
    right = f"tokens as colors, one basis for all heads: {explained} of the features"
    for x, text in ((LEFT + quarter, left), (LEFT + 3 * quarter, right)):
        figure.text(x, _height(figure, TOP + 0.033), text, ha="center", va="bottom", size=9, color="0.3")
    ax = figure.axes[-6]  # the first image of person b: below it a bar of 50 mm
    ax.apply_aspect()
    box = ax.get_position()
    end = box.x0 + 50 * box.width / (ax.get_xlim()[1] - ax.get_xlim()[0])
    figure.add_artist(Line2D([box.x0, end], [box.y0 - 0.012] * 2, color="black", lw=2))
    figure.text(end + 0.004, box.y0 - 0.012, "50 mm", va="center", size=8)


def _add_legend(figure: Figure, view: View, reply: Answer) -> None:
    same = view.modality_a == view.modality_b
    colors = {
        "the token" if reply.match.truth is None else "the token, and T: its true place": blocks.ANCHOR,
        "neighbor" if same else "neighbor in both modalities": blocks.SHARED,
        **({} if same else {"neighbor in this modality only": blocks.SINGLE}),
        "M: match, the most similar": blocks.MATCH,
        f"P: {'same grid position' if view.position == 'grid' else 'centered position'}": blocks.POSITION,
    }
    points = {"+": ("the place itself", blocks.ANCHOR)} if reply.name else {}
    points |= {"x": ("match below a token", blocks.MATCH)}
    marks = [Line2D([], [], ls="", marker=m, c=color, label=text, **POINT) for m, (text, color) in points.items()]
    blocks.name_blocks(figure, colors, others=marks)
