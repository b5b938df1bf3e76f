"""Score against cost: what making a policy, and acting with it, buys."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from d4rl_automl.core import tables
from d4rl_automl.evaluation import score_tables, statistics
from d4rl_automl.evaluation.costs import COLUMNS
from d4rl_automl.figures import style

PANELS = {
    "with_teacher_core_seconds": "core-seconds to make a policy, its teacher included",
    "microseconds_per_action": "microseconds per action, one thread, batches of 2,000",
}
LEAST_SPAN = 10.0
"""Score points from the bottom to the top of a panel, at least: a tenth of a point is not to look like a difference."""
NAMED = 3
"""Up to so many datasets are named above their panels."""


def plot(
    costs: str | Path,
    scores: str | Path,
    methods: Sequence[str],
    *,
    provider: str,
    suite: str,
    simulator: str,
    prefix: str | Path,
) -> None:
    """Draw the methods of one provider's datasets of one suite, in one simulator; files as `style.save`.

    `costs`: CSV of `costs.measure`; `scores`: CSV of `statistics.score`; `methods`: all of the run, for their looks.
    Methods are compared on datasets that they share only: a row of panels for every such set of datasets, the largest
    first (`shared`). The CSV is `table`. Raises InputError for a table that cannot be read, and where there is no
    score of these.
    """
    shown = score_tables.read_scores(scores, provider, simulator, suite)
    shown = shown[shown["target"] == "selected"]
    drawn = table(shown, tables.read_csv(costs, COLUMNS))
    looks = style.looks(methods, dict.fromkeys(drawn["method"]))
    rows = [group for _, group in drawn.groupby("shared", sort=False)]
    with style.settings():
        figure = Figure(figsize=(11, 1.3 + 3.7 * len(rows)), layout="constrained")
        what = f"Score against cost, {provider} {suite} datasets, simulator {simulator}"
        figure.suptitle(what + style.no_interval(drawn.rename(columns={"iqm_low": "low"})))
        panels = figure.subplots(len(rows), 2, sharey="row", squeeze=False)
        for line, group in zip(panels, rows, strict=True):
            for axes, cost in zip(line, PANELS, strict=True):
                _panel(axes, group, cost, looks)
            line[0].set_title(_which(group["shared"].iloc[0], shown["dataset"].nunique()), loc="left")
            line[0].set_ylabel("interquartile mean of scores")
        for axes, title in zip(panels[-1], PANELS.values(), strict=True):
            axes.set_xlabel(title)
        shown_in = [(axes, group, cost) for line, group in zip(panels, rows, strict=True)
                    for axes, cost in zip(line, PANELS, strict=True)]  # fmt: skip
        named = [_named(*each) for each in shown_in]
        if None in named:
            for name in (name for names in named for name in names or ()):
                name.remove()
            _legend(figure)
        facts = {"kind": "costs", "provider": provider, "suite": suite, "simulator": simulator}
        style.save(figure, drawn, prefix, facts)


def shared(scores: pd.DataFrame) -> list[tuple[list[str], list[str]]]:
    """Sets of datasets on which methods can be compared, and those methods: (datasets, methods), the largest first.

    One for every set of datasets that some method was made for; on it stand all methods that have all of them. A set
    on which a method stands alone is left out, unless it is the only one.
    """
    made = {method: frozenset(own["dataset"]) for method, own in scores.groupby("method", sort=False)}
    order = list(dict.fromkeys(scores["dataset"]))
    found = [
        (sorted(datasets, key=order.index), [str(method) for method, own in made.items() if datasets <= own])
        for datasets in dict.fromkeys(made.values())
    ]
    found = [pair for pair in found if len(pair[1]) > 1] or found[:1]
    return sorted(found, key=lambda pair: -len(pair[0]))


def table(scores: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """One row per set of datasets that methods share, and method.

    Columns: shared (the datasets, with spaces between), those of `statistics.summarise` over these datasets alone, and
    the costs' means over them and the training seeds. `scores`: at the selected target.
    """
    parts = []
    for datasets, methods in shared(scores):
        own = scores[scores["dataset"].isin(datasets) & scores["method"].isin(methods)]
        spent = costs[costs["dataset"].isin(datasets)].groupby("method")[COLUMNS[4:]].mean()
        parts.append(statistics.summarise(own).merge(spent, on="method", how="left"))
        parts[-1].insert(0, "shared", " ".join(datasets))
    return pd.concat(parts, ignore_index=True)


def _which(names: str, of: int) -> str:
    datasets = names.split()
    if len(datasets) == of:
        return f"all {of} datasets" if of > 1 else datasets[0]
    said = f"{len(datasets)} of {of} datasets"
    return f"{said}: {', '.join(datasets)}" if len(datasets) <= NAMED else said


def _panel(axes: Axes, group: pd.DataFrame, cost: str, looks: dict[str, style.Look]) -> None:
    rows: Any = group.to_dict("records")
    for row in rows:
        colour, marker = looks[row["method"]]
        if np.isfinite(row["iqm_low"]):
            axes.vlines(row[cost], row["iqm_low"], row["iqm_high"], color=colour, linewidth=1.5, alpha=0.6)
        axes.plot(row[cost], row["iqm"], marker, label=row["method"], color=colour, markersize=8, linestyle="")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12, y=0.12)
    low, high = axes.get_ylim()
    if (lacking := LEAST_SPAN - (high - low)) > 0:
        axes.set_ylim(low - lacking / 2, high + lacking / 2)


def _named(axes: Axes, group: pd.DataFrame, cost: str) -> list[Annotation] | None:
    measured = group[np.isfinite(group[cost])]
    bars = measured[np.isfinite(measured["iqm_low"])]
    return style.label_points(
        axes,
        list(zip(measured[cost], measured["iqm"], measured["method"], strict=True)),
        list(zip(bars[cost], bars["iqm_low"], bars["iqm_high"], strict=True)),
    )


def _legend(figure: Figure) -> None:
    """The methods of all panels, each once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    style.legend(figure, list(found.values()), list(found), most=4)
