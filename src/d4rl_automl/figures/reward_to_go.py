"""What a dataset demonstrates: the average reward-to-go of its episodes, and their returns."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from d4rl_automl import tasks
from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.figures import style

EPISODES_DRAWN = 60
POINTS_PER_EPISODE = 200
BINS = 60

_TARGET = style.COLOURS[1]


def plot(transitions: str | Path, episodes: str | Path, fractions: Sequence[float], prefix: str | Path) -> None:
    """Draw one dataset; files as `style.save`.

    `fractions` of the expert's return are the commanded targets. Episodes are drawn evenly
    over the ranks of their returns, so that the sample shows the whole distribution;
    an unfinished episode has no return and is left out. The CSV has one row per point, bar and line,
    told apart by the column panel. Raises InputError for a table that cannot be read or has
    no finished episode.
    """
    facts = tables.read_parquet_metadata(transitions, ("dataset", "task"))
    dataset, task = facts["dataset"], tasks.get(facts["task"])
    ends = tables.read_parquet(episodes, ("episode", "length", "return", "split"))
    finished = ends[ends["split"] != "unfinished"].sort_values(["return", "episode"], ignore_index=True)
    if finished.empty:
        raise InputError(f"{episodes}: no episode is finished; there is no return to draw")
    count = min(EPISODES_DRAWN, len(finished))
    sample = finished.iloc[np.linspace(0, len(finished) - 1, count).round().astype(int)]
    lines = _lines(transitions, sample)
    targets = [task.target(fraction) for fraction in fractions]
    commanded = [value * task.episode_steps for value in targets]
    low, high = _limits([*finished["return"], *commanded, task.reference_min, task.reference_max])
    bars, edges = np.histogram(finished["return"], BINS, (low, high))

    with style.settings():
        figure = Figure(figsize=(11, 4.8), layout="constrained")
        figure.suptitle(dataset)
        left, right = figure.subplots(1, 2, width_ratios=(1.45, 1))
        scale = Normalize(*_limits(finished["return"]))
        grouped = [(first, group) for first, group in lines.groupby("return", sort=True)]
        curves = [
            (value, one[["step", "average_reward_to_go"]].to_numpy())
            for value, group in grouped
            for _, one in group.groupby("episode", sort=True)
        ]
        left.add_collection(
            LineCollection(
                [points for _, points in curves],
                array=np.array([value for value, _ in curves]),
                cmap=style.SEQUENTIAL,
                norm=scale,
                linewidths=0.9,
                alpha=0.8,
            )
        )
        for _, points in curves:
            if len(points) == 1:
                left.plot(*points[0], ".", color=style.INK)
        left.autoscale_view()
        left.set_xlim(left=0)
        left.set_xlabel("step in the episode")
        left.set_ylabel("average reward-to-go (per step)")
        left.set_title(f"{count} of {len(finished):,} finished episodes, evenly over the ranks of return", loc="left")
        _mark(left, targets)
        bar = figure.colorbar(ScalarMappable(scale, style.SEQUENTIAL), ax=left, pad=0.01, aspect=30)
        bar.set_label("return of the episode")
        bar.outline.set_visible(False)

        right.barh(edges[:-1], bars, np.diff(edges), align="edge", color=style.GREY, edgecolor="white", linewidth=0.4)
        right.set_xlabel("episodes")
        right.set_ylabel("return")
        right.set_title("returns", loc="left")
        right.grid(axis="y", visible=False)
        _mark(right, commanded)
        style.reference_lines(right, task.name)
        right.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        right.set_xlim(0, bars.max() * 1.12)
        right.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        style.score_axis(right, task.name)
        key = Line2D([], [], color=_TARGET, linewidth=1.8, label="commanded targets")
        figure.legend(handles=[key, style.reference_key()], loc="outside lower center", ncols=2)
        data = pd.concat(
            [
                lines.assign(panel="average reward-to-go"),
                pd.DataFrame({"panel": "returns", "bin_low": edges[:-1], "bin_high": edges[1:], "episodes": bars}),
                pd.DataFrame({"panel": "targets", "fraction": list(fractions), "target": targets}),
            ]
        )[_COLUMNS].astype(dict.fromkeys(("episode", "step", "episodes"), "Int64"))
        style.save(figure, data, prefix, {"kind": "reward_to_go", "dataset": dataset})


_COLUMNS = [
    "panel",
    "episode",
    "return",
    "step",
    "average_reward_to_go",
    "bin_low",
    "bin_high",
    "episodes",
    "fraction",
    "target",
]


def _mark(axes: Axes, values: Sequence[float]) -> None:
    """Short strokes at the right border."""
    for value in values:
        axes.plot([0.965, 1.0], [value, value], transform=axes.get_yaxis_transform(), color=_TARGET, linewidth=1.8)


def _lines(transitions: str | Path, sample: pd.DataFrame) -> pd.DataFrame:
    """The drawn points: columns episode, return, step, average_reward_to_go."""
    chosen = [int(episode) for episode in sample["episode"]]
    rows = tables.read_parquet(transitions, ("episode", "step", "rtg"), filters=[("episode", "in", chosen)])
    missing = set(chosen) - set(rows["episode"])
    if missing:
        raise InputError(f"{transitions}: episode {min(missing)} of the episode table is missing; make both again")
    # A long episode keeps every n-th step and its last, which the eye cannot tell from all of them.
    rows = rows.merge(sample[["episode", "return", "length"]], on="episode").sort_values(["episode", "step"])
    stride = np.maximum(1, rows["length"] // POINTS_PER_EPISODE)
    rows = rows[(rows["step"] % stride == 0) | (rows["step"] == rows["length"] - 1)]
    return rows.rename(columns={"rtg": "average_reward_to_go"})[["episode", "return", "step", "average_reward_to_go"]]


def _limits(values: Sequence[float] | pd.Series) -> tuple[float, float]:
    """Smallest and largest value, half a unit apart from it where all are equal."""
    low, high = float(np.min(values)), float(np.max(values))
    return (low, high) if high > low else (low - 0.5, high + 0.5)
