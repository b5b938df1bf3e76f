"""The robots of D4RL's gym suite, and when each has fallen.

The rules are those of Gymnasium's v4 classes (gymnasium/envs/mujoco/{hopper,half_cheetah,walker2d}_v4.py). They read
arrays and are importable without NumPy: the simulators and what takes recordings in both use them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d4rl_automl.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


VELOCITY_LIMIT = 10.0
"""The hopper and the walker observe velocities clipped to plus and minus this (m/s, rad/s)."""


def never_fell(positions: NDArray[np.floating], velocities: NDArray[np.floating]) -> NDArray[np.bool_]:
    """The cheetah cannot fall."""
    return positions[:, 0] < float("-inf")


def hopper_fell(positions: NDArray[np.floating], velocities: NDArray[np.floating]) -> NDArray[np.bool_]:
    """It is too low or tilted, or any other number of its state is beyond 100."""
    height, angle = positions[:, 0], positions[:, 1]
    healthy = (height > 0.7) & (angle > -0.2) & (angle < 0.2) & (height < float("inf"))
    return ~(healthy & (abs(positions[:, 1:]) < 100.0).all(1) & (abs(velocities) < 100.0).all(1))


def walker2d_fell(positions: NDArray[np.floating], velocities: NDArray[np.floating]) -> NDArray[np.bool_]:
    """It is too low or too high, or tilted."""
    height, angle = positions[:, 0], positions[:, 1]
    return ~((height > 0.8) & (height < 2.0) & (angle > -1.0) & (angle < 1.0))


TASKS = (
    Task("halfcheetah", 17, 6, -280.178953, 12135.0, "d4rl_automl.simulators.robots:HALFCHEETAH", fell=never_fell),
    Task("hopper", 11, 3, -20.272305, 3234.3, "d4rl_automl.simulators.robots:HOPPER", fell=hopper_fell),
    Task("walker2d", 17, 6, 1.629008, 4592.3, "d4rl_automl.simulators.robots:WALKER2D", fell=walker2d_fell),
)
