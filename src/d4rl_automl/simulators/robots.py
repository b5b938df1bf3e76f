"""What a simulator asks of a robot.

Rewards, terminations, observations and resets are those of Gymnasium's v4 classes
(gymnasium/envs/mujoco/{hopper,half_cheetah,walker2d}_v4.py).
"""

from dataclasses import dataclass

import mujoco
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

Actions = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class _Environment:
    """What Gymnasium's v4 class of a robot sets; each constant is a default argument there."""

    xml: str
    frame_skip: int
    control_cost_weight: float
    healthy_reward: float
    reset_noise: float
    normal_velocity: bool
    """Initial velocities are drawn from a normal distribution rather than a uniform one."""
    velocity_limit: float
    """Velocities in the observation are clipped to plus and minus this."""


_ENVIRONMENTS = {
    "halfcheetah": _Environment("half_cheetah.xml", 5, 0.1, 0.0, 0.1, True, np.inf),
    "hopper": _Environment("hopper.xml", 4, 1e-3, 1.0, 5e-3, False, 10.0),
    "walker2d": _Environment("walker2d.xml", 4, 1e-3, 1.0, 5e-3, False, 10.0),
}


def draw_initial_states(
    task: str, model: mujoco.MjModel, seeds: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions (n, nq) and velocities (n, nv) that Gymnasium's ``reset(seed=s)`` draws for `seeds` (n,)."""
    environment = _ENVIRONMENTS[task]
    noise = environment.reset_noise
    qpos, qvel = np.empty((len(seeds), model.nq)), np.empty((len(seeds), model.nv))
    for row, seed in enumerate(seeds):
        generator, _ = seeding.np_random(int(seed))
        qpos[row] = model.qpos0 + generator.uniform(-noise, noise, model.nq)
        if environment.normal_velocity:
            qvel[row] = noise * generator.standard_normal(model.nv)
        else:
            qvel[row] = generator.uniform(-noise, noise, model.nv)
    return qpos, qvel


def observe(task: str, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Observations (N, d) of states qpos (N, nq) and qvel (N, nv): all but the x position, velocities clipped."""
    limit = _ENVIRONMENTS[task].velocity_limit
    return np.concatenate((qpos[:, 1:], np.clip(qvel, -limit, limit)), axis=1)


def is_terminated(task: str, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the robot has fallen, (N,) bool, in states qpos (N, nq) and qvel (N, nv). A cheetah never has."""
    if task == "halfcheetah":
        return np.zeros(len(qpos), bool)
    height, angle = qpos[:, 1], qpos[:, 2]
    if task == "walker2d":
        return ~((height > 0.8) & (height < 2.0) & (angle > -1.0) & (angle < 1.0))
    healthy = (height > 0.7) & (angle > -0.2) & (angle < 0.2) & np.isfinite(height)
    return ~(healthy & (np.abs(qpos[:, 2:]) < 100.0).all(1) & (np.abs(qvel) < 100.0).all(1))


def compute_rewards(
    task: str, velocity: NDArray[np.float64], actions: Actions, variant: str = "gymnasium"
) -> NDArray[np.float64]:
    """Rewards (N,) of one step from the x velocities (N,), in m/s, and the applied actions (N, a).

    Velocity, plus the reward for being healthy (paid in the last step too), minus the control
    cost: a sum in the dtype of the action, weighted in that dtype in `gymnasium` (NumPy 2), in
    float64 in `d4rl` (NumPy 1).
    """
    environment = _ENVIRONMENTS[task]
    squares = np.square(actions)
    # Column by column: the rounding then cannot depend on how many rows there are.
    cost = squares[:, 0].copy()
    for column in squares.T[1:]:
        cost += column
    if variant == "d4rl":
        cost = cost.astype(np.float64)
    return (velocity + environment.healthy_reward) - environment.control_cost_weight * cost
