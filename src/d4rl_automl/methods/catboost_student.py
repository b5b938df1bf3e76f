"""A CatBoost forest fitted to a teacher's labels: one small policy in place of a predictor per action dimension."""

from typing import Any

from d4rl_automl import labels as label_tables
from d4rl_automl import trees


def fit(
    *, transitions: str, settings: dict[str, Any], seed: int, device: str, threads: int, output: str, labels: str
) -> None:
    """Fit to the table that `labels.write` made, whose path is `labels`. Arguments as in `d4rl_automl.methods`.

    On the CPU, whatever the `device`.
    """
    tables = [label_tables.read(labels, split) for split in ("train", "validation")]
    train, validation = (trees.Samples.of(t.observations, t.outcomes[:, None], t.actions) for t in tables)
    forest = trees.fit_catboost(train, validation, settings, seed=seed, threads=threads)
    trees.write_policy(
        forest,
        output,
        settings,
        seed,
        outcome_rule="constant",
        rows=len(train.actions),
        **label_tables.facts(transitions, labels),
    )
