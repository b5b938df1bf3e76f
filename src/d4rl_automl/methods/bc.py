"""Behavioural cloning: the network and training of `rvs` without an outcome, of all training episodes or the best.

With `best` below 1 it is %BC (Chen et al., Decision Transformer, NeurIPS 2021).
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from d4rl_automl.settings.kinds import BatchSize, ConstantLearningRate, Making, Method, NetworkSettings, Rows
from d4rl_automl.settings.models import Number
from d4rl_automl.tasks.outcomes import NONE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


class Settings(NetworkSettings):
    """Behavioural cloning, of all training episodes or the best."""

    kind: Literal["bc"]
    rows: Rows = None
    batch_size: BatchSize = 2_048
    learning_rate: ConstantLearningRate = 0.001
    best: Annotated[Number, Field(gt=0, le=1)] = 1
    """Share of the training transitions that is used, in whole episodes from the highest return down; 1 is all of
    them."""

    @property
    def needs_episodes(self) -> bool:
        """Where it chooses among them."""
        return self.best < 1


METHOD = Method(
    kind="bc",
    settings=Settings,
    about="the network of `rvs` without outcome, on all episodes or (`best`) the best",
    outcome=NONE,
    makings=(Making("fit_bc", "onnx", memory=4000, minutes=120, beside=("curve",)),),
    faster_on_gpu=True,
)


def fit(*, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the best training episodes, or `rows` of their transitions. Arguments as in `d4rl_automl.methods`.

    The last weights are kept, as in RvS-R; for the curve alone are the validation episodes, those of them that are not
    worse than the worst one that is fitted to.
    """
    import numpy as np

    from d4rl_automl.data.transitions import episode_returns, read
    from d4rl_automl.learners import fitting, network_policies

    found, held_out = (episode_returns(transitions, split) for split in ("train", "validation"))
    best = best_episodes(found.lengths, found.returns, settings.best)
    alike = held_out.episodes[held_out.returns >= found.returns[best].min(initial=np.inf)]
    train = read(transitions, splits=("train",), limit=settings.rows, seed=seed, episodes=found.episodes[best])
    rule = METHOD.outcome_for(train.metadata["task"])
    network_policies.make_policy(
        fitting.Samples.of(train, rule),
        fitting.Samples.of(read(transitions, splits=("validation",), episodes=alike), rule),
        fitting.Settings.of(settings, gaussian=True),
        method=settings,
        seed=seed,
        device=device,
        threads=threads,
        output=output,
        dataset=train.metadata,
        episodes=len(best),
    )


def best_episodes(lengths: "ArrayLike", returns: "ArrayLike", share: float) -> "NDArray[np.int64]":
    """Indices of the episodes with the highest returns that make up a `share` of the transitions, best first.

    `lengths` and undiscounted `returns` are (E,). Whole episodes are taken from the top as long as their transitions
    stay below the share (int(share · sum of lengths)): the episode that would reach it is left out, and so is every
    worse one. The best is always taken, and with share 1 all. Of equal returns the later comes first. As in the
    Decision Transformer (kzl/decision-transformer@046702e, gym/experiment.py), but for share 1, where theirs drops
    the worst episode.
    """
    import numpy as np

    lengths = np.asarray(lengths, np.int64)
    order = np.argsort(np.asarray(returns, np.float64), kind="stable")[::-1]
    if share == 1:
        return order
    taken = np.cumsum(lengths[order]) < max(int(share * lengths.sum()), 1)
    # Lengths are positive, so that what is taken is a beginning of the order.
    return order[: max(1, int(taken.sum()))]
