"""The table that AutoGluon's predictors read."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from d4rl_automl.tasks.outcomes import OutcomeRule


def features(
    observations: NDArray[np.float32],
    outcome: NDArray[np.float32],
    actions: NDArray[np.float32],
    rule: OutcomeRule,
) -> pd.DataFrame:
    """Float32 columns ob0…, those of the outcome as its `rule` names them, ac0….

    `observations` (N, d), `outcome` (N, k), `actions` (N, a) of the earlier dimensions, where a may be 0.
    """
    observed, acted = (
        [f"{prefix}{i}" for i in range(of.shape[1])] for prefix, of in (("ob", observations), ("ac", actions))
    )
    names = [*observed, *rule.columns, *acted]
    return pd.DataFrame(np.concatenate([observations, outcome, actions], axis=1, dtype=np.float32), columns=names)
