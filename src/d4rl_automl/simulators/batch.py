"""The robots on current MuJoCo, many episodes stepped side by side."""

from collections.abc import Sequence

import gymnasium
import mujoco
import mujoco.batch
import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators import robots
from d4rl_automl.simulators.models import make_model
from d4rl_automl.simulators.robots import Actions

_WITH_QUATERNION = (int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL))
# BADQPOS, BADQVEL and BADQACC follow each other.
_BLOW_UPS = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)


class BatchSimulator:
    """`size` independent episodes of one task; what one does never depends on the others or on `threads`.

    A `Simulator` in one of the variants of `models`. An environment that has terminated, been
    truncated or diverged refuses further steps until it is reset. `episode_steps` is the time
    limit, by default the task's own.

    >>> import numpy as np
    >>> from d4rl_automl import BatchSimulator
    >>> simulator = BatchSimulator("hopper", size=1000, threads=2)
    >>> simulator.reset(seeds=range(1000)).shape
    (1000, 11)
    >>> observations, rewards, terminated, truncated = simulator.step(np.zeros((1000, 3)))
    >>> print(rewards.mean().round(3), terminated.any(), truncated.any())
    0.999 False False

    Raises InputError for an unknown task or variant, for a task without simulator, and for a time
    limit below one step.
    """

    def __init__(
        self, task: str, size: int, variant: str = "d4rl", threads: int = 1, episode_steps: int | None = None
    ) -> None:
        self.task = tasks.get(task)
        self.robot = robots.get(task)
        self.model = make_model(task, variant)
        self.variant = variant
        self.size = size
        self.episode_steps = self.task.episode_steps if episode_steps is None else episode_steps
        if self.episode_steps < 1:
            raise InputError(f"episode_steps is {self.episode_steps}; expected 1 or more")
        self.seconds: float = self.model.opt.timestep * self.robot.frame_skip
        """What a step takes in the simulated world."""
        # Keeps the solver's warm start of every environment, without which results would
        # differ from a loop over one environment.
        self.batch = mujoco.batch.Batch(self.model, size, threads)
        """The environments themselves. Read them; write through `set_state` and `step`."""
        self._initial_state = self.batch.state[0].copy()
        self._ctrl = self.batch.bind("ctrl")
        self._warnings = self.batch.warning[:, _BLOW_UPS, 1]
        self.qpos: NDArray[np.float64] = self.batch.bind("qpos")
        """Positions (size, nq), a live view. Read it; write through `set_state`."""
        self.qvel: NDArray[np.float64] = self.batch.bind("qvel")
        """Velocities (size, nv), a live view. Read it; write through `set_state`."""
        self.steps = np.zeros(size, np.int64)
        """Steps (size,) since the last reset."""
        self.diverged = np.zeros(size, bool)
        """Whether (size,) the physics of the current episode became non-finite or unbounded."""
        goal_size = len(self.task.goal.columns) if self.task.goal else 0
        self.goals: NDArray[np.float64] = np.full((size, goal_size), np.nan)
        """As `Simulator.goals`."""
        self._ended = np.ones(size, bool)
        # MuJoCo 3.2.0 and later leave a quaternion as it is, where earlier ones normalise it in place.
        self._turns = bool(np.isin(self.model.jnt_type, _WITH_QUATERNION).any())

    @property
    def versions(self) -> dict[str, str]:
        """As `Simulator.versions`."""
        return {"mujoco": mujoco.__version__, "gymnasium": gymnasium.__version__}

    def reset(self, seeds: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """Start new episodes exactly as Gymnasium's ``reset(seed=s)`` does; returns observations (n, d).

        A goal is drawn after the state, by the same seed. `seeds` (n,) int go to environments 0 to n - 1, or to the n
        environments in `ids`.
        """
        seeds = np.asarray(seeds, np.int64)
        ids = np.arange(len(seeds)) if ids is None else np.asarray(ids)
        if len(seeds) != len(ids):
            raise ValueError(f"{len(seeds)} seeds for {len(ids)} environments")
        return self.draw(robots.seeded(seeds), ids)

    def draw(self, generators: Sequence[np.random.Generator], ids: ArrayLike) -> NDArray[np.float64]:
        """Start new episodes in `ids` (n,) from what n generators draw next; returns observations (n, d)."""
        qpos, qvel = self.robot.initial_states(self.model, generators)
        self.goals[np.asarray(ids)] = self.robot.goals(generators)
        return self.set_state(qpos, qvel, ids)

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """Start new episodes from the given positions (n, nq) and velocities (n, nv); returns observations (n, d).

        The rows go to the environments in `ids`, by default to all. Goals stay as they are. Quaternions are
        normalised, as mujoco-py does.
        """
        rows = self._rows(ids)
        # Everything else that an earlier episode left is cleared, the solver's warm start included.
        self.batch.state[rows] = self._initial_state
        self.batch.warning[rows] = 0
        self.qpos[rows] = qpos
        self.qvel[rows] = qvel
        if self._turns:
            for row in np.arange(self.size)[rows]:
                mujoco.mj_normalizeQuat(self.model, self.qpos[row])
        self.steps[rows] = 0
        self.diverged[rows] = False
        self._ended[rows] = False
        return self.robot.observe(self.qpos[rows], self.qvel[rows])

    def step(
        self, actions: Actions, ids: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Apply `actions` (n, a) to the environments in `ids` (all by default) for one step.

        Returns observations (n, d) float64, rewards (n,) float64, terminated (n,) and truncated
        (n,) bool; truncated is true at the time limit. Actions are clipped to [-1, 1]
        before both the physics and the control cost, as D4RL does; `d4rl` rounds as D4RL does, too.

        An environment whose physics blows up ends: `terminated` and `diverged` are set, its
        reward is 0 and its observation repeats the one before; the others are not touched.

        Raises ValueError for actions of a wrong shape or that are not finite, and for an
        environment that has ended.
        """
        rows = self._rows(ids)
        count = len(self.steps[rows])
        if actions.shape != (count, self.task.action_size):
            raise ValueError(f"actions have shape {actions.shape}, expected {(count, self.task.action_size)}")
        if not np.isfinite(actions).all():
            raise ValueError("actions hold NaN or infinity")
        if self._ended[rows].any():
            raise ValueError(f"environments {np.arange(self.size)[rows][self._ended[rows]]} have ended: reset them")
        controls = self.robot.controls(actions, self.variant)
        before, before_velocity = self.qpos[rows], self.qvel[rows]
        if ids is None:  # Then these are views.
            before, before_velocity = before.copy(), before_velocity.copy()
        self._ctrl[rows] = controls
        self.batch.step(ids, nstep=self.robot.frame_skip)
        qpos, qvel = self.qpos[rows], self.qvel[rows]
        # MuJoCo resets a simulation that blows up and steps on; its warning counters tell.
        warnings = self._warnings[rows]
        # Row by row only where it is needed: this runs at every step.
        all_well = not warnings.any() and np.isfinite(qpos).all() and np.isfinite(qvel).all()
        if not all_well:
            diverged = warnings.any(1) | ~(np.isfinite(qpos).all(1) & np.isfinite(qvel).all(1))
            broken = np.arange(self.size)[rows][diverged]
            self.qpos[broken] = before[diverged]
            self.qvel[broken] = before_velocity[diverged]
            self.diverged[broken] = True
            qpos, qvel = self.qpos[rows], self.qvel[rows]
        terminated = self.robot.terminated(qpos, qvel)
        rewards = self.robot.rewards(
            before, qpos, controls, terminated=terminated, seconds=self.seconds, variant=self.variant
        )
        observations = self.robot.observe(qpos, qvel)
        if self.task.goal is not None:
            reached = self.task.goal.reached(observations, self.goals[rows])
            rewards += reached
            terminated |= reached
        if not all_well:
            rewards[diverged] = 0.0
            terminated |= diverged
        self.steps[rows] += 1
        truncated = self.steps[rows] >= self.episode_steps
        self._ended[rows] = terminated | truncated
        return observations, rewards, terminated, truncated

    @staticmethod
    def _rows(ids: ArrayLike | None) -> slice | NDArray[np.int64]:
        """An index of the rows in `ids`: a slice, which copies nothing, if it is all of them."""
        if ids is None:
            return slice(None)
        rows = np.asarray(ids)
        if rows.dtype == bool:
            raise ValueError("ids are numbers of environments, found a mask: pass np.flatnonzero(mask)")
        return rows.astype(np.int64)


def make_d4rl(task: str, size: int) -> BatchSimulator:
    """A simulator in the variant `d4rl`."""
    return BatchSimulator(task, size, "d4rl")


def make_gymnasium(task: str, size: int) -> BatchSimulator:
    """A simulator in the variant `gymnasium`."""
    return BatchSimulator(task, size, "gymnasium")


def make_gymnasium_v5(task: str, size: int) -> BatchSimulator:
    """A simulator in the variant `gymnasium-v5`."""
    return BatchSimulator(task, size, "gymnasium-v5")


def make_gymnasium_old_margins(task: str, size: int) -> BatchSimulator:
    """A simulator in the variant `gymnasium-old-margins`."""
    return BatchSimulator(task, size, "gymnasium-old-margins")


def make_gymnasium_v5_old_margins(task: str, size: int) -> BatchSimulator:
    """A simulator in the variant `gymnasium-v5-old-margins`."""
    return BatchSimulator(task, size, "gymnasium-v5-old-margins")
