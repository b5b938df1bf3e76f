"""The joint network fitted to the data directly, without a teacher: the control of every distillation.

The student's network and training, on the recorded actions and average rewards-to-go.
"""

from typing import Any

from d4rl_automl.data.transitions import read
from d4rl_automl.learners import fitting, network_policies


def fit(*, transitions: str, settings: dict[str, Any], seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the recorded actions of the training episodes. Arguments as in `d4rl_automl.methods`.

    With as many `rows` and the same seed as a teacher, it sees the rows that the teacher saw.
    """
    train = read(transitions, splits=("train",), limit=settings["rows"], seed=seed)
    network_policies.make_policy(
        fitting.Samples.of(train),
        fitting.Samples.of(read(transitions, splits=("validation",))),
        fitting.Settings.of(settings),
        method=settings,
        seed=seed,
        device=device,
        threads=threads,
        output=output,
        dataset=train.metadata,
    )
