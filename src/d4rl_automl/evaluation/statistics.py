"""Statistics of the scores: what a method is worth over seeds and datasets, and how sure that is."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rliable import library, metrics

from d4rl_automl.core import doubts, files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import score_tables
from d4rl_automl.evaluation.intervals import BOOTSTRAP_REPETITIONS, BOOTSTRAP_SEED

DESIRED_SCORE = 100.0
"""The optimality gap counts what is missing to the expert's score; what lies above it earns nothing."""

ONE_SEED = "one training seed"
"""Why there is no interval; the column no_interval is empty where there is one."""


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per provider, suite, method, simulator and target rule: statistics over seeds and datasets.

    Providers stay apart, because an embedded dataset is not the D4RL dataset of a similar
    name, and so do suites, as in every paper. Columns: datasets and seeds (counts), mean, iqm and
    optimality_gap (of normalised scores; see `interquartile_mean` and `optimality_gap`), each of the
    last two with _low and _high (see `interval`), and no_interval (why there is none, or empty).
    Raises InputError where a method lacks a seed of a dataset.
    """
    rows = []
    for key, grids in _grids(scores):
        for method, grid in grids.items():
            values = grid.to_numpy(np.float64)
            low, high = interval(
                values, statistic=lambda draw: np.array([interquartile_mean(draw), optimality_gap(draw)])
            )
            rows.append(
                dict(zip(score_tables.GROUP, key, strict=True))
                | {"method": method}
                | {"datasets": grid.shape[1], "seeds": grid.shape[0], "mean": values.mean()}
                | {"iqm": interquartile_mean(values), "iqm_low": low[0], "iqm_high": high[0]}
                | {
                    "optimality_gap": optimality_gap(values),
                    "optimality_gap_low": low[1],
                    "optimality_gap_high": high[1],
                }
                | {"no_interval": ONE_SEED if len(values) < 2 else None}
            )
    return pd.DataFrame(rows)


def compare(scores: pd.DataFrame) -> pd.DataFrame:
    """The probability of improvement, one row per ordered pair of methods that share a dataset.

    Providers, suites, simulators and target rules stay apart. Columns: provider, suite, simulator,
    target, method, against, datasets (how many both methods were trained on), seeds (of method),
    probability (see `probability_of_improvement`), low and high (see `interval`), no_interval. Raises
    InputError where a method lacks a seed of a dataset.
    """
    rows = []
    for key, grids in _grids(scores):
        names = list(grids)
        for first, method in enumerate(names):
            for against in names[first + 1 :]:
                common = [name for name in grids[method].columns if name in grids[against].columns]
                if not common:
                    continue
                pair = [grids[name][common].to_numpy(np.float64) for name in (method, against)]
                probability = probability_of_improvement(*pair)
                (low,), (high,) = interval(*pair, statistic=lambda *draw: np.array([probability_of_improvement(*draw)]))
                facts = dict(zip(score_tables.GROUP, key, strict=True))
                reason = ONE_SEED if min(map(len, pair)) < 2 else None
                for one, other, values in (
                    (method, against, (probability, low, high)),
                    (against, method, (1 - probability, 1 - high, 1 - low)),
                ):
                    rows.append(
                        facts
                        | {"method": one, "against": other, "datasets": len(common), "seeds": len(grids[one])}
                        | dict(zip(("probability", "low", "high"), values, strict=True))
                        | {"no_interval": reason}
                    )
    return pd.DataFrame(rows, columns=score_tables.COMPARISON)


def profiles(scores: pd.DataFrame, thresholds: NDArray[np.float64]) -> pd.DataFrame:
    """Performance profiles: the share of runs (a training seed on a dataset) that score above each threshold.

    `thresholds`: (T,) normalised scores. Score distributions of Agarwal et al. (2021), section
    4.2, by rliable. Columns: provider, suite, simulator, target, method, datasets, seeds, threshold,
    share, low and high (pointwise, see `interval`). Profiles compare only over the same
    datasets: a method that lacks one of its provider's and suite's is left out, and the log says so.
    """
    parts = []
    for key, grids in _grids(scores):
        every = {name for grid in grids.values() for name in grid.columns}
        for method, grid in grids.items():
            if lacking := every - set(grid.columns):
                where = " ".join(key[:2])
                logging.warning("%s is left out of the %s profiles: not trained on %s", method, where, min(lacking))
                continue
            values = grid.to_numpy(np.float64)
            low, high = interval(values, statistic=lambda draw: _shares_above(draw, thresholds))
            facts: dict[str, Any] = {**dict(zip(score_tables.GROUP, key, strict=True)), "method": method}
            facts |= {"datasets": grid.shape[1], "seeds": grid.shape[0]}
            columns = {"threshold": thresholds, "share": _shares_above(values, thresholds), "low": low, "high": high}
            parts.append(pd.DataFrame(facts | columns))
    return pd.concat(parts, ignore_index=True)


def _shares_above(scores: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.mean(scores.reshape(-1, 1) > thresholds, axis=0)


def _grids(scores: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], dict[str, pd.DataFrame]]]:
    """(values of `score_tables.GROUP`, {method: normalised scores, seeds × datasets})."""
    for key, group in scores.groupby(score_tables.GROUP, sort=False):
        grids = {}
        for method, own in group.groupby("method", sort=False):
            grid = own.pivot(index="seed", columns="dataset", values="normalised")
            if grid.isna().any(axis=None):
                seed, dataset = grid.stack(future_stack=True).pipe(lambda cells: cells[cells.isna()].index[0])
                raise InputError(f"scores: {method} has no score of training seed {seed} on {dataset}; roll it out")
            grids[str(method)] = grid
        yield tuple(map(str, key)), grids


def interquartile_mean(scores: NDArray[np.float64]) -> float:
    """Mean of the middle half of all entries of (training seeds, datasets); rliable's `aggregate_iqm`."""
    return float(metrics.aggregate_iqm(scores))


def optimality_gap(scores: NDArray[np.float64]) -> float:
    """Mean of what each entry lacks to `DESIRED_SCORE`, at least 0 each; rliable's `aggregate_optimality_gap`."""
    return float(metrics.aggregate_optimality_gap(scores, gamma=DESIRED_SCORE))


def probability_of_improvement(scores: NDArray[np.float64], against: NDArray[np.float64]) -> float:
    """How often a training seed of one method scores above one of another on the same dataset; ties count half.

    Both (training seeds, datasets), of the same datasets; the mean over datasets of Mann and
    Whitney's U divided by the number of pairs (Agarwal et al. 2021, section 4.3). The same as
    rliable's function of this name, which calls SciPy for each dataset: too slow to draw anew
    for every pair of methods.
    """
    ahead = scores[:, None, :] - against[None, :, :]
    return float(np.mean((ahead > 0) + 0.5 * (ahead == 0)))


def interval(
    *scores: NDArray[np.float64], statistic: Callable[..., NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % percentile interval, (low, high), of each entry of `statistic(*scores)`, by rliable's stratified bootstrap.

    `scores`: one array (training seeds, datasets) per method. The seeds of each dataset and
    method are drawn anew (Agarwal et al. 2021, "Deep reinforcement learning at the edge of the
    statistical precipice"); the datasets stay, so that the interval says nothing about others.
    Where a method has one training seed there is nothing to draw from and all is NaN: the
    bootstrap would report a width of zero.
    """
    if min(map(len, scores)) < 2:
        nothing = np.full(np.shape(statistic(*scores)), np.nan)
        return nothing, nothing
    with _numpy_seed(BOOTSTRAP_SEED):
        _, intervals = library.get_interval_estimates(
            {"method": scores if len(scores) > 1 else scores[0]}, statistic, reps=BOOTSTRAP_REPETITIONS
        )
    low, high = intervals["method"]
    return low, high


@contextlib.contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator for a while: rliable 1.2.0 draws from it whatever `random_state` it is given."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def aligned(table: pd.DataFrame) -> str:
    """A table as text with aligned columns, for a terminal or a log."""
    return table.to_string(index=False, float_format=lambda value: f"{value:.2f}", na_rep="")


def score(scores: Sequence[str | Path], *, output: str | Path, summary: str | Path, comparisons: str | Path) -> str:
    """Put the tables of `score_dataset` together; write all scores, their summary and the comparison of methods as CSV.

    Returns the first two as text, and the doubts about datasets and teachers. Raises InputError for a table that cannot
    be read.
    """
    columns = (*score_tables.SCORE_COLUMNS, *doubts.COLUMNS)
    every = pd.concat([tables.read_csv(path, columns, exact=True) for path in scores], ignore_index=True)
    every = score_tables.in_order(every, list(dict.fromkeys(every["dataset"])))
    summed = summarise(every)
    for table, path in ((every, output), (summed, summary), (compare(every), comparisons)):
        with files.whole(path) as part:
            table.to_csv(part, index=False)
    shown = (
        every[every["target"] == "selected"].drop(columns=["kind", *doubts.COLUMNS]).dropna(axis="columns", how="all")
    )
    told = [
        line
        for column in doubts.COLUMNS
        for _, row in every.dropna(subset=column).drop_duplicates(["dataset", column]).iterrows()
        for line in doubts.lines(row["dataset"], [row[column]])
    ]
    return "\n".join(
        ["Scores at the selected target", aligned(shown), *told, "", "Summary", aligned(summed)],
    )
