"""Training curves: the loss over the updates, one panel per method."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from d4rl_automl.core import tables
from d4rl_automl.figures import style
from d4rl_automl.learners.curves import COLUMNS

LINES: dict[str, Any] = {"training": "-", "validation": (0, (3, 1.5))}


def plot(curves: Sequence[str | Path], prefix: str | Path) -> None:
    """Draw the policies of one dataset; files as `style.save`.

    `curves`: CSV of `curves.write`, in the order of the panels. The CSV puts them
    together. Raises InputError for a table that cannot be read, and for tables of several datasets.
    """
    table = pd.concat([tables.read_csv(path, COLUMNS)[list(COLUMNS)] for path in curves], ignore_index=True)
    dataset = tables.one_value(table, "dataset")
    methods = list(dict.fromkeys(table["method"]))
    seeds = sorted(table["seed"].unique())
    columns = min(4, len(methods))
    lines = -(-len(methods) // columns)
    with style.settings():
        figure = Figure(figsize=(max(5.0, 3.3 * columns), 1.1 + 2.5 * lines), layout="constrained")
        figure.suptitle(dataset)
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, method in zip(panels, methods, strict=False):
            own = table[table["method"] == method]
            for seed, run in own.groupby("seed"):
                colour, _ = style.look(seeds.index(seed))
                for name, line in LINES.items():
                    axes.plot(run["update"], run[f"{name}_loss"], color=colour, linestyle=line, linewidth=1.3)
            loss = tables.one_value(own, "loss")
            axes.set_title(method, loc="left")
            axes.set_ylabel(loss)
            # A squared error falls by orders of magnitude; a log-likelihood passes zero.
            if (own["training_loss"] > 0).all() and loss == "squared error":
                axes.set_yscale("log")
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        for axes in panels[len(methods) :]:
            axes.set_visible(False)
        for axes in panels[max(0, len(methods) - columns) : len(methods)]:
            axes.set_xlabel("update (tree)")
        key = [Line2D([], [], color=style.INK, linestyle=line, label=name) for name, line in LINES.items()]
        key += [Line2D([], [], color=style.look(i)[0], label=f"seed {seed}") for i, seed in enumerate(seeds)]
        figure.legend(handles=key, loc="outside lower center", ncols=min(8, len(key)))
        style.save(figure, table, prefix, {"kind": "curves", "dataset": dataset})
