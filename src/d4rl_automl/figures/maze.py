"""A maze seen from above, and ways through it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from d4rl_automl.figures import style
from d4rl_automl.tasks import mazes
from d4rl_automl.tasks.mazes import Maze

REACHED, FAILED = style.COLOURS[0], style.COLOURS[1]
WALL, GOAL = "#D5D0C8", "#BFE3D0"
_RIM = 0.3
"""How much of the walls around a maze is shown, in cells."""
_FAILED_END: dict[str, Any] = {"marker": "X", "color": FAILED, "markeredgecolor": "white", "markeredgewidth": 0.5}


def limits(maze: Maze) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where in x and in y a drawing of a maze goes, in metres."""
    centres = np.array([maze.centre(cell) for cell in maze.cells(mazes.FREE, mazes.START, mazes.GOAL)])
    beyond = (0.5 + _RIM) * maze.cell_size
    (left, bottom), (right, top) = centres.min(axis=0) - beyond, centres.max(axis=0) + beyond
    return (float(left), float(right)), (float(bottom), float(top))


def draw(axes: Axes, maze: Maze, goals: NDArray[np.floating] | None = None, radius: float = 0.0) -> None:
    """Draw the walls, the start and where some goals (n, 2) are reached: within `radius` of each; all in metres."""
    half = maze.cell_size / 2
    corners = [maze.centre(cell) for cell in maze.walls]
    boxes = [Rectangle((x - half, y - half), 2 * half, 2 * half) for x, y in corners]
    axes.add_collection(PatchCollection(boxes, facecolor=WALL, edgecolor=WALL, linewidth=0.5, zorder=1))
    if goals is not None:
        circles = [Circle((x, y), radius) for x, y in goals]
        axes.add_collection(PatchCollection(circles, facecolor=GOAL, edgecolor="none", zorder=1.2))
    axes.plot(*maze.centre(maze.start), "o", color="white", markeredgecolor=style.INK, markersize=5, zorder=6)
    across, up = limits(maze)
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(2 * maze.cell_size))


def draw_paths(axes: Axes, paths: Sequence[NDArray[np.floating]], reached: NDArray[np.bool_]) -> None:
    """Draw paths (p, 2) in metres, those of episodes that `reached` (n,) their goals and, above, those that did not.

    Each of the latter has a mark where it ends.
    """
    for which, colour, order in ((reached, REACHED, 2.0), (~reached, FAILED, 2.2)):
        lines = [path for path, shown in zip(paths, which, strict=True) if shown]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=0.8, alpha=0.45, zorder=order))
    ends = np.array([path[-1] for path in paths])[~reached]
    axes.plot(*ends.T, linestyle="", **_FAILED_END, markersize=6, zorder=5)


def key() -> list[Line2D | Patch]:
    """The entries of a legend for what `draw` and `draw_paths` draw."""
    return [
        Line2D([], [], linestyle="", marker="o", color="white", markeredgecolor=style.INK, markersize=5, label="start"),
        Patch(facecolor=GOAL, label="goals"),
        Line2D([], [], color=REACHED, linewidth=1.6, label="reached its goal"),
        Line2D([], [], color=FAILED, linewidth=1.6, label="did not"),
        Line2D([], [], linestyle="", **_FAILED_END, markersize=7, label="where it ended"),
    ]
