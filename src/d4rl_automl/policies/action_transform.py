"""The scale that actions are regressed on: y = atanh(0.995 a).

The behaviour policies end in a tanh, so that y is about the output before it. 0.995
keeps y finite at the action bounds.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SCALE = 0.995


def forward(actions: ArrayLike) -> NDArray[np.float64]:
    """atanh(0.995 a) of actions of any shape, float64 of the same shape.

    Raises ValueError where |a| > 1 or NaN: transitions.parquet holds clipped actions.
    """
    actions = np.asarray(actions, np.float64)
    outside = ~(np.abs(actions) <= 1)
    if outside.any():
        raise ValueError(f"{outside.sum()} actions lie outside [-1, 1], the first is {actions[outside].flat[0]}")
    return np.arctanh(SCALE * actions)


def backward(targets: NDArray[Any]) -> NDArray[Any]:
    """clip(tanh(y) / 0.995, -1, 1): actions from targets of any shape, in the dtype of `targets`."""
    return np.clip(np.tanh(targets) / SCALE, -1, 1)
