"""Which commanded target is reported: chosen on selection episodes, never on the reported ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from d4rl_automl.core import files, tables
from d4rl_automl.core.errors import InputError

CHOSEN_BY = "mean normalised score over training seeds on selection episodes"


def choose(rollouts: pd.DataFrame) -> dict[str, Any]:
    """The commanded fraction with the best mean normalised score.

    `rollouts`: the selection episodes of all training seeds of one method, as
    `tables.read_rollouts(paths, "selection")` gives them. A training seed's score at a
    fraction is the mean over its episodes; the fractions are ranked by the mean over
    training seeds; of equal ones the smaller is taken. An unconditional method has the one
    fraction null. Raises InputError where rows of several methods, datasets or simulators
    are mixed, where other than selection episodes are found, and where the training seeds
    were not commanded the same fractions.
    """
    facts = {column: tables.one_value(rollouts, column) for column in ("dataset", "method", "simulator", "purpose")}
    if facts.pop("purpose") != "selection":
        raise InputError("column purpose: a target is chosen on selection episodes only; pass the selection tables")
    by_seed = rollouts.pivot_table(
        index=rollouts["fraction"].fillna(float("inf")), columns="training_seed", values="normalised_score"
    )
    lacking = by_seed.index[by_seed.isna().any(axis=1)]
    if len(lacking):
        raise InputError(f"column fraction: {lacking[0]:g} was not commanded for every training seed; roll it out")
    scores = by_seed.mean(axis=1)
    conditional = bool(rollouts["fraction"].notna().all())
    if not conditional and rollouts["fraction"].notna().any():
        raise InputError(f"column fraction: {facts['method']} has null beside numbers; a method is conditional or not")
    fraction = float(scores.index[int(scores.argmax())]) if conditional else None
    of_fraction = rollouts["fraction"] == fraction
    return {
        **facts,
        "fraction": fraction,
        "target": float(tables.one_value(rollouts[of_fraction], "target")) if conditional else None,
        "chosen_by": CHOSEN_BY,
        "training_seeds": sorted(int(seed) for seed in by_seed.columns),
        "scores": {str(key) if conditional else "none": float(score) for key, score in scores.items()},
    }


def choose_file(rollouts: Sequence[str | Path], output: str | Path) -> None:
    """Choose from selection tables and write the choice as JSON."""
    files.write_json(output, choose(tables.read_rollouts(rollouts, "selection")))


def chosen_fractions(
    targets: Sequence[str | Path], dataset: str, simulator: str, methods: Sequence[str]
) -> dict[str, float | None]:
    """The chosen fraction of each method, from the JSON files of one dataset and simulator.

    Raises InputError for a file of another dataset or simulator, and for a method without a choice.
    """
    chosen = {}
    for path in targets:
        found = tables.read_json(path, ("dataset", "method", "simulator", "fraction"))
        if (found["dataset"], found["simulator"]) != (dataset, simulator):
            raise InputError(f"{path}: is of {found['dataset']}, {found['simulator']}; expected {dataset}, {simulator}")
        chosen[found["method"]] = found["fraction"]
    if lacking := [method for method in methods if method not in chosen]:
        raise InputError(f"targets: none was chosen for {dataset}, {lacking[0]}, {simulator}; choose it first")
    return chosen


def commanded(episodes: pd.DataFrame, fraction: float | None) -> pd.DataFrame:
    """The episodes that were commanded a fraction or, for None, nothing."""
    found = episodes["fraction"]
    return episodes[found.isna() if fraction is None else np.isclose(found, fraction)]
