"""Returns by commanded target, with the demonstrator's own returns beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from d4rl_automl import tasks
from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation.targets import chosen_fractions
from d4rl_automl.figures import style

DEMONSTRATOR = "demonstrator"
SHOWN_ONE_BY_ONE = 10
"""Up to so many returns in a violin, each is drawn: the shape alone would pretend to know more."""
COLUMNS = [
    "dataset",
    "simulator",
    "method",
    "training_seed",
    "fraction",
    "target",
    "episode",
    "return",
    "normalised_score",
]


def plot(
    rollouts: Sequence[str | Path],
    episodes: str | Path,
    targets: Sequence[str | Path],
    methods: Sequence[str],
    prefix: str | Path,
) -> None:
    """Draw one dataset in one simulator, a panel per method; files as `style.save`.

    `rollouts`: report tables of every method and training seed; `episodes`: the dataset's episodes; `targets`: the
    chosen targets, drawn darker; `methods`: all of the run, for their looks. The CSV holds every return that is drawn,
    the demonstrator's as method "demonstrator". Raises InputError for tables that cannot be read, that mix datasets or
    simulators, and where a method has no chosen target.
    """
    table = tables.read_rollouts(rollouts, "report")
    dataset, simulator, task = (tables.one_value(table, column) for column in ("dataset", "simulator", "task"))
    played = list(dict.fromkeys(table["method"]))
    looks = style.looks(methods, played)
    chosen = chosen_fractions(targets, dataset, simulator, played)
    shown = tables.read_parquet(episodes, ("episode", "return", "split", "normalised_score"))
    shown = shown[shown["split"] != "unfinished"]
    if shown.empty:
        raise InputError(f"{episodes}: no episode is finished; the demonstrator has no return to draw")

    columns = 1 if len(played) == 1 else 2
    lines = -(-len(played) // columns)
    # All panels have room for as many violins, so that a violin is as wide in each of them.
    width = 1 + max(3, int(table.groupby("method")["fraction"].nunique().max()))
    with style.settings():
        figure = Figure(figsize=(8.0 if columns == 1 else 13.0, 1.3 + 3.1 * lines), layout="constrained")
        figure.suptitle(f"{dataset}, simulator {simulator}")
        panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        for index, (axes, method) in enumerate(zip(panels, played, strict=False)):
            own = table[table["method"] == method]
            _panel(axes, own, shown["return"], chosen=chosen[method], colour=looks[method][0])
            axes.set_xlim(-0.6, width - 0.4)
            axes.set_title(method, loc="left", fontweight="bold")
            style.reference_lines(axes, task)
            style.score_axis(axes, task, label=index % columns == columns - 1 or index == len(played) - 1)
            if index % columns == 0:
                axes.set_ylabel("return")
            if index >= len(played) - columns:
                axes.set_xlabel("commanded target (fraction of the expert's return)")
        for axes in panels[len(played) :]:
            axes.set_visible(False)
        figure.legend(handles=_legend(), loc="outside lower center", ncols=3 if columns == 1 else 6, columnspacing=1.4)
        demonstrated = shown.assign(dataset=dataset, simulator=simulator, method=DEMONSTRATOR)
        data = pd.concat([table, demonstrated], ignore_index=True).reindex(columns=COLUMNS)
        for column in ("training_seed", "episode"):
            data[column] = data[column].astype("Int64")
        style.save(figure, data, prefix, {"kind": "returns", "dataset": dataset, "simulator": simulator})


def _panel(axes: Axes, episodes: pd.DataFrame, demonstrated: pd.Series, *, chosen: float | None, colour: str) -> None:
    groups: list[tuple[str, pd.Series, float | None]] = [("data", demonstrated, None)]
    if episodes["fraction"].isna().all():
        groups.append(("none", episodes["return"], None))
    else:
        for fraction in sorted(set(episodes["fraction"])):
            groups.append((str(fraction), episodes.loc[episodes["fraction"] == fraction, "return"], fraction))
    task = tables.one_value(episodes, "task")
    steps = tasks.get(task).episode_steps
    for place, (_, returns, fraction) in enumerate(groups):
        values = returns.to_numpy(np.float64)
        selected = fraction is not None and chosen is not None and bool(np.isclose(fraction, chosen))
        bodies: Any = axes.violinplot(values, [place], widths=0.86, showextrema=False)["bodies"]
        body = bodies[0]
        body.set_facecolor(style.GREY if place == 0 else colour)
        body.set_edgecolor(style.INK)
        body.set_linewidth(1.2 if selected else 0.4)
        body.set_alpha(0.95 if selected else 0.45)
        if len(values) <= SHOWN_ONE_BY_ONE:
            axes.hlines(values, place - 0.1, place + 0.1, color=style.INK, linewidth=0.7, zorder=2.6)
        axes.vlines(place, *np.quantile(values, [0.25, 0.75]), color=style.INK, linewidth=2.6, zorder=3)
        axes.plot(place, values.mean(), "o", color="white", markeredgecolor=style.INK, markersize=5, zorder=4)
        if fraction is not None:
            commanded = tasks.get(task).target(fraction) * steps
            axes.hlines(commanded, place - 0.42, place + 0.42, color=style.INK, linewidth=1.3, zorder=2.5)
    axes.axvline(0.5, color="#BBBBBB", linewidth=0.8)
    axes.set_xticks(range(len(groups)), [name for name, *_ in groups])
    axes.grid(axis="x", visible=False)


def _legend() -> list[Line2D | Patch]:
    return [
        Patch(facecolor=style.GREY, alpha=0.45, edgecolor=style.INK, label="returns in the data"),
        Patch(facecolor="white", edgecolor=style.INK, linewidth=1.2, label="dark: the chosen target"),
        Line2D([], [], color=style.INK, linewidth=1.3, label="commanded return"),
        Line2D([], [], color="white", marker="o", markeredgecolor=style.INK, markersize=5, label="mean"),
        Line2D([], [], color=style.INK, linewidth=2.6, label="middle half"),
        style.reference_key(),
    ]
