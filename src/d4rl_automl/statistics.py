"""Scores and their statistics: what a method is worth, and how sure that is."""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rliable import library, metrics

from d4rl_automl import files, tables
from d4rl_automl.errors import InputError

TARGET_RULES = {
    "selected": "the target chosen on separate selection episodes",
    "fixed": "fraction 1.0, the expert's return",
    "all": "all commanded targets together",
}
"""How the target behind a score was picked; an unconditional method scores the same by all three."""

BOOTSTRAP_REPETITIONS = 2000
BOOTSTRAP_SEED = 0


def score_table(
    rollouts: pd.DataFrame,
    targets: Iterable[Mapping[str, Any]],
    providers: Mapping[str, str],
) -> pd.DataFrame:
    """One row per dataset, method, training seed, simulator and target rule.

    `rollouts`: report episodes (`tables.read_rollouts(paths, "report")`); `targets`: what
    `targets.choose` gave for every dataset, method and simulator; `providers`: of each
    dataset, in the order of the table. Columns: mean_return and std_return (over episodes,
    divisor n), mean_length (steps), terminated (share of episodes, 0 to 1), normalised (mean
    normalised score), diverged (count). Where fraction 1.0 was not commanded, the rule
    "fixed" has no row, and the log says so. Raises InputError for other than report
    episodes, a target that is missing or was not commanded, and a dataset without provider.
    """
    if set(rollouts["purpose"]) != {"report"}:
        raise InputError("column purpose: scores are made of report episodes only; pass the report tables")
    chosen = {(entry["dataset"], entry["method"], entry["simulator"]): entry["fraction"] for entry in targets}
    rows = []
    for key, group in rollouts.groupby(["dataset", "method", "training_seed", "simulator"], sort=False):
        dataset, method, seed, simulator = map(str, key)
        if dataset not in providers:
            raise InputError(f"rollouts: the dataset {dataset!r} is none of {', '.join(providers)}")
        if (dataset, method, simulator) not in chosen:
            raise InputError(f"targets: none was chosen for {dataset}, {method}, {simulator}; choose it first")
        for rule, fraction, episodes in _by_rule(group, chosen[dataset, method, simulator]):
            if episodes.empty and rule == "fixed":
                logging.warning("%s, %s: fraction 1.0 was not commanded; no score at a fixed target", dataset, method)
                continue
            if episodes.empty:
                raise InputError(f"rollouts: {dataset}, {method}, seed {seed}: no episode at the chosen {fraction}")
            rows.append(
                {
                    "dataset": dataset,
                    "provider": providers[dataset],
                    "method": method,
                    "kind": tables.one_value(group, "kind"),
                    "seed": int(seed),
                    "simulator": simulator,
                    "target": rule,
                    "fraction": fraction,
                    "episodes": len(episodes),
                    "mean_return": episodes["return"].mean(),
                    "std_return": episodes["return"].std(ddof=0),
                    "mean_length": episodes["length"].mean(),
                    "terminated": episodes["terminated"].mean(),
                    "normalised": episodes["normalised_score"].mean(),
                    "diverged": int(episodes["diverged"].sum()),
                }
            )
    table = pd.DataFrame(rows)
    # Not the alphabet's order: datasets as given, methods as they first come.
    order = {"dataset": [*providers], "target": [*TARGET_RULES], "method": [*dict.fromkeys(table["method"])]}
    return table.sort_values(
        ["dataset", "simulator", "target", "method", "seed"],
        key=lambda column: column.map(order[str(column.name)].index) if column.name in order else column,
        ignore_index=True,
    )


def _by_rule(group: pd.DataFrame, chosen: float | None) -> Iterator[tuple[str, float | None, pd.DataFrame]]:
    """(target rule, fraction, episodes) of one policy."""
    if group["fraction"].isna().all():
        for rule in TARGET_RULES:
            yield rule, None, group
        return
    for rule, fraction in (("selected", chosen), ("fixed", 1.0)):
        yield rule, fraction, group[np.isclose(group["fraction"], np.nan if fraction is None else fraction)]
    yield "all", None, group


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per provider, method, simulator and target rule: the interquartile mean over seeds and datasets.

    Providers stay apart, because an embedded dataset is not the D4RL dataset of a similar
    name. Columns: datasets and seeds (counts), mean and iqm (normalised scores), iqm_low and
    iqm_high (see `iqm_interval`). Raises InputError where a method lacks a seed of a dataset.
    """
    rows = []
    for key, group in scores.groupby(["provider", "method", "simulator", "target"], sort=False):
        grid = group.pivot(index="seed", columns="dataset", values="normalised")
        if grid.isna().any(axis=None):
            seed, dataset = grid.stack(future_stack=True).pipe(lambda cells: cells[cells.isna()].index[0])
            raise InputError(f"scores: {key[1]} has no score of training seed {seed} on {dataset}; roll it out")
        values = grid.to_numpy(np.float64)
        low, high = iqm_interval(values)
        rows.append(
            dict(zip(("provider", "method", "simulator", "target"), key, strict=True))
            | {"datasets": grid.shape[1], "seeds": grid.shape[0], "mean": values.mean()}
            | {"iqm": metrics.aggregate_iqm(values), "iqm_low": low, "iqm_high": high}
        )
    return pd.DataFrame(rows)


def iqm_interval(scores: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile interval of the interquartile mean, by rliable's stratified bootstrap.

    `scores`: (training seeds, datasets). The seeds of each dataset are drawn anew (Agarwal et
    al. 2021, "Deep reinforcement learning at the edge of the statistical precipice"). With
    one training seed there is nothing to draw from and the interval is (NaN, NaN): the
    bootstrap would report a width of zero.
    """
    if len(scores) < 2:
        return np.nan, np.nan
    with _numpy_seed(BOOTSTRAP_SEED):
        _, intervals = library.get_interval_estimates(
            {"method": scores}, lambda draw: np.array([metrics.aggregate_iqm(draw)]), reps=BOOTSTRAP_REPETITIONS
        )
    low, high = intervals["method"][:, 0]
    return float(low), float(high)


@contextlib.contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator for a while: rliable 1.2.0 draws from it whatever `random_state` it is given."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def mean_interval(groups: Sequence[NDArray[np.float64]]) -> tuple[float, float, float]:
    """Mean over groups of their means, and its 95 % percentile interval: (mean, low, high).

    `groups`: the returns of each training seed's episodes. The bootstrap draws training seeds,
    and within each its episodes (Davison and Hinkley 1997, section 3.8), so that the interval
    holds both kinds of chance; with one training seed it is the ordinary bootstrap over episodes.
    """
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = generator.integers(len(groups), size=(BOOTSTRAP_REPETITIONS, len(groups)))
    means = np.empty(drawn.shape)
    for index, group in enumerate(groups):
        places = drawn == index
        picks = generator.integers(len(group), size=(int(places.sum()), len(group)))
        means[places] = group[picks].mean(axis=1)
    low, high = np.quantile(means.mean(axis=1), [0.025, 0.975])
    return float(np.mean([group.mean() for group in groups])), float(low), float(high)


def aligned(table: pd.DataFrame) -> str:
    """A table as text with aligned columns, for a terminal or a log."""
    return table.to_string(index=False, float_format=lambda value: f"{value:.2f}", na_rep="")


def score_files(
    rollouts: Sequence[str | Path],
    targets: Sequence[str | Path],
    providers: Mapping[str, str],
    output: str | Path,
    summary: str | Path,
) -> str:
    """Write the table of scores and its summary as CSV; return both as aligned text."""
    chosen = [tables.read_json(path, ("dataset", "method", "simulator", "fraction")) for path in targets]
    scores = score_table(tables.read_rollouts(rollouts, "report"), chosen, providers)
    summed = summarise(scores)
    for table, path in ((scores, output), (summed, summary)):
        with files.whole(path) as part:
            table.to_csv(part, index=False)
    shown = scores[scores["target"] == "selected"].drop(columns="kind")
    return f"Scores at the selected target\n{aligned(shown)}\n\nSummary\n{aligned(summed)}"
