"""Predicted against recorded actions on held-out episodes, one panel per action dimension."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.figures import style

EDGES = np.linspace(-1, 1, 51)
"""Borders of the bins; actions lie in [-1, 1]."""


def plot(predictions: str | Path, metrics: str | Path, prefix: str | Path) -> None:
    """Draw one teacher; files as `style.save`.

    `predictions`: columns ac0… (recorded) and predicted_ac0… (as when acting), in action
    units; `metrics`: one row per action dimension with dataset, teacher, seed, dimension,
    acting_rmse. The CSV has one row per dimension and bin, with the share of rows (0 to 1) in
    it. Raises InputError for a table that cannot be read, an action that is no finite number or outside [-1, 1],
    and dimensions that differ between the two tables.
    """
    table = tables.read_csv(metrics, ("dataset", "teacher", "seed", "dimension", "acting_rmse")).sort_values(
        "dimension"
    )
    names = [f"ac{int(dimension)}" for dimension in table["dimension"]]
    actions = tables.read_parquet(predictions, [*names, *(f"predicted_{name}" for name in names)])
    bad = ~(np.abs(actions.to_numpy(np.float64)) <= 1)
    if bad.any():
        column = actions.columns[bad.any(axis=0)][0]
        raise InputError(f"{predictions}: column {column}: {bad.sum()} values are outside [-1, 1]; make it again")
    dataset, teacher, seed = (tables.one_value(table, column) for column in ("dataset", "teacher", "seed"))
    shares = pd.concat([_shares(actions, name) for name in names], ignore_index=True)

    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    with style.settings():
        figure = Figure(figsize=(max(6.0, 3.6 * columns), 0.9 + 2.7 * lines), layout="constrained")
        figure.suptitle(f"{dataset}\nteacher {teacher}, training seed {seed}, {len(actions):,} held-out transitions")
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
        for axes, name, rmse in zip(panels, names, table["acting_rmse"], strict=False):
            drawn = shares[shares["action"] == name]
            axes.stairs(drawn["recorded"], EDGES, fill=True, color=style.GREY, alpha=0.55, label="recorded")
            axes.stairs(drawn["predicted"], EDGES, color=style.COLOURS[0], linewidth=1.7, label="predicted")
            axes.set_title(f"{name}, RMSE {rmse:.3f}", loc="left")
            # Actions pile up at the borders; on a square-root scale the rest stays visible beside them.
            axes.set_yscale("function", functions=(lambda share: np.sqrt(np.maximum(share, 0)), np.square))
            axes.set_ylim(0, 1.08 * max(drawn["recorded"].max(), drawn["predicted"].max()))
            axes.set_yticks(_ticks(max(drawn["recorded"].max(), drawn["predicted"].max())))
            axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
            axes.set_xlim(-1.02, 1.02)
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        for axes in panels[max(0, len(names) - columns) : len(names)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("action")
        for axes in panels[::columns]:
            axes.set_ylabel("share of transitions")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        facts = {"kind": "actions", "dataset": dataset, "teacher": teacher, "seed": int(seed)}
        style.save(figure, shares, prefix, facts)


def _shares(actions: pd.DataFrame, name: str) -> pd.DataFrame:
    counts = {
        label: np.histogram(actions[column], EDGES)[0] / len(actions)
        for label, column in (("recorded", name), ("predicted", f"predicted_{name}"))
    }
    return pd.DataFrame({"action": name, "bin_low": EDGES[:-1], "bin_high": EDGES[1:], **counts})


def _ticks(highest: float) -> list[float]:
    """Up to five round shares that lie apart on the square-root scale."""
    steps = [0.0, 0.0025, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0]
    return [0.0, *[step for step in steps if 0.02 * highest < step <= 1.05 * highest][-4:]]
