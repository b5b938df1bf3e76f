"""The closed loop: episodes side by side in a simulator, each acted in until it ends."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from d4rl_automl.simulators import Simulator
from d4rl_automl.simulators.robots import Actions


@dataclass(frozen=True, slots=True)
class Moment:
    """Before a step: the n episodes that are still running."""

    step: int
    """Steps that were made, the same for all of them."""
    ids: NDArray[np.int64]
    """Their numbers (n,), ascending: places in the simulator, and among the seeds."""
    observations: NDArray[np.float64]
    """(n, d)."""
    returns: NDArray[np.float64]
    """Undiscounted sums (n,) of the rewards so far."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step did to the episodes of a moment."""

    observations: NDArray[np.float64]
    """(n, d), that the actions led to, at an episode's end too."""
    rewards: NDArray[np.float64]
    """(n,)."""
    terminated: NDArray[np.bool_]
    """(n,)."""
    truncated: NDArray[np.bool_]
    """(n,), by the time limit; an episode may be both."""

    @property
    def ended(self) -> NDArray[np.bool_]:
        """(n,), for either reason."""
        return self.terminated | self.truncated


@dataclass(frozen=True)
class Episodes:
    """How n episodes went, in the order of their seeds."""

    returns: NDArray[np.float64]
    """Undiscounted (n,)."""
    lengths: NDArray[np.int64]
    """Steps (n,)."""
    terminated: NDArray[np.bool_]
    """Whether (n,) they ended otherwise than by the time limit alone."""
    diverged: NDArray[np.bool_]
    """Whether (n,) the physics blew up."""


Act = Callable[[Moment], Actions]
"""Asked for the actions (n, a) of those still running."""

Observer = Callable[[Moment, StepResult], None]
"""Told after each step from where it started and what it did."""


def play(simulator: Simulator, seeds: NDArray[np.int64], act: Act, observer: Observer | None = None) -> Episodes:
    """Play one episode per seed (n,), in the simulator's first n environments; who has finished leaves.

    Raises ValueError for more seeds than environments, and what `act`, `observer` and the simulator's `step` raise.
    """
    count = len(seeds)
    if count > simulator.size:
        raise ValueError(f"{count} seeds for {simulator.size} environments")
    returns, terminated = np.zeros(count), np.zeros(count, bool)
    ids, observations, step = np.arange(count), simulator.reset(seeds), 0
    while len(ids):
        moment = Moment(step, ids, observations, returns[ids])
        # All of them need no index, which saves copies at every step.
        result = StepResult(*simulator.step(act(moment), ids if len(ids) < simulator.size else None))
        step += 1
        returns[ids] += result.rewards
        if observer:
            observer(moment, result)
        observations = result.observations
        if (ended := result.ended).any():
            terminated[ids] = result.terminated
            ids, observations = ids[~ended], observations[~ended]
    return Episodes(returns, simulator.steps[:count].copy(), terminated, simulator.diverged[:count].copy())
