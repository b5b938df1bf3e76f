"""Tables of what a model looks at: dataset, model, seed, output, feature, importance; a row per output and feature."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks
from d4rl_automl.core.files import whole

COLUMNS = ("dataset", "model", "seed", "output", "feature", "importance")


def feature_names(task: str, others: Sequence[str]) -> list[str]:
    """ob0…, then `others`."""
    return [f"ob{i}" for i in range(tasks.get(task).observation_size)] + list(others)


def shares(values: ArrayLike) -> NDArray[np.float64]:
    """Importances (k,) as shares of their sum; one that is negative, which is chance, or NaN, as CatBoost has it where
    there was nothing to explain, counts as none. All zero if all are.
    """
    values = np.maximum(np.nan_to_num(np.asarray(values, np.float64)), 0)
    total = values.sum()
    return values / total if total > 0 else values


def write(path: str | Path, *, dataset: str, model: str, seed: int, outputs: Mapping[str, Mapping[str, float]]) -> None:
    """Write the table of a model; `outputs` has the shares by output ("all", or an action dimension) and feature."""
    rows = [
        (dataset, model, seed, output, feature, share)
        for output, features in outputs.items()
        for feature, share in features.items()
    ]
    with whole(path) as part:
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(part, index=False)
