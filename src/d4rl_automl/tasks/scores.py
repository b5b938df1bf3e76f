"""Normalised scores: the scale that returns are compared on."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks


def normalise(task: str, returns: ArrayLike) -> NDArray[np.float64]:
    """D4RL's normalised score, 100 (return - ref_min) / (ref_max - ref_min), of undiscounted returns.

    `returns` of any shape; float64 of the same shape. Source: d4rl/offline_env.py
    `get_normalized_score` (times 100, as every paper reports it). Raises InputError for an unknown task.

    >>> from d4rl_automl import normalise
    >>> normalise("hopper", [3234.3, 1607.0]).round(1)
    array([100.,  50.])
    """
    reference = tasks.get(task)
    span = reference.reference_max - reference.reference_min
    return 100.0 * (np.asarray(returns, np.float64) - reference.reference_min) / span
