"""RCDTP, the return-conditioned decision tree policy: XGBoost on state, reward-to-go and step.

Koirala and Fleming, Solving Offline Reinforcement Learning with Decision Tree Regression, CoRL 2024. The defaults are
those of the authors' notebook (PrajwalKoirala/Offline-Reinforcement-Learning-with-Decision-Tree-Regression@e7ed0c0).
When played, the commanded return is reduced by each reward.
"""

from typing import Any

from d4rl_automl.data.transitions import read
from d4rl_automl.learners import forests
from d4rl_automl.tasks.outcomes import REDUCED

RULE = REDUCED


def fit(*, transitions: str, settings: dict[str, Any], seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the training episodes, or `rows` of their transitions. Arguments as in `d4rl_automl.methods`.

    On the CPU, whatever the `device`.
    """
    train = read(transitions, splits=("train",), limit=settings.get("rows"), seed=seed)
    validation = read(transitions, splits=("validation",))
    fitted, held_out = (
        forests.Samples.of(rows.observations, RULE.recorded(rows), rows.actions) for rows in (train, validation)
    )
    forest = forests.fit_xgboost(fitted, held_out, settings, seed=seed, threads=threads)
    forests.write_policy(
        forest, output, settings, seed, dataset=train.metadata, outcome_rule=RULE, rows=len(fitted.actions)
    )
