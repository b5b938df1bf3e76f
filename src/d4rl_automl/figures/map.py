"""Where each method goes in a maze, and where it fails."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from d4rl_automl import tasks
from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation.targets import chosen_fractions, commanded
from d4rl_automl.figures import maze, style

EPISODES_DRAWN = 40
"""Of each method: the first ones, evenly over training seeds, so that all methods show the same starts and goals."""
COLUMNS = ["method", "training_seed", "fraction", "episode", "success", "goal_x", "goal_y", "point", "x", "y"]
_PATH = ["goal_x", "goal_y", "path_x", "path_y"]
_WIDTH = 13.0
"""Of a full row of panels, in inches."""
_LARGEST = 4.4
"""A panel, along its longer side, in inches."""
_ONE_LINE = 5.5
"""What the legend takes in one line, in inches."""


def plot(rollouts: Sequence[str | Path], targets: Sequence[str | Path], prefix: str | Path) -> None:
    """Draw one dataset of a maze in one simulator, a panel per method; files as `style.save`.

    `rollouts`: report tables of every method and training seed; `targets`: the chosen targets, of which the episodes
    are. Shares are of all of them, paths of the first `EPISODES_DRAWN`. The CSV has one row per point of a path, in
    metres. Raises InputError for tables that cannot be read, that mix datasets or simulators, or that are of no maze,
    and where a method has no chosen target.
    """
    table = tables.read_rollouts(rollouts, "report", _PATH)
    dataset, simulator, name = (tables.one_value(table, column) for column in ("dataset", "simulator", "task"))
    task = tasks.get(name)
    if task.maze is None or task.goal is None:
        raise InputError(f"{rollouts[0]}: is of {name}, which is no maze")
    methods = list(dict.fromkeys(table["method"]))
    chosen = chosen_fractions(targets, dataset, simulator, methods)
    (left, right), (bottom, top) = maze.limits(task.maze)
    columns, lines, width = _layout(len(methods), (right - left) / (top - bottom))
    height = width * (top - bottom) / (right - left)
    narrow = columns * width < _ONE_LINE
    parts = []
    with style.settings():
        figure = Figure(
            figsize=(0.7 + columns * (width + 0.2), 1.5 + 0.25 * narrow + lines * (height + 0.5)), layout="constrained"
        )
        figure.suptitle(f"{dataset}, simulator {simulator}")
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for index, (axes, method) in enumerate(zip(panels, methods, strict=False)):
            own = commanded(table[table["method"] == method], chosen[method])
            if own.empty:
                raise InputError(f"rollouts: {dataset}, {method}: no episode at the chosen {chosen[method]}")
            shown = own.sort_values(["episode", "training_seed"]).head(EPISODES_DRAWN)
            paths = [np.column_stack(path) for path in zip(shown["path_x"], shown["path_y"], strict=True)]
            maze.draw(axes, task.maze, own[["goal_x", "goal_y"]].to_numpy(np.float64), task.goal.radius)
            maze.draw_paths(axes, paths, shown["success"].to_numpy(bool))
            axes.set_title(method, loc="left", fontweight="bold", pad=17)
            share = f"{own['success'].to_numpy(bool).mean():.0%}".replace("%", " %")
            command = "" if chosen[method] is None else f", f = {chosen[method]}"
            axes.text(0, 1.02, f"{share} of {len(own):,} episodes{command}", transform=axes.transAxes, fontsize=9)
            if index % columns == 0:
                axes.set_ylabel("y in metres")
            if index >= len(methods) - columns:
                axes.set_xlabel("x in metres")
                axes.tick_params(labelbottom=True)
            parts.append(_points(shown, paths))
        for axes in panels[len(methods) :]:
            axes.set_visible(False)
        figure.legend(handles=maze.key(), loc="outside lower center", ncols=3 if narrow else 5)
        style.save(figure, pd.concat(parts), prefix, {"kind": "map", "dataset": dataset, "simulator": simulator})


def _layout(panels: int, aspect: float) -> tuple[int, int, float]:
    """Columns, lines and the width of a panel in inches, for so many panels that are `aspect` as wide as high."""
    most = 5 if aspect < 1.2 else 4
    lines = -(-panels // most)
    columns = -(-panels // lines)
    return columns, lines, min(_LARGEST * min(aspect, 1.0), _WIDTH / columns)


def _points(episodes: pd.DataFrame, paths: Sequence[np.ndarray]) -> pd.DataFrame:
    """`COLUMNS`: a row per point of each episode's path."""
    repeated = episodes.loc[episodes.index.repeat([len(path) for path in paths])].reset_index(drop=True)
    x, y = np.concatenate(paths).astype(np.float64).round(3).T
    number = np.concatenate([np.arange(len(path)) for path in paths])
    return repeated.assign(point=number, x=x, y=y)[COLUMNS]
