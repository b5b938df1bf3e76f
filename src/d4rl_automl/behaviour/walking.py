"""The ant that learns to walk where it is told to: what collects data in mazes.

It is trained on open ground, as D4RL's was, and follows waypoints in a maze (`behaviour.navigation`). What it sees is
turned so that its own heading does not matter: a way that it can walk, it can walk in any direction.
"""

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.simulators.maze import TORQUE, AntMaze
from d4rl_automl.simulators.robots import Actions
from d4rl_automl.tasks.mazes import Maze

FASTEST = 1.0
"""Metres a second that pay: an ant that runs falls more often. `tasks.antmaze.WALK` is scaled by it."""
CONTROL_COST = 0.05
"""Weight of the mean square of the action."""
FALL_COST = 10.0
"""For the step that ends an episode on its back or side."""
UPRIGHT = 0.2
"""The least upward part of the torso's own up direction, and its least height in metres, of an ant that stands."""
_TILE = 8.0
"""Metres. The open ground is divided into squares, round whose middle the way leads, so that it also learns to turn."""
_TILES = 16
"""An episode starts in one of so many squares in a row, and in a column."""


def directions(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where to walk, unit vectors (n, 2), at positions (n, 2) of the open ground.

    Along the sides of a square round its middle, to the left in one and to the right in the next, as gears turn: so
    the way across a border is the same on both of its sides.
    """
    tile = np.floor(positions / _TILE)
    x, y = (positions - (tile + 0.5) * _TILE).T
    turn = 1.0 - 2.0 * (tile.sum(axis=1) % 2)
    beside = np.abs(x) > np.abs(y)
    return np.stack([np.where(beside, 0.0, -turn * np.sign(y)), np.where(beside, turn * np.sign(x), 0.0)], axis=1)


def features(observations: NDArray[np.floating], waypoints: NDArray[np.floating]) -> NDArray[np.float32]:
    """What the ant's policy sees (n, 28) of observations (n, 29) and of waypoints (n, 2), x and y in metres.

    Height; the up direction as the torso has it; joint angles; velocities, those of the torso along the ground turned
    by its heading; and the direction of the waypoint, turned as well.
    """
    seen = np.asarray(observations, np.float64)
    w, x, y, z = seen[:, 3:7].T
    heading = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    up = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=1)
    way = waypoints - seen[:, :2]
    way = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    parts = (seen[:, 2:3], up, seen[:, 7:15], _turned(seen[:, 15:17], heading), seen[:, 17:29], _turned(way, heading))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _turned(vectors: NDArray[np.float64], heading: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (n, 2) of the world, as one with these headings (n,) sees them: ahead, and to its left."""
    cosine, sine = np.cos(heading), np.sin(heading)
    ahead = cosine * vectors[:, 0] + sine * vectors[:, 1]
    left = cosine * vectors[:, 1] - sine * vectors[:, 0]
    return np.stack([ahead, left], axis=1)


class WalkingAnt(AntMaze):
    """The ant on open ground, paid for the way it makes in the direction that the ground tells it."""

    def initial_states(
        self, model: mujoco.MjModel, generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """As `Robot.initial_states`: as in a maze, but anywhere and turned by any angle."""
        qpos, qvel = super().initial_states(model, generators)
        for row, generator in enumerate(generators):
            qpos[row, :2] += generator.uniform(0, _TILE * _TILES, 2)
            half = generator.uniform(-np.pi, np.pi) / 2
            mujoco.mju_mulQuat(qpos[row, 3:7], np.array([np.cos(half), 0, 0, np.sin(half)]), qpos[row, 3:7].copy())
        return qpos, qvel

    def goals(self, generators: Sequence[np.random.Generator]) -> NDArray[np.float64]:
        """None (n, 0)."""
        return np.empty((len(generators), 0))

    def observe(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.float64]:
        """`features` (n, 28) of the way that the ground tells."""
        position = qpos[:, :2]
        return features(super().observe(qpos, qvel), position + directions(position)).astype(np.float64)

    def terminated(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether it lies on its side or back."""
        _, x, y, _ = qpos[:, 3:7].T
        return (1 - 2 * (x * x + y * y) < UPRIGHT) | (qpos[:, 2] < UPRIGHT)

    def rewards(
        self,
        before: NDArray[np.float64],
        after: NDArray[np.float64],
        actions: Actions,
        *,
        terminated: NDArray[np.bool_],
        seconds: float,
        variant: str,
    ) -> NDArray[np.float64]:
        """Metres a second in the direction told, those beyond `FASTEST` left out, less what effort and a fall cost."""
        made = after[:, :2] - before[:, :2]
        speed = (made * directions(before[:, :2])).sum(axis=1) / seconds
        effort = np.square(actions / TORQUE).mean(axis=1)
        return np.minimum(speed, FASTEST) - CONTROL_COST * effort - FALL_COST * terminated


WALKING_ANT = WalkingAnt(Maze(("S",)))
