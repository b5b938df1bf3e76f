"""What a task is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from d4rl_automl.tasks.mazes import Maze


@dataclass(frozen=True)
class Goal:
    """What a goal-reaching task asks for: that some entries of the observation come near wanted values.

    The episode is then a success: the step that gets there is paid 1 and is the last. No other step is paid.
    """

    columns: tuple[int, ...]
    """The entries of the observation, in the order of a goal's own."""
    radius: float
    """The Euclidean distance at which a goal counts as reached."""
    draw: Callable[[Any], NDArray[np.float64]]
    """Goals (n, k) as the task has them, from the next draws of n generators."""

    def distances(self, positions: NDArray[np.floating], goals: NDArray[np.floating]) -> NDArray[np.floating]:
        """Euclidean distances (n,) of positions, those entries of observations alone, to goals, both (n, k)."""
        left = positions - goals
        found: NDArray[np.floating] = (left * left).sum(axis=1) ** 0.5
        return found

    def reached(self, observations: NDArray[np.floating], goals: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether (n,) observations (n, d) are at goals (n, k); one that is NaN is never reached."""
        return self.distances(observations[:, self.columns], goals) <= self.radius


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
    """The `simulators.robots.Robot` that plays it, as "module:name"; None where there is no simulator.

    A reference, since tasks are known where nothing is simulated and MuJoCo is not installed.
    """
    simulators: tuple[str, ...] | None = None
    """Those of `simulators.SIMULATORS` that it is played in; None for all."""
    why_not_others: str = ""
    """What is said to who asks for another one: why it is none of them."""
    suite: str = "gym"
    """That of D4RL's suites which it belongs to. Statistics are over the tasks of one."""
    episode_steps: int = 1000
    """The time limit of the environment, and what a commanded return is divided by."""
    goal: Goal | None = None
    """What is to be reached, in a goal-reaching task."""
    maze: Maze | None = None
    """AntMaze: x and y come first in the observation, and recorded episodes go on at the goal."""
    fell: Callable[[Any, Any], Any] | None = None
    """Whether the robot has fallen, which terminates an episode: (n,) bool of positions (n, nq - 1), all but x, and
    velocities (n, nv), which together are the observation. None where no such rule is known."""

    def fractions(self, asked: tuple[float, ...]) -> tuple[float, ...]:
        """Which of the fractions that are asked for are commanded to policies that are conditioned on a return.

        In a goal-reaching task 1 alone, whatever is asked for: its return is 0 or 1, and others say little of it.
        """
        return asked if self.goal is None else (1.0,)

    def commanded_return(self, fraction: float) -> float:
        """ref_min + fraction (ref_max - ref_min): a fraction of the expert's return, undiscounted."""
        return self.reference_min + fraction * (self.reference_max - self.reference_min)

    def target(self, fraction: float) -> float:
        """The average reward-to-go commanded for a fraction of the expert's return, per step.

        `commanded_return` / `episode_steps`, as RvS commands it (scottemmons/rvs@90c0ffb). Fraction 1.0 asks for a
        normalised score of 100.
        """
        return self.commanded_return(fraction) / self.episode_steps
