"""RWDTP, the return-weighted decision tree policy: XGBoost on the state, good transitions weighing more.

Koirala and Fleming, Solving Offline Reinforcement Learning with Decision Tree Regression, CoRL 2024. The defaults are
those of the authors' notebook (PrajwalKoirala/Offline-Reinforcement-Learning-with-Decision-Tree-Regression@e7ed0c0).
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from d4rl_automl.settings.kinds import Depth, ForestSettings, Making, Method, Rows, Shrinkage, Trees
from d4rl_automl.settings.models import Number
from d4rl_automl.tasks.outcomes import NONE, REDUCED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


class Settings(ForestSettings):
    """The return-weighted decision tree policy."""

    kind: Literal["rwdtp"]
    rows: Rows = None
    trees: Trees = 100
    depth: Depth = 11
    learning_rate: Shrinkage = 0.3
    return_power: Annotated[Number, Field(ge=0)] = 2
    """Exponent of the normalised return that a transition weighs."""


METHOD = Method(
    kind="rwdtp",
    settings=Settings,
    about="return-weighted decision tree policy",
    outcome=NONE,
    makings=(Making("fit_rwdtp", "xgboost", memory=4000, minutes=120, beside=("curve", "importance")),),
)


def fit(*, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the training episodes, or `rows` of their transitions. Arguments as in `d4rl_automl.methods`.

    On the CPU, whatever the `device`.
    """
    import numpy as np

    from d4rl_automl.data.transitions import read
    from d4rl_automl.learners import forests

    train = read(transitions, splits=("train",), limit=settings.rows, seed=seed)
    validation = read(transitions, splits=("validation",))
    # The undivided reward-to-go of each transition.
    generator = np.random.default_rng(seed)
    returns, held_out_returns = (REDUCED.recorded(rows, generator)[:, 0] for rows in (train, validation))
    bounds = returns.min(), returns.max()
    fitted, held_out = (
        forests.Samples.of(rows.observations, None, rows.actions, weights(own, bounds, settings.return_power))
        for rows, own in ((train, returns), (validation, held_out_returns))
    )
    forest = forests.fit_xgboost(fitted, held_out, settings, seed=seed, threads=threads)
    rule = METHOD.outcome_for(train.metadata["task"])
    forests.write_policy(
        forest, output, settings, seed, dataset=train.metadata, outcome_rule=rule, rows=len(fitted.actions)
    )


def weights(returns: "ArrayLike", bounds: tuple[float, float], power: float) -> "NDArray[np.float64]":
    """((R - low) / (high - low))^power of each transition's undiscounted return from there on, (N,).

    `bounds` are low and high, the least and the greatest return of the training rows; others are clipped to them.
    Where both are equal, every weight is 1.
    """
    import numpy as np

    low, high = bounds
    if high <= low:
        return np.ones(np.shape(returns))
    return ((np.clip(np.asarray(returns, np.float64), low, high) - low) / (high - low)) ** power
