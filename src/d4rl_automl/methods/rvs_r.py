"""RvS-R as published: reinforcement learning via supervised learning, conditioned on the average reward-to-go.

Emmons et al., ICLR 2022; every setting from scottemmons/rvs@90c0ffb, experiments/config/d4rl/gym_rvs_r.cfg, and none
of them can be changed here but the precision: what has another size is of kind `rvs`.
"""

from typing import TYPE_CHECKING, Literal

from d4rl_automl.settings.kinds import Checkpoints, Making, Method, MethodSettings, NetworkFit, Precision
from d4rl_automl.tasks.outcomes import AVERAGE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH, LAYERS = 1024, 2
EPOCHS = 2000
BATCH_SIZE = 16_384
LEARNING_RATE = 1e-3
SPLITS = ("train", "validation", "test")
"""All finished episodes: theirs are held out for AntMaze only (`val_frac = 0`)."""


class Settings(MethodSettings):
    """As published. Another size is of kind rvs, and carries another name."""

    kind: Literal["rvs_r"]
    precision: Precision = "float32"
    checkpoints: Checkpoints = 0

    def fitted(self, rows: int) -> NetworkFit:
        """So many epochs of all rows."""
        return NetworkFit(WIDTH, LAYERS, BATCH_SIZE, EPOCHS * -(-rows // BATCH_SIZE), self.precision)


METHOD = Method(
    kind="rvs_r",
    settings=Settings,
    about="RvS-R as published",
    outcome=AVERAGE,
    # At this size it takes days on a processor, hours on a GPU.
    makings=(Making("fit_rvs_r", "onnx", memory=4000, minutes=2880, beside=("curve",)),),
    faster_on_gpu=True,
    # Tables call a method by its name, and RvS-R is one of certain settings.
    reserved=r"rvs[-_]?r(?![a-z0-9])",
)


def fit(*, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str) -> None:
    """Fit to all finished episodes; the last weights are kept. Arguments as in `d4rl_automl.methods`.

    The episodes are put in a random order once; batches are runs of transitions in that order, the same in every epoch,
    as a data loader without shuffling makes them (`dataset.py`).
    """
    from d4rl_automl.data.transitions import read
    from d4rl_automl.learners import fitting, network_policies

    rows = read(transitions, splits=SPLITS)
    rule = METHOD.outcome_for(rows.metadata["task"])
    samples = fitting.Samples.of(rows, rule).take(order_of_rows(rows.episodes, seed))
    network_policies.make_policy(
        samples,
        samples.take(slice(0)),
        fitting.Settings(
            WIDTH,
            LAYERS,
            updates=EPOCHS * -(-len(samples) // BATCH_SIZE),
            batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            gaussian=True,
            shuffle=False,
            precision=settings.precision,
        ),
        method=settings,
        seed=seed,
        device=device,
        threads=threads,
        output=output,
        dataset=rows.metadata,
        splits=SPLITS,
    )


def order_of_rows(episodes: "NDArray[np.int32]", seed: int) -> "NDArray[np.int64]":
    """Indices (N,) that put whole episodes in a random order; `episodes` (N,) is each row's."""
    import numpy as np

    rank = np.random.default_rng(seed).permutation(int(episodes.max(initial=-1)) + 1)
    # Stable, so that the transitions of an episode keep their order.
    return np.argsort(rank[episodes], kind="stable")
