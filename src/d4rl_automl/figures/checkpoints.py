"""Final or best: returns at points of a fit, over the loss."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from d4rl_automl import tasks
from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation.intervals import success_interval
from d4rl_automl.figures import style
from d4rl_automl.figures.returns import DEMONSTRATOR, SHOWN_ONE_BY_ONE
from d4rl_automl.learners import curves as training_curves

KEEPS = {"last": "the end", "best": "least validation loss"}
"""Which weights a method keeps."""
DARK, PALE = 0.95, 0.45


def plot(
    rollouts: Sequence[str | Path], curves: Sequence[str | Path], episodes: str | Path, prefix: str | Path
) -> None:
    """Draw one dataset in one simulator, a panel per method; files as `style.save`.

    `rollouts`: tables of `evaluation.checkpoints.play`, of every method and training seed; `curves`: CSV of
    `curves.write`, of the same; `episodes`: the dataset's. The CSV holds every return that is drawn, the demonstrator's
    as method "demonstrator". Raises InputError for tables that cannot be read, that mix datasets or simulators, and for
    a checkpoint that its curve does not have.
    """
    played = pd.concat([_read(path) for path in rollouts], ignore_index=True)
    losses = pd.concat(
        [tables.read_csv(path, training_curves.COLUMNS)[list(training_curves.COLUMNS)] for path in curves],
        ignore_index=True,
    )
    dataset, simulator, task = (tables.one_value(played, column) for column in ("dataset", "simulator", "task"))
    shown = tables.read_parquet(episodes, ("episode", "return", "split", "normalised_score"))
    shown = shown[shown["split"] != "unfinished"]
    methods = list(dict.fromkeys(played["method"]))
    columns = min(2, len(methods))
    lines = -(-len(methods) // columns)
    goal = tasks.get(task).goal is not None
    with style.settings():
        figure = Figure(figsize=(7.0 * columns, 1.0 + 4.6 * lines), layout="constrained")
        figure.suptitle(f"{dataset}, simulator {simulator}")
        grid = figure.add_gridspec(2 * lines, columns, height_ratios=[3, 1] * lines)
        first: Axes | None = None
        for index, method in enumerate(methods):
            line, column = divmod(index, columns)
            above = figure.add_subplot(grid[2 * line, column], sharey=first)
            below = figure.add_subplot(grid[2 * line + 1, column], sharex=above)
            first = first or above
            own, curve = (table[table["method"] == method] for table in (played, losses))
            best = _best(own, curve)
            _returns(above, own, shown["return"], best=best, colour=style.look(index)[0], goal=goal)
            _losses(below, curve, own["update"].unique())
            above.set_title(f"{method}\n{_answer(own, best, goal)}", loc="left")
            above.tick_params(labelbottom=False)
            if not goal:
                style.reference_lines(above, task)
                style.score_axis(above, task, label=column == columns - 1 or index == len(methods) - 1)
            if column == 0:
                above.set_ylabel("share of goals reached" if goal else "return")
            below.set_xlabel("update")
        figure.legend(handles=_legend(goal), loc="outside lower center", ncols=min(4, 2 * columns + 1))
        data = played.drop(columns=["task", "keeps"])
        if not goal:
            demonstrated = shown.assign(dataset=dataset, simulator=simulator, method=DEMONSTRATOR)
            data = pd.concat([data, demonstrated], ignore_index=True).reindex(columns=data.columns)
            for name in ("training_seed", "episode", "update"):
                data[name] = data[name].astype("Int64")
        style.save(figure, data, prefix, {"kind": "checkpoints", "dataset": dataset, "simulator": simulator})


def _read(path: str | Path) -> pd.DataFrame:
    facts = tables.read_parquet_metadata(path, ("task", "keeps"))
    if facts["keeps"] not in KEEPS:
        raise InputError(f"{path}: keeps is {facts['keeps']!r}; expected one of {', '.join(KEEPS)}")
    return tables.read_parquet(path, tables.CHECKPOINT_COLUMNS).assign(task=facts["task"], keeps=facts["keeps"])


def _best(episodes: pd.DataFrame, curve: pd.DataFrame) -> int | None:
    """The checkpoint whose validation loss, averaged over the training seeds, is least; None where none is known."""
    updates = sorted(episodes["update"].unique())
    loss = curve.groupby("update")["validation_loss"].mean()
    if missing := [update for update in updates if update not in loss.index]:
        raise InputError(
            f"curves: {tables.one_value(episodes, 'method')} has no loss of update {missing[0]}; pass the curve of the "
            "fit that the checkpoints are of"
        )
    loss = loss[updates].dropna()
    return None if loss.empty else int(loss.index[int(np.argmin(loss))])


def _answer(episodes: pd.DataFrame, best: int | None, goal: bool) -> str:
    """Final or best: the mean over training seeds of the end, and of the checkpoint of least validation loss."""

    def mean(update: int) -> str:
        own = episodes[episodes["update"] == update]
        if goal:
            return f"{own['success'].mean():.0%}".replace("%", " %")
        return f"{own.groupby('training_seed')['normalised_score'].mean().mean():.1f}"

    last = int(episodes["update"].max())
    what = "goals reached" if goal else "score"
    kept = f"kept: {KEEPS[tables.one_value(episodes, 'keeps')]}"
    if best is None:
        return f"{what}: end {mean(last)}, nothing held out; {kept}"
    if best == last:
        return f"{what}: end and least validation loss {mean(last)}; {kept}"
    return f"{what}: end {mean(last)}, least validation loss {mean(best)}; {kept}"


def _returns(
    axes: Axes, episodes: pd.DataFrame, demonstrated: pd.Series, *, best: int | None, colour: str, goal: bool
) -> None:
    updates = [int(update) for update in sorted(episodes["update"].unique())]
    spacing = updates[0] if len(updates) == 1 else min(np.diff([0, *updates]))
    for update in updates:
        own = episodes[episodes["update"] == update]
        alpha = DARK if update == best else PALE
        if goal:
            reached = own["success"].to_numpy(bool)
            share = reached.mean()
            low, high = success_interval(int(reached.sum()), len(reached))
            bars = axes.errorbar(update, share, [[share - low], [high - share]], fmt="o", color=colour, capsize=3)
            for part in bars.get_children():
                part.set_alpha(alpha)
        else:
            _violin(axes, own["return"], update, width=0.8 * spacing, colour=colour, alpha=alpha)
    if goal:
        axes.set_ylim(-0.02, 1.02)
    else:
        _violin(axes, demonstrated, 0, width=0.8 * spacing, colour=style.GREY, alpha=PALE)
    axes.set_xlim(-0.6 * spacing, updates[-1] + 0.6 * spacing)
    axes.grid(axis="x", visible=False)


def _violin(axes: Axes, returns: pd.Series, place: float, *, width: float, colour: str, alpha: float) -> None:
    values = returns.to_numpy(np.float64)
    bodies: Any = axes.violinplot(values, [place], widths=width, showextrema=False)["bodies"]
    bodies[0].set(facecolor=colour, edgecolor=style.INK, linewidth=1.2 if alpha == DARK else 0.4, alpha=alpha)
    if len(values) <= SHOWN_ONE_BY_ONE:
        axes.hlines(values, place - 0.1 * width, place + 0.1 * width, color=style.INK, linewidth=0.7, zorder=2.6)
    axes.vlines(place, *np.quantile(values, [0.25, 0.75]), color=style.INK, linewidth=2.6, zorder=3)
    axes.plot(place, values.mean(), "o", color="white", markeredgecolor=style.INK, markersize=5, zorder=4)


def _losses(axes: Axes, curve: pd.DataFrame, updates: Any) -> None:
    for _, run in curve.groupby("seed"):
        for name, line in (("training", "-"), ("validation", (0, (3, 1.5)))):
            axes.plot(run["update"], run[f"{name}_loss"], color=style.INK, linestyle=line, linewidth=1.1)
    axes.vlines(updates, 0, 1, transform=axes.get_xaxis_transform(), color="#BBBBBB", linewidth=0.8, zorder=1)
    axes.set_ylabel(tables.one_value(curve, "loss").replace(" ", "\n"))
    if (curve["training_loss"] > 0).all() and tables.one_value(curve, "loss") == "squared error":
        axes.set_yscale("log")
        # The labels of a logarithmic axis overlap in so low a panel.
        ends = curve[["training_loss", "validation_loss"]].stack().agg(["min", "max"])
        axes.set_yticks(ends, [f"{end:.2g}" for end in ends])
        axes.minorticks_off()
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _legend(goal: bool) -> list[Line2D | Patch]:
    dark = Patch(facecolor="white", edgecolor=style.INK, linewidth=1.2, label="dark: least validation loss")
    lines = [
        Line2D([], [], color=style.INK, label="training loss"),
        Line2D([], [], color=style.INK, linestyle=(0, (3, 1.5)), label="validation loss"),
    ]
    if goal:
        return [dark, *lines]
    return [
        Patch(facecolor=style.GREY, alpha=PALE, edgecolor=style.INK, label="returns in the data"),
        dark,
        Line2D([], [], color="white", marker="o", markeredgecolor=style.INK, markersize=5, label="mean"),
        Line2D([], [], color=style.INK, linewidth=2.6, label="middle half"),
        *lines,
        style.reference_key(),
    ]
