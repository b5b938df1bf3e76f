"""What a budget of selection episodes is worth: how good is the target that so many of them choose?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError

DRAWS = 1000
"""Of selection episodes, for every size of the budget but the whole."""
SEED = 0
COLUMNS = ["method", "selection_episodes", "score", "low", "high", "hindsight", "fixed"]
"""The columns of `by_budget`."""


def by_budget(selection: pd.DataFrame, report: pd.DataFrame) -> pd.DataFrame:
    """One row per method that is commanded several targets, and number of selection episodes per target.

    `selection`, `report`: the episodes of one dataset in one simulator, as `tables.read_rollouts` gives them. Of each
    target and training seed, n selection episodes are drawn without replacement, `DRAWS` times; each time the target
    with the best mean over training seeds is taken, as `targets.choose` does (of equal ones the smaller), and what
    counts is its mean normalised score on the report episodes. Columns: method, selection_episodes (n), score (mean
    over the draws), low and high (2.5 and 97.5 % of the draws: the luck of the choice alone), hindsight (the best
    target's score on the report episodes, which no choice can exceed), fixed (fraction 1.0's, which no episode was
    spent on; NaN where it was not commanded). At the largest n there is one draw, the choice that the run made. Raises
    InputError where a target has selection or report episodes alone, or other numbers of them than the others.

    Kurenkov and Kolesnikov (2022), "Showing your offline reinforcement learning work: online evaluation budget
    matters", ask it of policies; here it is asked of targets.
    """
    rows = []
    for method, chosen_from in selection.groupby("method", sort=False):
        fractions = sorted(chosen_from["fraction"].dropna().unique())
        if len(fractions) < 2:
            continue
        seen = _grid(chosen_from, fractions, str(method))
        reported = report[report["method"] == method]
        by_seed = reported.groupby(["fraction", "training_seed"])["normalised_score"].mean()
        worth = by_seed.groupby("fraction").mean().reindex(fractions).to_numpy(np.float64)
        if np.isnan(worth).any():
            lacking = fractions[int(np.isnan(worth).argmax())]
            raise InputError(f"rollouts: {method} has no report episode at the fraction {lacking}; roll it out")
        fixed = np.isclose(fractions, 1.0)
        for episodes, choices in _choices(seen, sizes(seen.shape[2])).items():
            scores = worth[choices]
            low, high = np.quantile(scores, [0.025, 0.975])
            rows.append(
                {
                    "method": method,
                    "selection_episodes": episodes,
                    "score": scores.mean(),
                    "low": low,
                    "high": high,
                    "hindsight": worth.max(),
                    "fixed": worth[fixed][0] if fixed.any() else np.nan,
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def sizes(most: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, … up to and with `most`."""
    steps = [digit * 10**power for power in range(len(str(most))) for digit in (1, 2, 5)]
    return [*(step for step in steps if step < most), most]


def _grid(episodes: pd.DataFrame, fractions: list[float], method: str) -> NDArray[np.float64]:
    """Normalised scores, (fractions, training seeds, episodes)."""
    seeds = sorted(episodes["training_seed"].unique())
    counts = episodes.groupby(["fraction", "training_seed"]).size()
    if len(counts) != len(fractions) * len(seeds) or counts.nunique() != 1:
        raise InputError(f"rollouts: {method} has other numbers of selection episodes at other targets; roll it out")
    ordered = episodes.sort_values(["fraction", "training_seed", "episode"])["normalised_score"]
    return ordered.to_numpy(np.float64).reshape(len(fractions), len(seeds), -1)


def _choices(seen: NDArray[np.float64], episodes: Sequence[int]) -> dict[int, NDArray[np.intp]]:
    """The places of the chosen fractions, one per draw, by the number of episodes, for the `seen` ones (`_grid`)."""
    generator = np.random.default_rng(SEED)
    means = np.empty((DRAWS, len(episodes), len(seen)))
    for draw in means:
        # The first n of a permutation are n drawn without replacement.
        sums = generator.permuted(seen, axis=2).mean(axis=1).cumsum(axis=1)
        draw[:] = (sums[:, np.array(episodes) - 1] / episodes).T
    found = {size: means[:, index].argmax(axis=1) for index, size in enumerate(episodes)}
    # Of all episodes there is one draw. Its sum has one order, so that ties stay ties.
    return found | {seen.shape[2]: np.atleast_1d(seen.mean(axis=(1, 2)).argmax())}
