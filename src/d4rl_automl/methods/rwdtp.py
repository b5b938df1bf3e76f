"""RWDTP, the return-weighted decision tree policy: XGBoost on the state, good transitions weighing more.

Koirala and Fleming, Solving Offline Reinforcement Learning with Decision Tree Regression, CoRL 2024. The defaults are
those of the authors' notebook (PrajwalKoirala/Offline-Reinforcement-Learning-with-Decision-Tree-Regression@e7ed0c0).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.data.transitions import Transitions, read
from d4rl_automl.learners import forests
from d4rl_automl.tasks.outcomes import NONE, REDUCED


def fit(*, transitions: str, settings: dict[str, Any], seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the training episodes, or `rows` of their transitions. Arguments as in `d4rl_automl.methods`.

    On the CPU, whatever the `device`.
    """
    train = read(transitions, splits=("train",), limit=settings.get("rows"), seed=seed)
    validation = read(transitions, splits=("validation",))
    bounds = _returns(train).min(), _returns(train).max()
    fitted, held_out = (
        forests.Samples.of(
            rows.observations, None, rows.actions, weights(_returns(rows), bounds, settings["return_power"])
        )
        for rows in (train, validation)
    )
    forest = forests.fit_xgboost(fitted, held_out, settings, seed=seed, threads=threads)
    forests.write_policy(
        forest, output, settings, seed, dataset=train.metadata, outcome_rule=NONE, rows=len(fitted.actions)
    )


def weights(returns: ArrayLike, bounds: tuple[float, float], power: float) -> NDArray[np.float64]:
    """((R - low) / (high - low))^power of each transition's undiscounted return from there on, (N,).

    `bounds` are low and high, the least and the greatest return of the training rows; others are clipped to them.
    Where both are equal, every weight is 1.
    """
    low, high = bounds
    if high <= low:
        return np.ones(np.shape(returns))
    return ((np.clip(np.asarray(returns, np.float64), low, high) - low) / (high - low)) ** power


def _returns(rows: Transitions) -> NDArray[np.float32]:
    """(N,) the undivided reward-to-go."""
    return REDUCED.recorded(rows)[:, 0]
