"""Normalised scores and commanded targets: the two scales a return is read on."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks


def normalise(task: str, returns: ArrayLike) -> NDArray[np.float64]:
    """D4RL's normalised score, 100 (return - ref_min) / (ref_max - ref_min), of undiscounted returns.

    `returns` of any shape; float64 of the same shape. Source: d4rl/offline_env.py
    `get_normalized_score` (times 100, as every paper reports it).
    """
    reference = tasks.get(task)
    span = reference.reference_max - reference.reference_min
    return 100.0 * (np.asarray(returns, np.float64) - reference.reference_min) / span


def target(task: str, fraction: float) -> float:
    """The average reward-to-go commanded for a fraction of the expert's return, per step.

    (ref_min + fraction (ref_max - ref_min)) / 1,000 steps, as RvS commands it
    (scottemmons/rvs@90c0ffb). Fraction 1.0 asks for a normalised score of 100.
    """
    return commanded_return(task, fraction) / tasks.get(task).episode_steps


def commanded_return(task: str, fraction: float) -> float:
    """ref_min + fraction (ref_max - ref_min): a fraction of the expert's return, undiscounted."""
    reference = tasks.get(task)
    return reference.reference_min + fraction * (reference.reference_max - reference.reference_min)
