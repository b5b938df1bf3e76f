"""What the single and the vector environment of a task have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium.spaces import Box

from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.camera import Camera
from d4rl_automl.tasks import scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class TaskEnvironment:
    """An environment over a `BatchSimulator`, with D4RL's datasets and score of its task.

    Raises InputError for an unknown render mode.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, simulator: BatchSimulator, render_mode: str | None) -> None:
        modes = self.metadata["render_modes"]
        if render_mode not in (None, *modes):
            raise InputError(f"render_mode is {render_mode!r}; expected None or one of {', '.join(modes)}")
        self.simulator = simulator
        """What is played in; its first axis numbers the episodes. Read it."""
        self.task = simulator.task
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1 / simulator.seconds)}  # type: ignore[misc]
        self._camera: Camera | None = None

    def get_dataset(self, level: str | None = None) -> dict[str, NDArray[Any]]:
        """D4RL's dataset of this task, as its `get_dataset` returns it.

        Of a robot of the gym suite that at a `level` ("medium", "medium-replay", …); of AntMaze, whose tasks have one
        dataset each, without.

        By the names in its file: observations (N, d), actions (N, a), rewards (N,) float32, terminals and timeouts
        (N,) bool, next_observations (N, d) float32 where there are any, infos/… and metadata/…. The file is found or
        downloaded as `d4rl_automl.load_dataset` does, which raises InputError for a dataset that there is not.
        """
        from d4rl_automl.data.datasets import load_dataset  # noqa: PLC0415  Who only plays needs no HDF5.

        name = self.task.name if level is None else f"{self.task.name}-{level}"
        return load_dataset(f"{name}-v2", self.task.name).as_dict()

    def get_normalized_score(self, returns: ArrayLike) -> NDArray[np.float64]:
        """(return - ref_min) / (ref_max - ref_min) of undiscounted returns of any shape: D4RL's `get_normalized_score`.

        A fraction, as D4RL's. Papers report 100 times as much, and so does `d4rl_automl.normalise`.
        """
        return scores.normalise(self.task.name, returns) / 100.0

    def _start_infos(self) -> dict[str, NDArray[Any]]:
        """What is told of episodes that start, by name, a row for each: in a goal-reaching task the goal, in metres."""
        return {} if self.task.goal is None else {"goal": self.simulator.goals.copy()}

    def _step_infos(self, before: NDArray[np.float64], terminated: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """What is told of a step from x positions `before` (n,), by name, a row for each.

        In a goal-reaching task the goal, and whether it was reached; otherwise x_position, in metres, and x_velocity,
        in metres per second.
        """
        if self.task.goal is not None:
            return {**self._start_infos(), "success": terminated & ~self.simulator.diverged}
        after = self.simulator.qpos[:, 0].copy()
        return {"x_position": after, "x_velocity": (after - before) / self.simulator.seconds}

    def _spaces(self) -> tuple[Any, Any]:
        """Of one observation and of one action, those of Gymnasium's v4 classes."""
        return (
            Box(-np.inf, np.inf, (self.task.observation_size,), np.float64),
            Box(-1.0, 1.0, (self.task.action_size,), np.float32),
        )

    def _picture(self, row: int) -> NDArray[np.uint8]:
        """Of an episode, by its number."""
        if self._camera is None:
            self._camera = Camera(self.simulator.model)
        return self._camera.picture(self.simulator.qpos[row], self.simulator.qvel[row])

    def _close_camera(self) -> None:
        if self._camera is not None:
            self._camera.close()
        self._camera = None
