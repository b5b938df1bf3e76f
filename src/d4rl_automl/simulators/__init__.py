"""The simulators that policies are played in: which there are, and how one is made.

What they are is known without MuJoCo, NumPy or any other package; a simulator's module is imported when one is made.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from d4rl_automl.simulators.robots import Actions
    from d4rl_automl.tasks.task import Task


class Simulator(Protocol):
    """`size` independent episodes of one task; what one does never depends on the others.

    Environments are numbered 0 to size - 1. Methods take `ids`, ascending and without
    repetition, to reach some of them; arrays then have one row for each, in that order.
    Nothing resets by itself.
    """

    task: Task
    size: int
    steps: NDArray[np.int64]
    """Steps (size,) since the last reset."""
    goals: NDArray[np.float64]
    """What the episodes are to reach (size, k), drawn at a reset and NaN before; k is 0 where a task has no goal.

    Write to it for a goal of your own: the next step is judged by it.
    """
    diverged: NDArray[np.bool_]
    """Whether (size,) the physics of the current episode blew up."""

    @property
    def versions(self) -> dict[str, str]:
        """Versions of what the physics and the rewards come from, by name."""

    def reset(self, seeds: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """Start new episodes from what Gymnasium's ``reset(seed=s)`` draws; returns observations (n, d) float64.

        A goal is drawn after the state, by the same seed. `seeds` (n,) int go to environments 0 to n - 1, or to the n
        environments in `ids`.
        """

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """Start new episodes from the given positions (n, nq) and velocities (n, nv); returns observations (n, d).

        The rows go to the environments in `ids`, by default to all. Goals stay as they are.
        """

    def step(
        self, actions: Actions, ids: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Apply `actions` (n, a), clipped to [-1, 1], to the environments in `ids` (all by default) for one step.

        Returns observations (n, d) float64, rewards (n,) float64, terminated (n,) and truncated
        (n,) bool; truncated is true at the task's time limit. Where the physics blows up, the
        episode is `terminated` and `diverged` with reward 0.
        """


@dataclass(frozen=True)
class Physics:
    """What a simulator computes: Gymnasium's classes and model files, and in what it differs from current MuJoCo."""

    gymnasium: int
    """The version of Gymnasium's classes, 4 or 5: the walker's feet differ, and what the step of a fall pays."""
    old_margins: bool = False
    """The margins of two geoms that touch are combined as before MuJoCo 3.5: the larger, not their sum."""
    old_inertias: bool = False
    """Capsules have the inertias that they had before MuJoCo 2.1.2."""


@dataclass(frozen=True)
class Variant:
    """A simulator by the name that the config, the rollout tables and the file names give it."""

    name: str
    description: str
    """What it is, in a sentence."""
    maker: str
    """The callable that makes it of a task's name and a size, as "module:name"."""
    physics: Physics

    @property
    def module(self) -> str:
        """That the maker is in."""
        return self.maker.split(":")[0]


SIMULATORS = {
    variant.name: variant
    for variant in (
        Variant(
            "d4rl",
            "D4RL's physics, those of MuJoCo 2.1.0, on current MuJoCo: what D4RL's scores are comparable with.",
            "d4rl_automl.simulators.batch:make_d4rl",
            Physics(4, old_margins=True, old_inertias=True),
        ),
        Variant(
            "gymnasium",
            "The physics of Gymnasium's v4 environments on current MuJoCo.",
            "d4rl_automl.simulators.batch:make_gymnasium",
            Physics(4),
        ),
        Variant(
            "gymnasium-v5",
            "The physics and rewards of Gymnasium's v5 environments on current MuJoCo.",
            "d4rl_automl.simulators.batch:make_gymnasium_v5",
            Physics(5),
        ),
        Variant(
            "gymnasium-old-margins",
            "Gymnasium's v4 environments as they were on MuJoCo 2.1.2 to 3.4; of the robots, the hopper differs.",
            "d4rl_automl.simulators.batch:make_gymnasium_old_margins",
            Physics(4, old_margins=True),
        ),
        Variant(
            "gymnasium-v5-old-margins",
            "Gymnasium's v5 environments as they were on MuJoCo before 3.5.",
            "d4rl_automl.simulators.batch:make_gymnasium_v5_old_margins",
            Physics(5, old_margins=True),
        ),
        Variant(
            "mujoco-py",
            "D4RL's own environments on gym, mujoco-py and MuJoCo 2.1.0, in an environment of their own; slow.",
            "d4rl_automl.simulators.original:OriginalSimulator",
            Physics(4, old_margins=True, old_inertias=True),
        ),
    )
}
"""Every simulator, by its name."""

STEPPED_HERE = tuple(name for name, one in SIMULATORS.items() if one.module == "d4rl_automl.simulators.batch")
"""Those that step models of this package's own (`simulators.models`) and show their states."""


def get(name: str) -> Variant:
    """The variant of this name; raises InputError for an unknown one."""
    try:
        return SIMULATORS[name]
    except KeyError:
        raise InputError(f"simulator {name!r} is unknown; the simulators are {', '.join(SIMULATORS)}") from None


def of(task: str) -> tuple[str, ...]:
    """The names of the simulators that a task is played in; raises InputError for an unknown task."""
    found = tasks.get(task)
    if found.robot is None:
        return ()
    return tuple(SIMULATORS) if found.simulators is None else found.simulators


def check(task: str, name: str) -> None:
    """Raise InputError for an unknown task or simulator, and for a simulator that the task is not played in."""
    get(name)
    found = tasks.get(task)
    if found.robot is not None and name not in of(task):
        why = f" ({found.why_not_others})" if found.why_not_others else ""
        raise InputError(
            f"task {task!r} is not played in the simulator {name!r}{why}; its simulators are {', '.join(of(task))}"
        )


def make(task: str, size: int, variant: str) -> Simulator:
    """A simulator of `size` episodes of a task.

    Raises InputError for an unknown variant or task, for a task that has no simulator or not this one, and for a
    variant that is not installed.
    """
    check(task, variant)
    made: Simulator = pkgutil.resolve_name(get(variant).maker)(task, size)
    return made
