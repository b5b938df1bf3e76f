"""The simulator that D4RL's scores are defined by: D4RL on gym, mujoco-py and MuJoCo 2.1.0.

They live in an environment of their own, which envs/mujoco-py/install.sh makes, and step there
in a process that this one talks to (`original_worker`). Slow, one episode after the other, and
needed for nothing but to check the variant `d4rl` against.
"""

import subprocess
import weakref

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks
from d4rl_automl.core import environments
from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators import original_worker, robots
from d4rl_automl.simulators.models import make_model
from d4rl_automl.simulators.robots import Actions


class OriginalSimulator:
    """`size` independent episodes of D4RL's own environment.

    A `Simulator` in which seeds give the initial states and goals that they give in `BatchSimulator`.
    Episodes are truncated at the task's time limit, as gym's wrapper does, and blow up where
    mujoco-py reports it.

    Raises InputError for an unknown task, for one without simulator, and where the environment is missing or broken.
    """

    def __init__(self, task: str, size: int) -> None:
        self.task = tasks.get(task)
        self.size = size
        self.steps = np.zeros(size, np.int64)
        """Steps (size,) since the last reset."""
        self.diverged = np.zeros(size, bool)
        """Whether (size,) the physics of the current episode blew up."""
        self._robot = robots.get(task)
        goal_size = len(self.task.goal.columns) if self.task.goal else 0
        self.goals: NDArray[np.float64] = np.full((size, goal_size), np.nan)
        """As `Simulator.goals`."""
        self._model = make_model(task)
        python = environments.find_python("mujoco-py")
        # Isolated: the folder of the worker, this package, would hide the standard library's modules.
        self.process = subprocess.Popen(
            [python, "-I", "-W", "ignore", original_worker.__file__, task, str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        weakref.finalize(self, _stop, self.process)
        try:
            greeting = self._receive()
        except RuntimeError:
            raise InputError(
                f"simulator mujoco-py: {python} cannot make D4RL's environment, for the reason in its messages above; "
                "mend what they say, or make it anew with envs/mujoco-py/install.sh"
            ) from None
        self._versions = {name: str(version) for name, version in greeting.items()}

    @property
    def versions(self) -> dict[str, str]:
        """Of mujoco, d4rl, gym, mujoco-py and numpy in D4RL's environment."""
        return self._versions

    def reset(self, seeds: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """As `Simulator.reset`."""
        seeds = np.asarray(seeds, np.int64)
        ids = np.arange(len(seeds)) if ids is None else np.asarray(ids)
        generators = robots.seeded(seeds)
        qpos, qvel = self._robot.initial_states(self._model, generators)
        self.goals[ids] = self._robot.goals(generators)
        return self.set_state(qpos, qvel, ids)

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """As `Simulator.set_state`."""
        rows = self._rows(ids)
        self.steps[rows] = 0
        self.diverged[rows] = False
        message = {"ids": rows, "qpos": np.asarray(qpos, np.float64), "qvel": np.asarray(qvel, np.float64)}
        return self._ask(message)["observations"]

    def step(
        self, actions: Actions, ids: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """As `Simulator.step`; D4RL's wrapper clips the actions. An episode that has ended is not refused."""
        rows = self._rows(ids)
        answer = self._ask({"ids": rows, "actions": actions, "goals": self.goals[rows]})
        self.steps[rows] += 1
        self.diverged[rows] = answer["diverged"]
        truncated = self.steps[rows] >= self.task.episode_steps
        return answer["observations"], answer["rewards"], answer["terminated"], truncated

    def _rows(self, ids: ArrayLike | None) -> NDArray[np.int64]:
        return np.arange(self.size) if ids is None else np.asarray(ids, np.int64)

    def _ask(self, message: original_worker.Message) -> original_worker.Message:
        assert self.process.stdin is not None
        try:
            original_worker.send(self.process.stdin, message)
        except BrokenPipeError:
            raise RuntimeError("D4RL's environment died; its messages are above") from None
        return self._receive()

    def _receive(self) -> original_worker.Message:
        assert self.process.stdout is not None
        try:
            return original_worker.receive(self.process.stdout)
        except EOFError:
            raise RuntimeError("D4RL's environment died; its messages are above") from None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes, at which the worker ends, and wait for it."""
    process.communicate()
