"""A frame of a film: the picture and what is said above and below it; of a maze, the map with the way so far."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from d4rl_automl.figures import maze as maze_figure
from d4rl_automl.figures import style
from d4rl_automl.films.robots import FINER, draw_limbs
from d4rl_automl.tasks.mazes import Maze

SIZE = (320, 240)
"""Width and height of a frame in pixels."""
_HEAD, _FOOT = 30, 18
PICTURE = (SIZE[0], SIZE[1] - _HEAD - _FOOT)
"""Of the picture in it."""
MAP = (200, PICTURE[1])
"""Of the map of a maze, which is beside the picture of the ant."""
CLOSE_UP = (SIZE[0] - MAP[0], 122)
"""Of that picture."""
PAPER, FAINT, BAR = "#FFFFFF", "#666666", "#DDDDDD"
_MARGIN = 5
_FONTS = Path(matplotlib.get_data_path(), "fonts/ttf")


def _font(name: str, size: float) -> ImageFont.FreeTypeFont:
    # Basic: with the other layout, which not every Pillow has, widths differ.
    return ImageFont.truetype(_FONTS / f"{name}.ttf", size, layout_engine=ImageFont.Layout.BASIC)


_PLAIN, _BOLD = _font("DejaVuSans", 10.5), _font("DejaVuSans-Bold", 10.5)


@dataclass(frozen=True)
class Heading:
    """What stands above the picture, the same in all frames."""

    dataset: str
    played: str
    """By which policy, told what."""
    which: str
    """Which episode, at the right."""


@dataclass(frozen=True)
class State:
    """What stands below the picture."""

    at: str
    value: str
    """At the right."""
    share: float
    """Of the episode, that is over."""
    remark: str = ""
    """On the picture."""


def frame(picture: Image.Image, heading: Heading, state: State) -> Image.Image:
    """A frame of `SIZE` around a picture of `PICTURE`."""
    image = Image.new("RGB", SIZE, PAPER)
    image.paste(picture, (0, _HEAD))
    pen = ImageDraw.Draw(image)
    pen.fontmode = "L"
    _line(pen, 2, heading.dataset, "", _BOLD)
    _line(pen, 15, heading.played, heading.which, _PLAIN)
    foot = SIZE[1] - _FOOT
    _line(pen, foot + 1, state.at, state.value, _PLAIN)
    pen.rectangle((0, SIZE[1] - 3, SIZE[0], SIZE[1]), fill=BAR)
    pen.rectangle((0, SIZE[1] - 3, round(SIZE[0] * state.share), SIZE[1]), fill=style.COLOURS[0])
    if state.remark:
        width = pen.textlength(state.remark, _BOLD)
        left, top = 2 * _MARGIN, _HEAD + _MARGIN
        pen.rounded_rectangle((_MARGIN, top, left + width + _MARGIN, top + 17), 3, fill=PAPER, outline=FAINT)
        pen.text((left, top + 2), state.remark, style.INK, _BOLD)
    return image


def _line(pen: ImageDraw.ImageDraw, top: int, left: str, right: str, font: ImageFont.FreeTypeFont) -> None:
    """Text at both ends of a line; the left one is cut where it has no room."""
    room = SIZE[0] - 2 * _MARGIN - (pen.textlength(right, _PLAIN) + _MARGIN if right else 0)
    pen.text((_MARGIN, top), _cut(pen, left, font, room), style.INK, font)
    pen.text((SIZE[0] - _MARGIN, top), right, FAINT, _PLAIN, anchor="ra")


def _cut(pen: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    if pen.textlength(text, font) <= room:
        return text
    while text and pen.textlength(f"{text}…", font) > room:
        text = text[:-1]
    return f"{text}…"


class Map:
    """A maze from above, in the colours of the figure that shows the ways of all methods."""

    def __init__(self, maze: Maze, goal: NDArray[np.float64], radius: float, reached: bool, model: mujoco.MjModel):
        """`goal` (2,) in metres, reached within `radius`; whether the episode `reached` it; the ant's model."""
        self._model, self._data = model, mujoco.MjData(model)
        self._colour = ImageColor.getrgb(maze_figure.REACHED if reached else maze_figure.FAILED)
        (left, right), (bottom, top) = maze_figure.limits(maze)
        width, height = (FINER * length for length in MAP)
        self._scale = min(width / (right - left), height / (top - bottom))
        self._middle = np.array([(left + right) / 2, (bottom + top) / 2])
        self._still = Image.new("RGB", (width, height), PAPER)
        pen = ImageDraw.Draw(self._still)
        pen.rectangle((*self._place((left, top)), *self._place((right, bottom))), fill="#FBFBF9")
        half = maze.cell_size / 2
        for cell in maze.walls:
            x, y = maze.centre(cell)
            far, near = np.clip((x - half, x + half), left, right), np.clip((y - half, y + half), bottom, top)
            pen.rectangle((*self._place((far[0], near[1])), *self._place((far[1], near[0]))), fill=maze_figure.WALL)
        self._disc(pen, goal, radius * self._scale, maze_figure.GOAL, "#3E8E6A")
        self._disc(pen, maze.centre(maze.start), 2.5 * FINER, PAPER, style.INK)

    def _place(self, point: tuple[float, float] | NDArray[np.float64]) -> tuple[float, float]:
        x, y = self._scale * (np.asarray(point)[:2] - self._middle)
        return FINER * MAP[0] / 2 + float(x), FINER * MAP[1] / 2 - float(y)

    def _disc(
        self,
        pen: ImageDraw.ImageDraw,
        middle: tuple[float, float] | NDArray[np.float64],
        radius: float,
        fill: str,
        outline: str,
    ) -> None:
        x, y = self._place(middle)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill, outline=outline, width=FINER)

    def picture(self, qpos: NDArray[np.float64], way: NDArray[np.float64]) -> Image.Image:
        """The ant at positions (nq,), and its `way` (n, 2) so far."""
        image = self._still.copy()
        pen = ImageDraw.Draw(image)
        if len(way) > 1:
            pen.line([self._place(point) for point in way], fill=self._colour, width=2 * FINER, joint="curve")
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        heights = self._data.geom_xpos[:, 2]
        draw_limbs(pen, self._model, self._data, place=self._place, scale=self._scale, nearness=heights)
        return image.resize(MAP, Image.Resampling.BOX)


def beside(map_picture: Image.Image, close_up: Image.Image, lines: tuple[str, ...]) -> Image.Image:
    """A picture of `PICTURE`: the map, the ant beside it, and `lines` below that."""
    image = Image.new("RGB", PICTURE, PAPER)
    image.paste(map_picture, (0, 0))
    image.paste(close_up, (MAP[0], 0))
    pen = ImageDraw.Draw(image)
    pen.fontmode = "L"
    for number, line in enumerate(lines):
        text = _cut(pen, line, _PLAIN, CLOSE_UP[0] - 2 * _MARGIN)
        pen.text((MAP[0] + _MARGIN, CLOSE_UP[1] + 6 + 14 * number), text, style.INK, _PLAIN)
    return image
