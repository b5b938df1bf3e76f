"""How the methods of a dataset stand: the score of each with its interval, and how far it is behind the best."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from d4rl_automl import tasks
from d4rl_automl.core import files, tables
from d4rl_automl.evaluation import intervals
from d4rl_automl.evaluation.targets import chosen_fractions, commanded

COLUMNS = [
    "dataset",
    "suite",
    "simulator",
    "method",
    "fraction",
    "training_seeds",
    "episodes",
    "score",
    "low",
    "high",
    "behind",
    "behind_low",
    "behind_high",
    "level",
]
"""The columns of `standings`."""


def standings(rollouts: pd.DataFrame, targets: Sequence[str | Path]) -> pd.DataFrame:
    """One row per simulator and method, at its chosen target, in the order of the methods.

    `rollouts`: the report episodes of one dataset; `targets`: the chosen targets (JSON). Columns: `COLUMNS`, of which
    score is the mean normalised score over training seeds with its 95 % interval low, high
    (`_interval`), behind what the best score of the simulator is ahead, with its 95 % interval
    (`intervals.difference_interval`; 0 of the best itself), and level whether that interval holds zero: whether these
    episodes leave open which of the two is better. Without an interval it is left open, too. The interval knows the
    chance of episodes and, where there are several, of training seeds; not that of the choice of the target. Raises
    InputError as `targets.chosen_fractions`.
    """
    dataset = tables.one_value(rollouts, "dataset")
    methods = list(dict.fromkeys(rollouts["method"]))
    rows = []
    for simulator, played in rollouts.groupby("simulator", sort=False):
        own = [path for path in targets if tables.read_json(path, ("simulator",))["simulator"] == simulator]
        chosen = chosen_fractions(own, dataset, str(simulator), methods)
        at_target = {method: commanded(played[played["method"] == method], chosen[method]) for method in methods}
        scores = {method: _interval(episodes) for method, episodes in at_target.items()}
        best = max(scores, key=lambda method: scores[method][0])
        for method, episodes in at_target.items():
            behind = (0.0, 0.0, 0.0) if method == best else intervals.difference_interval(scores[best], scores[method])
            rows.append(
                {
                    "dataset": dataset,
                    "suite": tasks.get(tables.one_value(episodes, "task")).suite,
                    "simulator": simulator,
                    "method": method,
                    "fraction": chosen[method],
                    "training_seeds": episodes["training_seed"].nunique(),
                    "episodes": len(episodes),
                    **dict(zip(("score", "low", "high"), scores[method], strict=True)),
                    **dict(zip(("behind", "behind_low", "behind_high"), behind, strict=True)),
                    "level": not behind[1] > 0,
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _interval(episodes: pd.DataFrame) -> intervals.Interval:
    """The mean score of some episodes: `intervals.mean_interval`; of a share of successes not narrower than Wilson's.

    Where all episodes of a goal end alike the bootstrap draws nothing else, and would be sure of it. NaN, NaN of a
    single episode.
    """
    by_seed = [own["normalised_score"].to_numpy(np.float64) for _, own in episodes.groupby("training_seed")]
    mean, low, high = intervals.mean_interval(by_seed)
    if len(episodes) < 2:
        return mean, np.nan, np.nan
    if episodes["success"].notna().all():
        wilson = intervals.success_interval(int(episodes["success"].sum()), len(episodes))
        low, high = min(low, 100 * wilson[0]), max(high, 100 * wilson[1])
    return mean, low, high


def write(rollouts: Sequence[str | Path], targets: Sequence[str | Path], output: str | Path) -> None:
    """Write the `standings` of one dataset as CSV."""
    table = standings(tables.read_rollouts(rollouts, "report"), targets)
    with files.whole(output) as part:
        table.to_csv(part, index=False)


def read(path: str | Path) -> pd.DataFrame:
    """The table that `write` left; InputError for anything else."""
    found: Any = tables.read_csv(path, COLUMNS)
    return found.astype({"level": bool})
