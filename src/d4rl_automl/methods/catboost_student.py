"""A CatBoost forest fitted to a teacher's labels: one small policy in place of a predictor per action dimension."""

from typing import Any

from d4rl_automl.learners import forests
from d4rl_automl.tasks.outcomes import AVERAGE
from d4rl_automl.teachers import labels as label_tables


def fit(
    *, transitions: str, settings: dict[str, Any], seed: int, device: str, threads: int, output: str, labels: str
) -> None:
    """Fit to the table that `labels.write` made, whose path is `labels`. Arguments as in `d4rl_automl.methods`.

    On the CPU, whatever the `device`.
    """
    tables = [label_tables.read(labels, split) for split in ("train", "validation")]
    train, validation = (forests.Samples.of(t.observations, t.outcomes[:, None], t.actions) for t in tables)
    forest = forests.fit_catboost(train, validation, settings, seed=seed, threads=threads)
    forests.write_policy(
        forest,
        output,
        settings,
        seed,
        outcome_rule=AVERAGE,
        rows=len(train.actions),
        **label_tables.facts(transitions, labels),
    )
