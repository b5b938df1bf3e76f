"""Commanded against achieved return: does a method do what it is told?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from d4rl_automl import tasks
from d4rl_automl.core import tables
from d4rl_automl.evaluation import intervals
from d4rl_automl.figures import style


def plot(rollouts: Sequence[str | Path], methods: Sequence[str], prefix: str | Path) -> None:
    """Draw one dataset in one simulator, a line per method; files as `style.save`.

    `rollouts`: report tables of every method and training seed; `methods`: all of the run, for their looks. A point is
    the mean return at a target with its 95 % interval (`intervals.mean_interval`); a method without a target is a
    horizontal line. The CSV has one row per point. Raises InputError for tables that cannot
    be read or that mix datasets or simulators.
    """
    table = tables.read_rollouts(rollouts, "report")
    dataset, simulator, task = (tables.one_value(table, column) for column in ("dataset", "simulator", "task"))
    points = calibration(table, task)
    looks = style.looks(methods, points["method"])

    with style.settings():
        figure = Figure(figsize=(8.6, 6.0), layout="constrained")
        figure.suptitle(f"{dataset}, simulator {simulator}")
        axes = figure.subplots()
        commanded = points["commanded_return"].dropna()
        if len(commanded):
            ends = [commanded.min(), commanded.max()]
            axes.plot(ends, ends, color=style.INK, linewidth=1.2, linestyle="--", label="achieved = commanded")
        for method, group in points.groupby("method", sort=False):
            colour, marker = looks[str(method)]
            if group["commanded_return"].isna().all():
                row = group.iloc[0]
                axes.axhline(
                    row["mean_return"], color=colour, linewidth=1.6, linestyle="-.", label=f"{method} (no target)"
                )
                axes.axhspan(row["low"], row["high"], color=colour, alpha=0.12, linewidth=0)
            else:
                x = group["commanded_return"]
                axes.plot(x, group["mean_return"], color=colour, marker=marker, markersize=5, label=str(method))
                axes.fill_between(x, group["low"], group["high"], color=colour, alpha=0.18, linewidth=0)
        style.reference_lines(axes, task)
        axes.set_xlabel("commanded return")
        axes.set_ylabel("achieved return, mean and 95 % interval")
        style.score_axis(axes, task)
        handles = [*axes.get_legend_handles_labels()[0], style.reference_key()]
        style.legend(figure, handles, [str(handle.get_label()) for handle in handles], most=3)
        style.save(figure, points, prefix, {"kind": "calibration", "dataset": dataset, "simulator": simulator})


def calibration(rollouts: pd.DataFrame, task: str) -> pd.DataFrame:
    """One row per method and target.

    Columns: method, fraction, commanded_return, mean_return, low, high (95 % interval),
    training_seeds and episodes (counts). An unconditional method has neither fraction nor
    commanded_return.
    """
    steps = tasks.get(task).episode_steps
    rows = []
    methods = list(dict.fromkeys(rollouts["method"]))
    for (method, _), group in rollouts.groupby(["method", "fraction"], dropna=False):
        fraction = group["fraction"].iloc[0]
        by_seed = [one["return"].to_numpy(np.float64) for _, one in group.groupby("training_seed", sort=True)]
        mean, low, high = intervals.mean_interval(by_seed)
        rows.append(
            {
                "method": method,
                "fraction": fraction,
                "commanded_return": tasks.get(task).target(fraction) * steps,
                "mean_return": mean,
                "low": low,
                "high": high,
                "training_seeds": len(by_seed),
                "episodes": len(group),
            }
        )
    points = pd.DataFrame(rows)
    return points.sort_values("method", key=lambda column: column.map(methods.index), kind="stable", ignore_index=True)
