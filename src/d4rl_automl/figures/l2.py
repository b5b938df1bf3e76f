"""Squared error of the actions, by teacher or method and action dimension."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from d4rl_automl.core import files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.figures import heat, style

ORIGIN = files.RESOURCES / "autogluon_l2.csv"
"""What was published of the four presets, on one dataset of D4RL."""
MEAN = "mean"


def plot(dataset: str, provider: str, metrics: Sequence[str | Path], students: str | Path, prefix: str | Path) -> None:
    """Draw one dataset; files as `style.save`.

    `metrics`: one row per action dimension of each teacher and training seed; `students`: CSV of
    `comparison.compare`. The CSV is `table`. Raises InputError for a table that cannot be read,
    and for metrics of another dataset.
    """
    drawn = table(dataset, provider, metrics, students)
    if drawn.empty:
        _tell_that_nothing_is_held_out(dataset, drawn, prefix)
        return
    rows = list(dict.fromkeys(drawn["row"]))
    columns = [*sorted(set(drawn["dimension"]) - {MEAN}), MEAN]
    grid = drawn.pivot(index="row", columns="dimension", values="l2").reindex(index=rows, columns=columns)
    values = grid.to_numpy(np.float64)
    texts = [["" if np.isnan(value) else f"{value:.4f}" for value in line] for line in values]
    with style.settings():
        across, down = heat.CELL
        figure = Figure(figsize=(max(7.0, 4.6 + across * len(columns)), 1.3 + down * len(rows)), layout="constrained")
        figure.suptitle(f"{dataset}: mean squared error on held-out transitions")
        heat.draw(
            figure.subplots(),
            values,
            texts,
            rows=rows,
            columns=columns,
            limits=(float(np.nanmin(values)), float(np.nanmax(values))),
        )
        style.save(figure, drawn, prefix, {"kind": "l2", "dataset": dataset})


def table(dataset: str, provider: str, metrics: Sequence[str | Path], students: str | Path) -> pd.DataFrame:
    """One row per cell: row, dimension (ac0… or mean), l2 (mean over training seeds, action units), seeds, source.

    Of a teacher there are the errors with the true earlier actions as inputs, and, where it is a
    chain, those with its own earlier actions, as when it acts. Of a method there are those on
    the sample of test rows that all methods are compared on. What was measured in December 2022 stands beside
    D4RL's own dataset of that name and no other. There is no row where no policy has held-out transitions.
    """
    parts = []
    read = [tables.read_csv(path, _METRICS) for path in metrics]
    for teachers in [pd.concat(read, ignore_index=True)] if read else []:
        if set(teachers["dataset"]) != {dataset}:
            raise InputError(f"metrics: found those of {', '.join(set(teachers['dataset']))}; expected {dataset} alone")
        for (name, preset, chain), own in teachers.groupby(["teacher", "preset", "chain"], sort=False):
            title = f"{name} (preset {preset})"
            labels = {"mse": f"{title}, true earlier actions", "acting_mse": f"{title}, own earlier actions"}
            for column, label in labels.items() if chain else [("mse", title)]:
                parts.append(_dimensions(label, own, column, "this run"))
    compared = tables.read_csv(students, ("method", "seed", "l2_data")).drop_duplicates(["method", "seed"])
    columns = [name for name in compared.columns.astype(str) if name.startswith("l2_data_ac")]
    held_out = compared.dropna(subset="l2_data").melt(["method", "seed"], columns, "dimension", "l2")
    held_out["dimension"] = held_out["dimension"].str.removeprefix("l2_data_ac").astype(int)
    for method, own in held_out.groupby("method", sort=False):
        parts.append(_dimensions(f"method {method}", own, "l2", "this run"))
    if provider == "d4rl":
        origin = tables.read_csv(ORIGIN, ("dataset", "preset", "dimension", "l2", "source")).assign(seed=0)
        for preset, own in origin[origin["dataset"] == dataset].groupby("preset", sort=False):
            parts.append(_dimensions(f"published: preset {preset!s}", own, "l2", own["source"].iloc[0]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(_COLUMNS))


_COLUMNS = ("row", "dimension", "l2", "seeds", "source")
_METRICS = ("dataset", "teacher", "seed", "dimension", "preset", "chain", "mse", "acting_mse")


def _tell_that_nothing_is_held_out(dataset: str, drawn: pd.DataFrame, prefix: str | Path) -> None:
    with style.settings():
        figure = Figure(figsize=(7.0, 1.3), layout="constrained")
        figure.suptitle(f"{dataset}: mean squared error on held-out transitions")
        figure.text(0.5, 0.3, "no transitions were held out from these policies", ha="center")
        style.save(figure, drawn, prefix, {"kind": "l2", "dataset": dataset})


def _dimensions(label: str, own: pd.DataFrame, column: str, source: str) -> pd.DataFrame:
    """The cells of one row: every dimension, and their mean."""
    by_dimension = own.groupby("dimension")[column].mean()
    values = [*by_dimension, by_dimension.mean()]
    names = [*(f"ac{dimension}" for dimension in by_dimension.index), MEAN]
    facts = {"row": label, "dimension": names, "l2": values, "seeds": own["seed"].nunique(), "source": source}
    return pd.DataFrame(facts)
