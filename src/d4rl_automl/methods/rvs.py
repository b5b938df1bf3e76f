"""RvS at a size of one's own: RvS-R's network, likelihood and optimiser, smaller and trained more briefly.

It differs from `rvs_r` in more than its size: transitions are put in a new order in every epoch, since a small batch
of consecutive ones would hold two or three episodes, and the validation and test episodes stay held out.
"""

from typing import Literal

from d4rl_automl.settings.kinds import BatchSize, ConstantLearningRate, Making, Method, NetworkSettings, Rows
from d4rl_automl.tasks.outcomes import AVERAGE


class Settings(NetworkSettings):
    """RvS-R's network and likelihood at another size."""

    kind: Literal["rvs"]
    rows: Rows = None
    batch_size: BatchSize = 2_048
    learning_rate: ConstantLearningRate = 0.001


METHOD = Method(
    kind="rvs",
    settings=Settings,
    about="the network and likelihood of RvS-R at a size of your own",
    outcome=AVERAGE,
    makings=(Making("fit_rvs", "onnx", memory=4000, minutes=120, beside=("curve",)),),
    uses_gpu=True,
)


def fit(*, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the training episodes, or `rows` of their transitions. Arguments as in `d4rl_automl.methods`.

    The last weights are kept, as in RvS-R; validation episodes are for the curve alone.
    """
    from d4rl_automl.data.transitions import read
    from d4rl_automl.learners import fitting, network_policies

    train = read(transitions, splits=("train",), limit=settings.rows, seed=seed)
    network_policies.make_policy(
        fitting.Samples.of(train),
        fitting.Samples.of(read(transitions, splits=("validation",))),
        fitting.Settings.of(settings, gaussian=True),
        method=settings,
        seed=seed,
        device=device,
        threads=threads,
        output=output,
        dataset=train.metadata,
    )
