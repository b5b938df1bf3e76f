"""The simulator that D4RL's scores are defined by: D4RL on gym, mujoco-py and MuJoCo 2.1.0.

They live in an environment of their own, which envs/mujoco-py/install.sh makes, and step there
in a process that this one talks to (`legacy_worker`). Slow, one episode after the other, and
needed for nothing but to check the `d4rl` variant of `simulator` against.
"""

import os
import subprocess
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators import original_worker
from d4rl_automl.simulators.models import make_model
from d4rl_automl.simulators.robots import Actions, draw_initial_states

PYTHON_VARIABLE = "D4RL_AUTOML_MUJOCO_PY"
"""Environment variable that names the python of D4RL's environment, if it is not the project's own."""

_OWN = Path(__file__).parents[3] / ".venv-mujoco-py" / "bin" / "python"


def find_python() -> Path:
    """The python of D4RL's environment; raises InputError, saying how to install it, where there is none."""
    path = Path(os.environ.get(PYTHON_VARIABLE, _OWN))
    if not path.is_file():
        raise InputError(
            f"simulator mujoco-py: {path} does not exist; make D4RL's environment with envs/mujoco-py/install.sh, "
            f"or set {PYTHON_VARIABLE} to the python of one that is made"
        )
    return path


class LegacySimulator:
    """`size` independent episodes of D4RL's own environment, with `BatchSimulator`'s interface.

    Seeds give the initial states that they give there. Episodes are truncated at the task's
    1,000th step, as gym's time limit does. Where mujoco-py reports that the physics blew up,
    the episode is `terminated` and `diverged` with reward 0.

    Raises InputError for an unknown task and where the environment is missing or broken.
    """

    def __init__(self, task: str, size: int) -> None:
        self.task = tasks.get(task)
        self.size = size
        self.steps = np.zeros(size, np.int64)
        """Steps (size,) since the last reset."""
        self.diverged = np.zeros(size, bool)
        """Whether (size,) the physics of the current episode blew up."""
        self._model = make_model(task)
        python = find_python()
        # Isolated: the folder of the worker, this package, would hide the standard library's modules.
        self._process = subprocess.Popen(
            [python, "-I", "-W", "ignore", original_worker.__file__, task, str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        weakref.finalize(self, _stop, self._process)
        try:
            greeting = self._receive()
        except RuntimeError:
            raise InputError(
                f"simulator mujoco-py: {python} cannot make D4RL's environment, for the reason in its messages above; "
                "make it anew with envs/mujoco-py/install.sh"
            ) from None
        self.versions = {name: str(version) for name, version in greeting.items()}
        """Versions of mujoco, d4rl, gym, mujoco-py and numpy in D4RL's environment."""

    def reset(self, seeds: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """As `BatchSimulator.reset`."""
        seeds = np.asarray(seeds, np.int64)
        return self.set_state(
            *draw_initial_states(self.task.name, self._model, seeds), np.arange(len(seeds)) if ids is None else ids
        )

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike, ids: ArrayLike | None = None) -> NDArray[np.float64]:
        """As `BatchSimulator.set_state`."""
        rows = self._rows(ids)
        self.steps[rows] = 0
        self.diverged[rows] = False
        message = {"ids": rows, "qpos": np.asarray(qpos, np.float64), "qvel": np.asarray(qvel, np.float64)}
        return self._ask(message)["observations"]

    def step(
        self, actions: Actions, ids: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """As `BatchSimulator.step`; D4RL's wrapper clips the actions. An episode that has ended is not refused."""
        rows = self._rows(ids)
        answer = self._ask({"ids": rows, "actions": actions})
        self.steps[rows] += 1
        self.diverged[rows] = answer["diverged"]
        truncated = self.steps[rows] >= self.task.episode_steps
        return answer["observations"], answer["rewards"], answer["terminated"], truncated

    def _rows(self, ids: ArrayLike | None) -> NDArray[np.int64]:
        return np.arange(self.size) if ids is None else np.asarray(ids, np.int64)

    def _ask(self, message: original_worker.Message) -> original_worker.Message:
        assert self._process.stdin is not None
        try:
            original_worker.send(self._process.stdin, message)
        except BrokenPipeError:
            raise RuntimeError("D4RL's environment died; its messages are above") from None
        return self._receive()

    def _receive(self) -> original_worker.Message:
        assert self._process.stdout is not None
        try:
            return original_worker.receive(self._process.stdout)
        except EOFError:
            raise RuntimeError("D4RL's environment died; its messages are above") from None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes, at which the worker ends, and wait for it."""
    process.communicate()
