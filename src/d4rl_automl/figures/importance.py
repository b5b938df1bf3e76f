"""Importance of the features: a heat table, one panel per model, one column per action dimension where they differ."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from d4rl_automl.core import tables
from d4rl_automl.figures import style
from d4rl_automl.learners import importance
from d4rl_automl.tasks.outcomes import RULES


def plot(parts: Sequence[str | Path], prefix: str | Path) -> None:
    """Draw the models of one dataset; files as `style.save`.

    `parts`: CSV of `importance.write`, in the order of the panels. Shares are means over the training seeds; so are the
    rows of the CSV: dataset, model, output, feature, importance. Raises InputError for a table that cannot be read, and
    for tables of several datasets.
    """
    rows = pd.concat([tables.read_csv(path, importance.COLUMNS) for path in parts], ignore_index=True)
    dataset = tables.one_value(rows, "dataset")
    mean = rows.groupby(["dataset", "model", "output", "feature"], sort=False)["importance"].mean().reset_index()
    features = sorted(mean["feature"].unique(), key=_place)
    models = list(dict.fromkeys(mean["model"]))
    grids = [
        mean[mean["model"] == model].pivot(index="feature", columns="output", values="importance").reindex(features)
        for model in models
    ]
    scale = PowerNorm(0.5, 0, max(float(np.nanmax(grid)) for grid in grids) or 1.0)
    widths = [max(len(grid.columns), 2) for grid in grids]
    with style.settings():
        figure = Figure(figsize=(2.2 + 0.42 * sum(widths) + 0.5 * len(models), 1.6 + 0.24 * len(features)))
        figure.set_layout_engine("constrained")
        figure.suptitle(dataset)
        panels = figure.subplots(1, len(models), width_ratios=widths, squeeze=False, sharey=True)[0]
        for axes, model, grid in zip(panels, models, grids, strict=True):
            axes.grid(visible=False)
            axes.set_facecolor("#F2F2F2")
            axes.imshow(grid.to_numpy(), cmap=style.SEQUENTIAL, norm=scale, aspect="auto", interpolation="nearest")
            axes.set_title(model, loc="left", rotation=30 if len(models) > 1 else 0, ha="left", va="bottom")
            axes.set_xticks(range(len(grid.columns)), list(grid.columns), rotation=90)
            axes.set_yticks(range(len(features)), features)
        bar = figure.colorbar(ScalarMappable(scale, style.SEQUENTIAL), ax=list(panels), pad=0.02, aspect=30)
        bar.set_label("share of the importance")
        bar.outline.set_visible(False)
        style.save(figure, mean, prefix, {"kind": "importance", "dataset": dataset})


def _place(feature: str) -> tuple[int, int]:
    """Observations, outcome, then actions, each by its number."""
    name = feature.rstrip("0123456789")
    outcome = dict.fromkeys(column for rule in RULES.values() for column in rule.columns)
    return ["ob", *outcome, "ac"].index(name), int(feature[len(name) :] or 0)
