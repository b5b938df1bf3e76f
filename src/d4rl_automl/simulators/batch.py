"""D4RL's locomotion tasks on current MuJoCo, many episodes stepped side by side.

Two variants of the physics:

- ``d4rl`` reproduces MuJoCo 2.1.0, in which the benchmark is evaluated. MuJoCo 2.1.2 and
  later compute other inertias for capsules, and 3.5.0 and later combine contact margins by
  adding them up instead of taking the larger, so 2.1.0's inertias are written into the model
  and the margins halved (every one of these models has a single margin).
- ``gymnasium`` has the physics of Gymnasium's v4 environments as it is.

Rewards, terminations, observations and resets are those of Gymnasium's v4 classes
(gymnasium/envs/mujoco/{hopper,half_cheetah,walker2d}_v4.py) in both.

Two things that MuJoCo does for scenes of many bodies are left out for one robot on a floor, which
saves 17 to 21 % of a step's time (benchmarks/rollout.py) and changes no bit of it: looking for the
pairs of geoms that may touch (they are listed in the model), and splitting the constraints into
independent islands.
"""

import ctypes
import functools
import itertools
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import gymnasium.envs.mujoco
import mujoco
import mujoco.batch
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import RESOURCES

VARIANTS = ("d4rl", "gymnasium")

_INERTIA = RESOURCES / "mujoco210_inertia.json"
# BADQPOS, BADQVEL and BADQACC follow each other.
_BLOW_UPS = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQACC) + 1)
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


@functools.cache
def _prepare_mujoco() -> None:
    """Settings of the MuJoCo library itself, once per process."""
    # The Python bindings install a timer callback that costs 10-25 % on models this small;
    # mujoco.set_mjcb_time(None) does not remove it.
    library = next(Path(mujoco.__file__).parent.glob("libmujoco.*"))
    ctypes.c_void_p.in_dll(ctypes.CDLL(str(library)), "mjcb_time").value = None
    # Otherwise a diverged simulation leaves a MUJOCO_LOG.TXT in the working directory.
    log = mujoco.MjLogConfig.get()
    log.logto_file = False
    log.set()


def make_model(task: str, variant: str = "d4rl") -> mujoco.MjModel:
    """The MuJoCo model of `task` ("hopper", "halfcheetah", "walker2d") in one `variant` of the physics.

    Contacts have the parameters of the model's pairs (`pair_margin`, `pair_friction`, …), not of its geoms.

    Raises InputError for an unknown task or variant, and for a task without simulator.
    """
    environment = tasks.get(task).environment
    if environment is None:
        raise InputError(f"task {task!r} has no simulator; those that have one are {', '.join(tasks.SIMULATED)}")
    if variant not in VARIANTS:
        raise InputError(f"simulator {variant!r} is unknown; the simulators are {', '.join(VARIANTS)}")
    _prepare_mujoco()
    model = _compile(Path(gymnasium.envs.mujoco.__file__).parent / "assets" / _ENVIRONMENTS[task].xml)
    if variant == "d4rl":
        for field, values in json.loads(_INERTIA.read_text())[environment].items():
            getattr(model, field)[:] = values
        mujoco.mj_setConst(model, mujoco.MjData(model))
        model.geom_margin *= 0.5
    # As MuJoCo 3.5.0 and later combine the margins of a pair that is not listed.
    model.pair_margin[:] = model.geom_margin[model.pair_geom1] + model.geom_margin[model.pair_geom2]
    # Nothing is left to look for. Last, because mj_setConst derives these from the geoms anew.
    model.body_contype[:] = 0
    model.body_conaffinity[:] = 0
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ISLAND
    return model


def _compile(xml: Path) -> mujoco.MjModel:
    """The model of an XML file, with every pair of geoms that may touch listed."""
    spec = mujoco.MjSpec.from_file(str(xml))
    for first, second in itertools.combinations(spec.geoms, 2):
        if _may_touch(first, second):
            pair = spec.add_pair(
                geomname1=first.name, geomname2=second.name, condim=max(first.condim, second.condim), margin=0
            )
            # What is not a number is combined from the two geoms, as for a pair that is not listed.
            for field in ("friction", "solref", "solimp"):
                getattr(pair, field)[:] = np.nan
    with warnings.catch_warnings():
        # Gymnasium's cheetah uses an attribute that MuJoCo is about to drop; MuJoCo's version is pinned.
        warnings.filterwarnings("ignore", "compiler attribute 'settotalmass' is deprecated")
        return spec.compile()


def _may_touch(first: mujoco.MjsGeom, second: mujoco.MjsGeom) -> bool:
    """MuJoCo's own filters: the bit masks match, and the bodies are neither the same nor parent and child.

    The world is the parent of the robot's root, but its floor touches that.
    """
    one, other = first.parent, second.parent
    related = one == other or (one.parent == other and other.name != "world")
    related |= other.parent == one and one.name != "world"
    matching = first.contype & second.conaffinity or second.contype & first.conaffinity
    return bool(matching) and not related


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


class BatchSimulator:
    """`size` independent episodes of one task; what one does never depends on the others or on `threads`.

    Environments are numbered 0 to size - 1. Methods take `ids`, ascending and without
    repetition, to reach some of them; arrays then have one row for each, in that order.
    Nothing resets by itself: an environment that has terminated, been truncated or diverged
    refuses further steps until it is reset.

    Raises InputError for an unknown task or variant.
    """

    def __init__(self, task: str, size: int, variant: str = "d4rl", threads: int = 1) -> None:
        self.model = make_model(task, variant)
        self.task = tasks.get(task)
        self.variant = variant
        self.size = size
        self._environment = _ENVIRONMENTS[task]
        # Keeps the solver's warm start of every environment, without which results would
        # differ from a loop over one environment.
        self._batch = mujoco.batch.Batch(self.model, size, threads)
        self._initial_state = self._batch.state[0].copy()
        self._ctrl = self._batch.bind("ctrl")
        self._warnings = self._batch.warning[:, _BLOW_UPS, 1]
        self.qpos: NDArray[np.float64] = self._batch.bind("qpos")
        """Positions (size, nq), a live view. Read it; write through `set_state`."""
        self.qvel: NDArray[np.float64] = self._batch.bind("qvel")
        """Velocities (size, nv), a live view. Read it; write through `set_state`."""
        self.steps = np.zeros(size, np.int64)
        """Steps (size,) since the last reset."""
        self.diverged = np.zeros(size, bool)
        """Whether (size,) the physics of the current episode became non-finite or unbounded."""
        self._ended = np.ones(size, bool)

    def reset(self, seeds: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """Start new episodes exactly as Gymnasium's ``reset(seed=s)`` does; returns observations (n, d).

        `seeds` (n,) int go to environments 0 to n - 1, or to the n environments in `ids`.
        """
        seeds = np.asarray(seeds, np.int64)
        ids = np.arange(len(seeds)) if ids is None else np.asarray(ids)
        if len(seeds) != len(ids):
            raise ValueError(f"{len(seeds)} seeds for {len(ids)} environments")
        return self.set_state(*draw_initial_states(self.task.name, self.model, seeds), ids)

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """Start new episodes from the given positions (n, nq) and velocities (n, nv); returns observations (n, d).

        The rows go to the environments in `ids`, by default to all.
        """
        rows = self._rows(ids)
        # Everything else that an earlier episode left is cleared, the solver's warm start included.
        self._batch.state[rows] = self._initial_state
        self._batch.warning[rows] = 0
        self.qpos[rows] = qpos
        self.qvel[rows] = qvel
        self.steps[rows] = 0
        self.diverged[rows] = False
        self._ended[rows] = False
        return observe(self.task.name, self.qpos[rows], self.qvel[rows])

    def step(
        self, actions: Actions, ids: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Apply `actions` (n, a) to the environments in `ids` (all by default) for one step.

        Returns observations (n, d) float64, rewards (n,) float64, terminated (n,) and truncated
        (n,) bool; truncated is true at the task's 1,000th step. Actions are clipped to [-1, 1]
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
        if self.variant == "d4rl":
            # D4RL's wrapper scales [-1, 1] to [-1, 1] in the action's dtype, which rounds: up to 6e-8 in float32
            # (d4rl/utils/wrappers.py, NormalizedBoxEnv; its factors 0.5 and 2 are exact).
            actions = (actions + 1.0) - 1.0
        clipped: Actions = actions.clip(-1.0, 1.0)
        before, before_velocity = self.qpos[rows], self.qvel[rows]
        if ids is None:  # Then these are views.
            before, before_velocity = before.copy(), before_velocity.copy()
        self._ctrl[rows] = clipped
        self._batch.step(ids, nstep=self._environment.frame_skip)
        qpos, qvel = self.qpos[rows], self.qvel[rows]
        # MuJoCo resets a simulation that blows up and steps on; its warning counters tell.
        warnings = self._warnings[rows]
        diverged = np.zeros(count, bool)
        # Row by row only where it is needed: this runs at every step.
        if warnings.any() or not (np.isfinite(qpos).all() and np.isfinite(qvel).all()):
            diverged = warnings.any(1) | ~(np.isfinite(qpos).all(1) & np.isfinite(qvel).all(1))
            broken = np.arange(self.size)[rows][diverged]
            self.qpos[broken] = before[diverged]
            self.qvel[broken] = before_velocity[diverged]
            self.diverged[broken] = True
            qpos, qvel = self.qpos[rows], self.qvel[rows]
        velocity = (qpos[:, 0] - before[:, 0]) / (self.model.opt.timestep * self._environment.frame_skip)
        rewards = np.where(diverged, 0.0, compute_rewards(self.task.name, velocity, clipped, self.variant))
        terminated = is_terminated(self.task.name, qpos, qvel) | diverged
        self.steps[rows] += 1
        truncated = self.steps[rows] >= self.task.episode_steps
        self._ended[rows] = terminated | truncated
        return observe(self.task.name, qpos, qvel), rewards, terminated, truncated

    @staticmethod
    def _rows(ids: ArrayLike | None) -> slice | NDArray[np.int64]:
        """An index of the rows in `ids`: a slice, which copies nothing, if it is all of them."""
        if ids is None:
            return slice(None)
        rows = np.asarray(ids)
        if rows.dtype == bool:
            raise ValueError("ids are numbers of environments, found a mask: pass np.flatnonzero(mask)")
        return rows.astype(np.int64)
