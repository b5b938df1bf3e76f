"""Datasets × methods: every score at the selected target, coloured."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from d4rl_automl.evaluation import published, score_tables
from d4rl_automl.figures import heat, style


def plot(scores: str | Path, provider: str, simulator: str, prefix: str | Path) -> None:
    """Draw the datasets of one provider in one simulator; files as `style.save`.

    `scores`: CSV of `statistics.score`. For D4RL's own data in its own simulator,
    published scores stand in columns of their own (`published.beside`). The CSV has one row
    per cell: dataset, method, score, spread (standard deviation over training seeds, divisor
    n - 1; as published for the others), seeds, convention, source. Raises InputError for a
    table that cannot be read, and where there is no score of the provider and simulator.
    """
    cells = table(score_tables.read_scores(scores, provider, simulator), provider, simulator)
    own = cells[cells["source"] == _OURS]
    datasets = list(dict.fromkeys(own["dataset"]))
    parts = {
        "this run": list(dict.fromkeys(own["method"])),
        "published": list(dict.fromkeys(cells.loc[cells["source"] != _OURS, "method"])),
    }
    parts = {name: methods for name, methods in parts.items() if methods}
    widths = [len(methods) for methods in parts.values()]
    with style.settings():
        across, down = heat.CELL
        figure = Figure(
            figsize=(max(6.5, 3.4 + across * sum(widths)), 2.0 + down * len(datasets)), layout="constrained"
        )
        what = f"Normalised scores at the selected target, {provider} datasets, simulator {simulator}"
        figure.suptitle(style.several_lines(what, figure.get_figwidth()))
        panels = figure.subplots(1, len(parts), squeeze=False, sharey=True, width_ratios=widths)[0]
        for axes, (name, methods) in zip(panels, parts.items(), strict=True):
            shown = own if name == "this run" else cells[cells["source"] != _OURS]
            grid = shown.set_index(["dataset", "method"])[["score", "spread"]]
            grid = grid.reindex(pd.MultiIndex.from_product([datasets, methods]))
            values = grid["score"].to_numpy(np.float64).reshape(len(datasets), len(methods))
            texts = np.array([_text(*row) for row in grid.itertuples(index=False)]).reshape(values.shape)
            heat.draw(axes, values, texts.tolist(), rows=datasets, columns=methods, limits=(0, 110))
            if name == "published":
                axes.set_xlabel(f"published: {shown['source'].iloc[0]}, {shown['convention'].iloc[0]} scores")
            elif len(parts) > 1:
                axes.set_xlabel("this run")
        facts = {"kind": "heat_table", "provider": provider, "simulator": simulator}
        style.save(figure, cells, prefix, facts)


_OURS = "this run"


def table(scores: pd.DataFrame, provider: str, simulator: str) -> pd.DataFrame:
    """One row per cell; columns as `plot` says."""
    own = scores[scores["target"] == "selected"].groupby(["dataset", "method"], sort=False)["normalised"]
    cells = own.agg(score="mean", spread="std", seeds="size").reset_index()
    cells = cells.assign(convention="selected target, mean over training seeds", source=_OURS)
    if simulator == "d4rl":
        others = published.beside(dict.fromkeys(cells["dataset"], provider)).rename(columns={"std": "spread"})
        if not others.empty:
            cells = pd.concat([cells, others.drop(columns="note")], ignore_index=True)
    return cells.astype({"seeds": "Int64"})


def _text(score: float, spread: float) -> str:
    return f"{score:.1f}" + ("" if np.isnan(spread) else f" ± {spread:.1f}")
