"""Which policy and which episode a film is of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation.targets import chosen_fractions, commanded


def best_method(scores: str | Path, simulator: str, methods: Sequence[str]) -> str:
    """Of these methods the one with the highest mean score at the selected target, over training seeds.

    `scores`: the CSV of `score_tables.score_dataset`. Of equal ones the first. Raises InputError where one has
    none.
    """
    table = tables.read_csv(scores, ("method", "simulator", "target", "normalised"))
    table = table[(table["simulator"] == simulator) & (table["target"] == "selected")]
    means = table.groupby("method", sort=False)["normalised"].mean()
    if lacking := [method for method in methods if method not in means]:
        raise InputError(f"{scores}: there is no score of {lacking[0]!r} in the simulator {simulator!r}")
    return str(means[list(methods)].idxmax())


def ordered(episodes: pd.DataFrame) -> pd.DataFrame:
    """Episodes from the worst to the best: by return, and equal ones by how far from, or how soon at, their goal.

    What is then equal is in the order of training seeds and episodes.
    """
    # Empty where a task has no goal. One that is reached is reached, however near.
    reached = episodes["success"].eq(True).to_numpy(bool)
    keys = episodes.assign(
        nearer=np.where(reached, 0.0, -episodes["distance_left"].astype(np.float64).fillna(0.0)),
        sooner=np.where(reached, -episodes["length"], 0),
    ).sort_values(["return", "nearer", "sooner", "training_seed", "episode"], kind="stable")
    return episodes.loc[keys.index]


def choose(
    rollouts: Sequence[str | Path], targets: Sequence[str | Path], method: str, simulator: str, episode: str
) -> tuple["pd.Series[Any]", int, Path]:
    """The row of the median (of an even number the worse) or worst episode, of how many, and the table that it is of.

    `rollouts` and `targets`: report tables and chosen targets of one dataset and simulator, those of `method` among
    them. Raises InputError for tables that cannot be read, and where nothing was played at the chosen target.
    """
    table = tables.read_rollouts(rollouts, "report", ("seed",))
    dataset = tables.one_value(table, "dataset")
    fraction = chosen_fractions(targets, dataset, simulator, [method])[method]
    own = commanded(table[(table["method"] == method) & (table["simulator"] == simulator)], fraction)
    if own.empty:
        raise InputError(f"rollouts: {dataset}, {method}: no episode at the chosen {fraction} in {simulator!r}")
    found = ordered(own).iloc[0 if episode == "worst" else (len(own) - 1) // 2]
    played = [path for path in rollouts if _is_of(path, method, int(found["training_seed"]))]
    return found, len(own), Path(played[0])


def _is_of(path: str | Path, method: str, seed: int) -> bool:
    facts = tables.read_parquet_metadata(path, ("method", "training_seed"))
    return bool(facts["method"] == method and facts["training_seed"] == seed)
