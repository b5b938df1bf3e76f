"""Score against evaluation budget: how good is the target that so many selection episodes choose?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import budget
from d4rl_automl.figures import style


def plot(
    selection: Sequence[str | Path], report: Sequence[str | Path], methods: Sequence[str], prefix: str | Path
) -> None:
    """Draw one dataset in one simulator, a line per method that is commanded targets; files as `style.save`.

    `selection`, `report`: the episodes of every method and training seed; `methods`: all of the run, for their looks.
    The CSV is `budget.by_budget`. Raises InputError for tables that cannot be read, that mix datasets or simulators, or
    in which no method is commanded several targets.
    """
    chosen_from, reported = tables.read_rollouts(selection, "selection"), tables.read_rollouts(report, "report")
    both = pd.concat([chosen_from, reported])
    dataset, simulator = (tables.one_value(both, name) for name in ("dataset", "simulator"))
    drawn = budget.by_budget(chosen_from, reported)
    if drawn.empty:
        raise InputError(f"{selection[0]}: no method is commanded several targets; there is nothing to choose")
    looks = style.looks(methods, dict.fromkeys(drawn["method"]))
    sizes = sorted(drawn["selection_episodes"].unique())
    before, after = -1, len(sizes)
    with style.settings():
        figure = Figure(figsize=(8.6, 4.8), layout="constrained")
        figure.suptitle(f"{dataset}, simulator {simulator}")
        axes = figure.subplots()
        ends = []
        for method, (colour, marker) in looks.items():
            own = drawn[drawn["method"] == method]
            places = [sizes.index(size) for size in own["selection_episodes"]]
            axes.fill_between(places, own["low"], own["high"], color=colour, alpha=0.13, linewidth=0)
            axes.plot(places, own["score"], color=colour, marker=marker, markersize=5)
            last = own.iloc[-1]
            axes.plot(before, last["fixed"], color=colour, marker=marker, markersize=7, fillstyle="none")
            axes.plot([places[-1], after], [last["score"], last["hindsight"]], color=colour, linewidth=1, linestyle=":")
            axes.plot(after, last["hindsight"], color=colour, marker=marker, markersize=7, fillstyle="none")
            ends.append((float(last["hindsight"]), method, colour))
        axes.set_xticks([before, *range(len(sizes)), after], ["none:\nf = 1.0", *map(str, sizes), "best in\nhindsight"])
        axes.set_xlim(before - 0.4, after + 0.3)
        axes.set_xlabel("selection episodes per target")
        axes.set_ylabel("normalised score on report episodes")
        axes.grid(axis="x", visible=False)
        dot: dict[str, Any] = {"color": style.INK, "marker": "o"}
        key = [
            Line2D([], [], **dot, markersize=5, label="of the chosen target, mean and 95 % of the draws"),
            Line2D([], [], **dot, markersize=7, fillstyle="none", linestyle="", label="of a target that no one chose"),
        ]
        figure.legend(handles=key, loc="outside lower center", ncols=2)
        style.label_ends(axes, ends)
        style.save(figure, drawn, prefix, {"kind": "budget", "dataset": dataset, "simulator": simulator})
