"""RvS at a size of one's own: the network, likelihood and optimiser of RvS, smaller and trained more briefly.

It is conditioned as RvS-G where the task has a goal, else as RvS-R. It differs from both in more than its size: the
validation and test episodes stay held out, and transitions that are not drawn, as RvS-G's are, are put in a new order
in every epoch, since a small batch of consecutive ones would hold two or three episodes.
"""

from typing import Literal

from d4rl_automl.settings.kinds import BatchSize, ConstantLearningRate, Making, Method, NetworkSettings, Rows
from d4rl_automl.tasks.outcomes import AVERAGE, GOAL


class Settings(NetworkSettings):
    """The network and likelihood of RvS-R and RvS-G at another size."""

    kind: Literal["rvs"]
    rows: Rows = None
    batch_size: BatchSize = 2_048
    learning_rate: ConstantLearningRate = 0.001


METHOD = Method(
    kind="rvs",
    settings=Settings,
    about="the network and likelihood of RvS-R and RvS-G at a size of your own",
    outcome=AVERAGE,
    goal_outcome=GOAL,
    makings=(Making("fit_rvs", "onnx", memory=4000, minutes=120, beside=("curve",)),),
    faster_on_gpu=True,
)


def fit(*, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the training episodes, or `rows` of their transitions. Arguments as in `d4rl_automl.methods`.

    With a goal, states and goals are drawn from whole episodes, which have `rows` transitions at most. The last weights
    are kept, as in RvS; validation episodes are for the curve alone.
    """
    from d4rl_automl.core.tables import read_parquet_metadata
    from d4rl_automl.data.transitions import read, whole_episodes
    from d4rl_automl.learners import fitting, network_policies

    rule = METHOD.outcome_for(read_parquet_metadata(transitions, ("task",))["task"])
    validation = read(transitions, splits=("validation",))
    if rule.drawn:
        episodes = whole_episodes(transitions, "train", settings.rows, seed)
        train = read(transitions, splits=("train",), episodes=episodes)
        samples = fitting.Samples.of_pairs(train, rule, seed=seed, afresh=True)
        held_out = fitting.Samples.of_pairs(validation, rule)
    else:
        train = read(transitions, splits=("train",), limit=settings.rows, seed=seed)
        samples, held_out = (fitting.Samples.of(rows, rule) for rows in (train, validation))
    network_policies.make_policy(
        samples,
        held_out,
        fitting.Settings.of(settings, gaussian=True),
        method=settings,
        seed=seed,
        device=device,
        threads=threads,
        output=output,
        dataset=train.metadata,
    )
