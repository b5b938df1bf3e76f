"""The robots: what a simulator asks of each, and those of D4RL's gym suite.

Their rewards, terminations, observations and resets are those of Gymnasium's v4 classes
(gymnasium/envs/mujoco/{hopper,half_cheetah,walker2d}_v4.py); each constant is a default argument there. Of the v5
classes beside them, other are the walker's feet and what is paid in the step of a fall.
"""

import functools
import json
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import gymnasium.envs.mujoco
import mujoco
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import RESOURCES
from d4rl_automl.simulators import SIMULATORS
from d4rl_automl.tasks import gym

Actions = NDArray[np.float32] | NDArray[np.float64]
"""(n, a), of one dtype or the other: rewards are rounded in it."""

ASSETS = Path(gymnasium.envs.mujoco.__file__).parent / "assets"
"""Gymnasium's model files."""
_INERTIAS = RESOURCES / "mujoco210_inertia.json"


class Robot(ABC):
    """A robot in its surroundings, and what it is to do there. It has no state of its own.

    States are positions qpos (n, nq) and velocities qvel (n, nv) as MuJoCo has them, float64, one row an episode.
    """

    frame_skip: ClassVar[int]
    """Steps of the physics within one step of an episode."""

    @abstractmethod
    def specification(self, variant: str) -> mujoco.MjSpec:
        """The model of a variant of the physics (`simulators.STEPPED_HERE`) as its file says, not yet compiled."""

    @abstractmethod
    def old_inertias(self) -> Mapping[str, list[float] | list[list[float]]]:
        """The fields of the model that MuJoCo 2.1.0 computes otherwise, by their names in MjModel."""

    @abstractmethod
    def initial_states(
        self, model: mujoco.MjModel, generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (n, nq) and velocities (n, nv) that the environment's ``reset()`` draws next, by n generators.

        Those of ``reset(seed=s)`` come from `seeded`.
        """

    def goals(self, generators: Sequence[np.random.Generator]) -> NDArray[np.float64]:
        """Goals (n, k) of the episodes whose `initial_states` these generators drew before; k is 0 without a goal."""
        return np.empty((len(generators), 0))

    def controls(self, actions: Actions, variant: str) -> Actions:
        """What the motors are given (n, a) for actions (n, a), in their dtype: the same, within [-1, 1].

        In `d4rl` it is rounded as D4RL rounds it: its wrapper scales [-1, 1] to [-1, 1] in the action's dtype, which
        costs up to 6e-8 in float32 (d4rl/utils/wrappers.py, NormalizedBoxEnv; its factors 0.5 and 2 are exact).
        """
        if variant == "d4rl":
            actions = (actions + 1.0) - 1.0
        return actions.clip(-1.0, 1.0)

    def is_searched(self, geom: mujoco.MjsGeom) -> bool:
        """Whether MuJoCo is to look for what touches a geom, because that is faster than listing what may."""
        return False

    @abstractmethod
    def observe(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.float64]:
        """Observations (n, d) of states: a new array."""

    @abstractmethod
    def observed_states(
        self, observations: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Positions (n, nq) and velocities (n, nv) that are observed as these (n, d), and whether (n,) no others are.

        What is never observed and changes nothing of a step is 0. A velocity that was clipped may have been larger.
        """

    @abstractmethod
    def terminated(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether an episode ends (n,) in these states, other than by the time limit."""

    @abstractmethod
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
        """Rewards (n,) of one step that took `seconds`, from positions `before` to `after`, both (n, nq).

        `actions` (n, a) are those applied (`controls`), `terminated` (n,) where the step ended the episode
        (`Robot.terminated`), `variant` is that of the physics (`simulators.STEPPED_HERE`), which tells how to round.
        """


class Runner(Robot):
    """A robot of the gym suite: it moves in a plane, and is to run towards positive x."""

    name: ClassVar[str]
    """Gymnasium's: the environment is `make(f"{name}-v4")`."""
    xml: ClassVar[str]
    """File among Gymnasium's assets."""
    xml_v5: ClassVar[str | None] = None
    """That of v5, if it is another."""
    control_cost_weight: ClassVar[float]
    healthy_reward: ClassVar[float]
    """Paid in every step; in v5 not where the robot falls."""
    reset_noise: ClassVar[float]
    normal_velocity: ClassVar[bool] = False
    """Initial velocities are drawn from a normal distribution rather than a uniform one."""
    velocity_limit: ClassVar[float] = gym.VELOCITY_LIMIT
    """Velocities in the observation are clipped to plus and minus this."""

    def specification(self, variant: str) -> mujoco.MjSpec:
        """As `Robot.specification`."""
        xml = self.xml_v5 if self.xml_v5 and SIMULATORS[variant].physics.gymnasium == 5 else self.xml
        return mujoco.MjSpec.from_file(str(ASSETS / xml))

    def old_inertias(self) -> Mapping[str, list[float] | list[list[float]]]:
        """As `Robot.old_inertias`; recorded from MuJoCo 2.1.0 in resources/mujoco210_inertia.json."""
        return read_inertias(self.name)

    def initial_states(
        self, model: mujoco.MjModel, generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """As `Robot.initial_states`: noise around the model's own position, at rest."""
        noise = self.reset_noise
        qpos, qvel = np.empty((len(generators), model.nq)), np.empty((len(generators), model.nv))
        for row, generator in enumerate(generators):
            qpos[row] = model.qpos0 + generator.uniform(-noise, noise, model.nq)
            if self.normal_velocity:
                qvel[row] = noise * generator.standard_normal(model.nv)
            else:
                qvel[row] = generator.uniform(-noise, noise, model.nv)
        return qpos, qvel

    def observe(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.float64]:
        """Observations (n, nq - 1 + nv): all but the x position, velocities clipped."""
        limit = self.velocity_limit
        return np.concatenate((qpos[:, 1:], qvel.clip(-limit, limit)), axis=1)

    def observed_states(
        self, observations: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """As `Robot.observed_states`: x is 0."""
        size = observations.shape[1] // 2
        velocities = observations[:, size:]
        qpos = np.hstack([np.zeros((len(observations), 1)), observations[:, :size]])
        whole = np.asarray((np.abs(velocities) < self.velocity_limit).all(axis=1))
        return qpos, velocities, whole

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
        """Velocity along x in m/s, plus the reward for being healthy, minus the control cost.

        The cost is a sum of squares in the dtype of the action, weighted in that dtype in Gymnasium's (NumPy 2), in
        float64 in `d4rl` (NumPy 1).
        """
        velocity = (after[:, 0] - before[:, 0]) / seconds
        # One column after the other: the rounding then cannot depend on how many rows there are.
        cost = np.add.accumulate(np.square(actions), axis=1)[:, -1]
        if variant == "d4rl":
            cost = cost.astype(np.float64)
        unpaid = SIMULATORS[variant].physics.gymnasium == 5
        healthy = self.healthy_reward * ~terminated if unpaid else self.healthy_reward
        return (velocity + healthy) - self.control_cost_weight * cost


class HalfCheetah(Runner):
    """Two legs and a body that cannot fall."""

    name, xml, frame_skip = "HalfCheetah", "half_cheetah.xml", 5
    control_cost_weight, healthy_reward, reset_noise = 0.1, 0.0, 0.1
    normal_velocity = True
    velocity_limit = np.inf

    def terminated(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Never."""
        return gym.never_fell(qpos[:, 1:], qvel)


class Hopper(Runner):
    """One leg."""

    name, xml, frame_skip = "Hopper", "hopper.xml", 4
    control_cost_weight, healthy_reward, reset_noise = 1e-3, 1.0, 5e-3

    def terminated(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether it has fallen: is too low or tilted, or any other number of its state is beyond 100."""
        return gym.hopper_fell(qpos[:, 1:], qvel)


class Walker2d(Runner):
    """Two legs."""

    name, xml, frame_skip = "Walker2d", "walker2d.xml", 4
    xml_v5 = "walker2d_v5.xml"  # gives the right foot the friction of the left one
    control_cost_weight, healthy_reward, reset_noise = 1e-3, 1.0, 5e-3

    def terminated(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether it has fallen or jumped: is too low or high, or tilted."""
        return gym.walker2d_fell(qpos[:, 1:], qvel)


HALFCHEETAH, HOPPER, WALKER2D = HalfCheetah(), Hopper(), Walker2d()


def seeded(seeds: ArrayLike) -> list[np.random.Generator]:
    """What Gymnasium's ``reset(seed=s)`` draws from, for each of `seeds` (n,)."""
    return [seeding.np_random(int(seed))[0] for seed in np.asarray(seeds)]


def get(task: str) -> Robot:
    """The robot that plays a task; raises InputError for an unknown task, and for one without simulator."""
    reference = tasks.get(task).robot
    if reference is None:
        raise InputError(f"task {task!r} has no simulator; those that have one are {', '.join(tasks.SIMULATED)}")
    robot = pkgutil.resolve_name(reference)
    if not isinstance(robot, Robot):
        raise TypeError(f"task {task!r}: {reference} is {robot!r}, not a Robot")
    return robot


def read_inertias(name: str) -> Mapping[str, list[float] | list[list[float]]]:
    """MuJoCo 2.1.0's body_mass, body_inertia, body_ipos and body_iquat of a robot's model, by the robot's name."""
    return _every_inertia()[name]


@functools.cache
def _every_inertia() -> dict[str, dict[str, list[float] | list[list[float]]]]:
    found: dict[str, dict[str, list[float] | list[list[float]]]] = json.loads(_INERTIAS.read_text(encoding="utf-8"))
    return found
