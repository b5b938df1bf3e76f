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

    def get_dataset(self, level: str) -> dict[str, NDArray[Any]]:
        """D4RL's dataset of this task at a `level` ("medium", "medium-replay", …), as its `get_dataset` returns it.

        By the names in its file: observations (N, d), actions (N, a), rewards (N,) float32, terminals and timeouts
        (N,) bool, next_observations (N, d) float32 where there are any, infos/… and metadata/…. The file is found or
        downloaded as `d4rl_automl.load_dataset` does, which raises InputError for a dataset that there is not.
        """
        from d4rl_automl.data.datasets import load_dataset  # noqa: PLC0415  Who only plays needs no HDF5.

        return load_dataset(f"{self.task.name}-{level}-v2", self.task.name).as_dict()

    def get_normalized_score(self, returns: ArrayLike) -> NDArray[np.float64]:
        """(return - ref_min) / (ref_max - ref_min) of undiscounted returns of any shape: D4RL's `get_normalized_score`.

        A fraction, as D4RL's. Papers report 100 times as much, and so does `d4rl_automl.normalise`.
        """
        return scores.normalise(self.task.name, returns) / 100.0

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
