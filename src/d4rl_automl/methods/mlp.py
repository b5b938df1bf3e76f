"""The joint network fitted to the data directly, without a teacher: the control of every distillation.

The student's network and training, on the recorded actions and average rewards-to-go.
"""

from typing import Literal

from d4rl_automl.settings.kinds import BatchSize, FallingLearningRate, Making, Method, NetworkSettings, Rows
from d4rl_automl.tasks.outcomes import AVERAGE, GOAL


class Settings(NetworkSettings):
    """The network fitted to the data directly."""

    kind: Literal["mlp"]
    rows: Rows = 100_000
    batch_size: BatchSize = 256
    learning_rate: FallingLearningRate = 0.003


METHOD = Method(
    kind="mlp",
    settings=Settings,
    about="the network of `student` fitted to the data: its control",
    outcome=AVERAGE,
    goal_outcome=GOAL,
    makings=(Making("fit_mlp", "onnx", memory=4000, minutes=120, beside=("curve",)),),
    # By their loss the weights are chosen.
    held_out=("validation",),
    faster_on_gpu=True,
    control=True,
)


def fit(*, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the recorded actions of the training episodes. Arguments as in `d4rl_automl.methods`.

    With as many `rows` and the same seed as a teacher, it sees the rows that the teacher saw; goals are drawn anew
    whenever it sees one.
    """
    from d4rl_automl.data.transitions import read
    from d4rl_automl.learners import fitting, network_policies

    train = read(transitions, splits=("train",), limit=settings.rows, seed=seed)
    rule = METHOD.outcome_for(train.metadata["task"])
    network_policies.make_policy(
        fitting.Samples.of(train, rule, seed=seed, afresh=True),
        fitting.Samples.of(read(transitions, splits=("validation",)), rule),
        fitting.Settings.of(settings),
        method=settings,
        seed=seed,
        device=device,
        threads=threads,
        output=output,
        dataset=train.metadata,
    )
