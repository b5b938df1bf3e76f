"""What a task is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """What is to be done, by which robot: sizes, reference returns and the time limit."""

    name: str
    observation_size: int
    action_size: int
    reference_min: float
    """Return of a random policy; D4RL's REF_MIN_SCORE (d4rl/infos.py, Farama-Foundation/D4RL@89141a6)."""
    reference_max: float
    """Return of an expert; D4RL's REF_MAX_SCORE (same file)."""
    robot: str | None = None
    """The `simulators.robots.Robot` that plays it, as "module:name"; None where there is no simulator yet.

    A reference, since tasks are known where nothing is simulated and MuJoCo is not installed.
    """
    episode_steps: int = 1000
    """The time limit of the environment, and what a commanded return is divided by."""
    maze: bool = False
    """AntMaze: x and y come first in the observation, and recorded episodes go on at the goal."""
    fell: Callable[[Any, Any], Any] | None = None
    """Whether the robot has fallen, which terminates an episode: (n,) bool of positions (n, nq - 1), all but x, and
    velocities (n, nv), which together are the observation. None where no such rule is known."""

    def commanded_return(self, fraction: float) -> float:
        """ref_min + fraction (ref_max - ref_min): a fraction of the expert's return, undiscounted."""
        return self.reference_min + fraction * (self.reference_max - self.reference_min)

    def target(self, fraction: float) -> float:
        """The average reward-to-go commanded for a fraction of the expert's return, per step.

        `commanded_return` / `episode_steps`, as RvS commands it (scottemmons/rvs@90c0ffb). Fraction 1.0 asks for a
        normalised score of 100.
        """
        return self.commanded_return(fraction) / self.episode_steps
