"""RCDTP, the return-conditioned decision tree policy: XGBoost on state, reward-to-go and step.

Koirala and Fleming, Solving Offline Reinforcement Learning with Decision Tree Regression, CoRL 2024. The defaults are
those of the authors' notebook (PrajwalKoirala/Offline-Reinforcement-Learning-with-Decision-Tree-Regression@e7ed0c0).
When played, the commanded return is reduced by each reward.
"""

from typing import Literal

from d4rl_automl.settings.kinds import Depth, ForestSettings, Making, Method, Rows, Shrinkage, Trees
from d4rl_automl.tasks.outcomes import REDUCED


class Settings(ForestSettings):
    """The return-conditioned decision tree policy."""

    kind: Literal["rcdtp"]
    rows: Rows = None
    trees: Trees = 500
    depth: Depth = 7
    learning_rate: Shrinkage = 0.3


METHOD = Method(
    kind="rcdtp",
    settings=Settings,
    about="return-conditioned decision tree policy",
    outcome=REDUCED,
    makings=(Making("fit_rcdtp", "xgboost", memory=4000, minutes=120, beside=("curve", "importance")),),
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
    rule = METHOD.outcome_for(train.metadata["task"])
    generator = np.random.default_rng(seed)
    fitted, held_out = (
        forests.Samples.of(rows.observations, rule.recorded(rows, generator), rows.actions)
        for rows in (train, validation)
    )
    forest = forests.fit_xgboost(fitted, held_out, settings, seed=seed, threads=threads)
    forests.write_policy(
        forest, output, settings, seed, dataset=train.metadata, outcome_rule=rule, rows=len(fitted.actions)
    )
