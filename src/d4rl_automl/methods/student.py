"""The joint network fitted to a teacher's labels: one small policy in place of a predictor per action dimension."""

from typing import Literal

from d4rl_automl.settings.kinds import BatchSize, FallingLearningRate, Making, Method, Needs, NetworkSettings, Teacher
from d4rl_automl.teachers.settings import GOAL_OUTCOME, OUTCOME


class Settings(NetworkSettings):
    """One network fitted to a teacher's labels."""

    kind: Literal["student"]
    teacher: Teacher
    batch_size: BatchSize = 256
    learning_rate: FallingLearningRate = 0.003


METHOD = Method(
    kind="student",
    settings=Settings,
    about="one network fitted to the teacher's labels",
    outcome=OUTCOME,
    goal_outcome=GOAL_OUTCOME,
    makings=(Making("fit_student", "onnx", memory=3000, minutes=120, beside=("curve",)),),
    needs=Needs.LABELS,
    # By their loss the weights are chosen.
    held_out=("validation",),
    faster_on_gpu=True,
)


def fit(
    *, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str, labels: str
) -> None:
    """Fit to the table that `labels.write` made, whose path is `labels`. Arguments as in `d4rl_automl.methods`.

    The labels are all that the student sees; from `transitions` come the facts of the dataset.
    """
    from d4rl_automl.learners import fitting, network_policies
    from d4rl_automl.teachers import labels as label_tables

    train, validation = (fitting.Samples(*label_tables.read(labels, split)) for split in label_tables.SPLITS)
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
