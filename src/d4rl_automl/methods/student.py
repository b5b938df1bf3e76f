"""The joint network fitted to a teacher's labels: one small policy in place of a predictor per action dimension."""

from typing import Any

from d4rl_automl.learners import fitting, network_policies
from d4rl_automl.teachers import labels as label_tables


def fit(
    *, transitions: str, settings: dict[str, Any], seed: int, device: str, threads: int, output: str, labels: str
) -> None:
    """Fit to the table that `labels.write` made, whose path is `labels`. Arguments as in `d4rl_automl.methods`.

    The labels are all that the student sees; from `transitions` come the facts of the dataset.
    """
    train, validation = (fitting.Samples(*label_tables.read(labels, split)) for split in ("train", "validation"))
    network_policies.make_policy(
        train,
        validation,
        fitting.Settings.of(settings),
        method=settings,
        seed=seed,
        device=device,
        threads=threads,
        output=output,
        **label_tables.facts(transitions, labels),
    )
