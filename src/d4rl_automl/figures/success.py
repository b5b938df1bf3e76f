"""How often each method reaches its goal, beside the episodes of the data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import score_tables
from d4rl_automl.figures import style

DEMONSTRATOR = "demonstrator"
COLUMNS = ["method", "seed", "episodes", "success_rate", "success_low", "success_high"]
_BAR = 0.7
"""Its height, of the 1 from one method to the next."""


def plot(scores: str | Path, episodes: str | Path, simulator: str, methods: Sequence[str], prefix: str | Path) -> None:
    """Draw one dataset in one simulator, a bar per method; files as `style.save`.

    `scores`: the dataset's (`score_tables.score_dataset`), of which the selected target is drawn; `episodes`: the
    dataset's episodes; `methods`: all of the run, for their looks. A bar is the mean over training seeds, a dot one
    of them with its interval
    (`intervals.success_interval`). The demonstrator's bar is the share of the finished episodes that have a
    reward at all. The CSV has one row per dot, and one of the demonstrator. Raises InputError for tables that
    cannot be read, where a score is of no goal, and where no episode is finished.
    """
    table = tables.read_csv(scores, (*score_tables.SCORE_COLUMNS, *COLUMNS[2:]))
    dataset = tables.one_value(table, "dataset")
    shown = table[(table["simulator"] == simulator) & (table["target"] == "selected")]
    if shown.empty or shown["success_rate"].isna().any():
        raise InputError(f"{scores}: no success rate of every method in the simulator {simulator!r}; score it again")
    recorded = tables.read_parquet(episodes, ("return", "split"))
    recorded = recorded[recorded["split"] != "unfinished"]
    if recorded.empty:
        raise InputError(f"{episodes}: no episode is finished; the demonstrator has no success to draw")
    rewarded = float((recorded["return"] > 0).mean())
    played = list(dict.fromkeys(shown["method"]))
    looks = style.looks(methods, played)
    with style.settings():
        figure = Figure(figsize=(8.6, 1.4 + 0.42 * (len(played) + 1)), layout="constrained")
        figure.suptitle(f"{dataset}, simulator {simulator}")
        axes = figure.subplots()
        _bar(axes, 0, rewarded, style.GREY)
        for place, method in enumerate(played, 1):
            own = shown[shown["method"] == method]
            _bar(axes, place, float(own["success_rate"].mean()), looks[method][0])
            heights = place + _BAR * ((np.arange(len(own)) + 0.5) / len(own) - 0.5)
            axes.hlines(heights, own["success_low"], own["success_high"], color=style.INK, linewidth=1.2, zorder=3)
            axes.plot(own["success_rate"], heights, "o", color=style.INK, markersize=4, zorder=4, clip_on=False)
        axes.set_yticks(range(len(played) + 1), ["data: rewarded episodes", *played])
        axes.set_ylim(len(played) + 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        axes.set_xlabel("episodes that reach the goal, with 95 % interval of each training seed")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        data = pd.concat(
            [
                pd.DataFrame({"method": [DEMONSTRATOR], "episodes": [len(recorded)], "success_rate": [rewarded]}),
                shown,
            ]
        ).reindex(columns=COLUMNS)
        data["seed"] = data["seed"].astype("Int64")
        style.save(figure, data, prefix, {"kind": "success", "dataset": dataset, "simulator": simulator})


def _bar(axes: Axes, place: int, share: float, colour: str) -> None:
    """A bar with its number in a column of their own, right of the axes: a whisker would cross it elsewhere."""
    axes.barh(place, share, _BAR, color=colour, alpha=0.75, zorder=2)
    axes.annotate(
        f"{share:.0%}".replace("%", " %"),
        (1, place),
        xycoords=axes.get_yaxis_transform(),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontweight="bold",
    )
