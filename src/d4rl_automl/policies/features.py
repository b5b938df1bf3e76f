"""The table that AutoGluon's predictors read."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def features(
    observations: NDArray[np.float32], outcome: NDArray[np.float32], actions: NDArray[np.float32]
) -> pd.DataFrame:
    """Float32 columns ob0…, rtg, ac0….

    `observations` (N, d), `outcome` (N, 1) average reward-to-go, `actions` (N, k) of the earlier
    dimensions, where k may be 0.
    """
    names = [f"ob{i}" for i in range(observations.shape[1])] + ["rtg"] + [f"ac{i}" for i in range(actions.shape[1])]
    return pd.DataFrame(np.concatenate([observations, outcome, actions], axis=1, dtype=np.float32), columns=names)
