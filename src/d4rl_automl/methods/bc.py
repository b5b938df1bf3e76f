"""Behavioural cloning: the network and training of `rvs` without an outcome, of all training episodes or the best.

With `best` below 1 it is %BC (Chen et al., Decision Transformer, NeurIPS 2021).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.data.transitions import episode_returns, read
from d4rl_automl.learners import fitting, network_policies


def fit(*, transitions: str, settings: dict[str, Any], seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the best training episodes, or `rows` of their transitions. Arguments as in `d4rl_automl.methods`.

    The last weights are kept, as in RvS-R; for the curve alone are the validation episodes, those of them that are not
    worse than the worst one that is fitted to.
    """
    found, held_out = (episode_returns(transitions, split) for split in ("train", "validation"))
    best = best_episodes(found.lengths, found.returns, settings["best"])
    alike = held_out.episodes[held_out.returns >= found.returns[best].min(initial=np.inf)]
    train = read(transitions, splits=("train",), limit=settings.get("rows"), seed=seed, episodes=found.episodes[best])
    network_policies.make_policy(
        fitting.Samples.of(train, conditional=False),
        fitting.Samples.of(read(transitions, splits=("validation",), episodes=alike), conditional=False),
        fitting.Settings.of(settings, gaussian=True),
        method=settings,
        seed=seed,
        device=device,
        threads=threads,
        output=output,
        dataset=train.metadata,
        episodes=len(best),
    )


def best_episodes(lengths: ArrayLike, returns: ArrayLike, share: float) -> NDArray[np.int64]:
    """Indices of the episodes with the highest returns that make up a `share` of the transitions, best first.

    `lengths` and undiscounted `returns` are (E,). Whole episodes are taken from the top as long as their transitions
    stay below the share (int(share · sum of lengths)): the episode that would reach it is left out, and so is every
    worse one. The best is always taken, and with share 1 all. Of equal returns the later comes first. As in the
    Decision Transformer (kzl/decision-transformer@046702e, gym/experiment.py), but for share 1, where theirs drops
    the worst episode.
    """
    lengths = np.asarray(lengths, np.int64)
    order = np.argsort(np.asarray(returns, np.float64), kind="stable")[::-1]
    if share == 1:
        return order
    taken = np.cumsum(lengths[order]) < max(int(share * lengths.sum()), 1)
    # Lengths are positive, so that what is taken is a beginning of the order.
    return order[: max(1, int(taken.sum()))]
