"""The ant in D4RL's mazes.

Gymnasium's own ant, with what D4RL's differs in (d4rl/locomotion/{ant,maze_env,wrappers}.py and assets/ant.xml,
Farama-Foundation/D4RL@89141a6), between boxes for walls.
"""

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.simulators.robots import ASSETS, Actions, Robot, read_inertias
from d4rl_automl.tasks import mazes
from d4rl_automl.tasks.mazes import Maze

_TIMESTEP = 0.02
_SOLREF, _SOLIMP = (0.02, 1.0), (0.8, 0.8, 0.01)
TORQUE = 30.0
_POSITIONS = 15
"""x, y and z of the torso, its quaternion, and eight joints."""
_WALL_HEIGHT = 2.0
_WALL = "wall"
_RESET_NOISE = 0.1
_MOST_LISTED = 500
"""Pairs of a limb and a wall. Of more MuJoCo's own search is faster, of fewer the list (benchmarks/maze.py)."""


class AntMaze(Robot):
    """An ant of four legs in a maze, free to move and turn in space.

    It has no reward of its own, and no end: D4RL throws away the ant's, and an ant that has fallen goes on. Both come
    from the task's goal.
    """

    name = "AntMaze"
    frame_skip = 5

    def __init__(self, maze: Maze) -> None:
        self.maze = maze

    def specification(self, variant: str) -> mujoco.MjSpec:
        """As `Robot.specification`."""
        found = mujoco.MjSpec.from_file(str(ASSETS / "ant.xml"))
        found.option.timestep = _TIMESTEP
        for motor in found.actuators:
            motor.gear[0] = 1.0
            motor.ctrlrange = (-TORQUE, TORQUE)
        half = self.maze.cell_size / 2
        for row, column in self.maze.walls:
            # What is not said here is as the file has it for every geom: friction, margin and so on.
            found.worldbody.add_geom(
                name=f"{_WALL}_{row}_{column}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(*self.maze.centre((row, column)), _WALL_HEIGHT / 2),
                size=(half, half, _WALL_HEIGHT / 2),
                contype=1,
                conaffinity=1,
                rgba=(0.7, 0.5, 0.3, 1.0),
            )
        for geom in found.geoms:
            geom.solref = _SOLREF
            geom.solimp[: len(_SOLIMP)] = _SOLIMP
        # From above, since walls hide the ant from the side.
        camera = found.camera("track")
        camera.mode = mujoco.mjtCamLight.mjCAMLIGHT_TRACK
        camera.pos, camera.alt.xyaxes = (0, 0, 10), (1, 0, 0, 0, 1, 0)
        return found

    def is_searched(self, geom: mujoco.MjsGeom) -> bool:
        """The walls, where there are many."""
        return geom.name.startswith(_WALL) and len(self.maze.walls) * _LIMBS > _MOST_LISTED

    def old_inertias(self) -> Mapping[str, list[float] | list[list[float]]]:
        """As `Robot.old_inertias`; those of the ant, which walls do not change."""
        return read_inertias(self.name)

    def initial_states(
        self, model: mujoco.MjModel, generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """As `Robot.initial_states`: noise around the model's own position, the quaternion included, and at rest."""
        qpos, qvel = np.empty((len(generators), model.nq)), np.empty((len(generators), model.nv))
        for row, generator in enumerate(generators):
            qpos[row] = model.qpos0 + generator.uniform(-_RESET_NOISE, _RESET_NOISE, model.nq)
            qvel[row] = _RESET_NOISE * generator.standard_normal(model.nv)
        return qpos, qvel

    def goals(self, generators: Sequence[np.random.Generator]) -> NDArray[np.float64]:
        """Goals (n, 2): those of the maze."""
        return self.maze.goals(generators)

    def controls(self, actions: Actions, variant: str) -> Actions:
        """Torques (n, a): [-1, 1] scaled to what the motors take, in the actions' dtype, and clipped, as D4RL does."""
        return (-TORQUE + (actions + 1.0) * 0.5 * (2 * TORQUE)).clip(-TORQUE, TORQUE)

    def observe(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.float64]:
        """Observations (n, 29): all of the state, x and y first; the goal is not in it."""
        return np.concatenate((qpos, qvel), axis=1)

    def observed_states(
        self, observations: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """As `Robot.observed_states`: an observation is the state."""
        return observations[:, :_POSITIONS], observations[:, _POSITIONS:], np.ones(len(observations), bool)

    def terminated(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Never."""
        return np.zeros(len(qpos), bool)

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
        """None (n,)."""
        return np.zeros(len(after))


_LIMBS = 13
"""Geoms of the ant: the torso, and three of each leg."""

UMAZE, MEDIUM, LARGE = AntMaze(mazes.UMAZE), AntMaze(mazes.MEDIUM), AntMaze(mazes.LARGE)
