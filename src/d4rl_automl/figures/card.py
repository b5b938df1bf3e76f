"""What a dataset's card shows: how many episodes reached which return, and how long they were; of a maze, the ways."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import card as cards
from d4rl_automl.figures import maze, style
from d4rl_automl.tasks import Task

BINS = 50


def plot(card: str | Path, episodes: str | Path, prefix: str | Path) -> None:
    """Draw the figure of one card; files as `style.save`.

    Finished episodes only, in bars split by how they ended; of a maze whose file tells the goals, the ways of the first
    ones, and in how many steps all of them got there. The CSV has one row per bar: panel (return, length or
    steps_to_goal), bin_low, bin_high, and counts by how they ended. Raises InputError for a file that cannot be read,
    and for tables without a finished episode.
    """
    facts = cards.read(card)
    task = tasks.get(facts["task"])
    ends = tables.read_parquet(episodes, ("return", "length", "terminated", "split"))
    finished = ends[ends["split"] != "unfinished"]
    if finished.empty:
        raise InputError(f"{episodes}: no episode is finished; there is nothing to draw")
    with style.settings():
        if facts["demonstrator"] and task.maze is not None:
            figure, drawn = _ways(facts, task)
        else:
            figure, drawn = _ends(facts, task, finished)
        style.save(figure, drawn, prefix, {"kind": "card", "dataset": facts["dataset"]})


def _ends(facts: Mapping[str, Any], task: Task, finished: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    limits = {
        "return": (
            min(finished["return"].min(), task.reference_min),
            max(finished["return"].max(), task.reference_max),
        ),
        "length": (0.0, float(max(finished["length"].max(), task.episode_steps))),
    }
    fell = finished["terminated"].to_numpy()
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    figure.suptitle(facts["dataset"])
    parts = []
    for axes, (name, (low, high)) in zip(figure.subplots(1, 2), limits.items(), strict=True):
        values = finished[name].to_numpy(np.float64)
        bars = {
            ("truncated", "time limit", style.COLOURS[0]): values[~fell],
            ("terminated", "the robot fell", style.COLOURS[4]): values[fell],
        }
        parts.append(_bars(axes, name, np.linspace(low, high, BINS + 1), bars))
        axes.set_xlabel("return of the episode" if name == "return" else "steps of the episode")
    returns, lengths = figure.axes
    for value in (task.reference_min, task.reference_max):
        returns.axvline(value, **style.REFERENCE_LINE)
    style.score_axis(returns, task.name, side="top")
    share = facts["terminated_share"]
    lengths.set_title(f"{len(finished):,} finished episodes, {share:.0%} ended by a fall", loc="left")
    handles, _ = lengths.get_legend_handles_labels()
    figure.legend(handles=[*handles, style.reference_key()], loc="outside lower center", ncols=3)
    return figure, pd.concat(parts)


def _ways(facts: Mapping[str, Any], task: Task) -> tuple[Figure, pd.DataFrame]:
    told = facts["demonstrator"]
    assert task.maze is not None
    (left, right), (bottom, top) = maze.limits(task.maze)
    width = 4.0 * (right - left) / (top - bottom)
    figure = Figure(figsize=(width + 4.6, 5.2), layout="constrained")
    figure.suptitle(facts["dataset"])
    seen, steps = figure.subplots(1, 2, width_ratios=(width, 3.6))
    shown = told["paths"]
    assert task.goal is not None
    maze.draw(seen, task.maze, np.array([path["goal"] for path in shown]), task.goal.radius)
    paths = [np.column_stack([path["x"], path["y"]]) for path in shown]
    maze.draw_paths(seen, paths, np.array([path["reached"] for path in shown]))
    seen.set_title(f"the first {len(shown)} episodes, until the goal", loc="left")
    seen.set_xlabel("x in metres")
    seen.set_ylabel("y in metres")
    values = np.array(told["steps_to_goal"], np.float64)
    edges = np.linspace(0, max(task.episode_steps, values.max(initial=0)), BINS + 1)
    drawn = _bars(steps, "steps_to_goal", edges, {("reached", "reached its goal", maze.REACHED): values})
    steps.set_xlabel("steps until the goal")
    steps.set_title(f"{told['success']:.1%} of {told['episodes']:,} finished\nepisodes reached it", loc="left")
    figure.legend(handles=maze.key(), loc="outside lower center", ncols=5)
    return figure, drawn


def _bars(
    axes: Axes, panel: str, edges: NDArray[np.float64], values: Mapping[tuple[str, str, Any], NDArray[np.float64]]
) -> pd.DataFrame:
    """Bars of counts on top of each other, by (column of the table, label, colour); returns the table."""
    bottom, columns = np.zeros(len(edges) - 1), {}
    for (name, label, colour), ours in values.items():
        columns[name] = np.histogram(ours, edges)[0]
        axes.bar(
            edges[:-1], columns[name], np.diff(edges), bottom, align="edge", color=colour, label=label,
            edgecolor="white", linewidth=0.3,
        )  # fmt: skip
        bottom += columns[name]
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("episodes")
    return pd.DataFrame({"panel": panel, "bin_low": edges[:-1], "bin_high": edges[1:], **columns})
