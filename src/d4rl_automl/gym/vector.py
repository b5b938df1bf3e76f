"""Thousands of episodes side by side: Gymnasium's `VectorEnv`."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.gym.task_environment import TaskEnvironment
from d4rl_automl.simulators.batch import BatchSimulator

Seeds = int | Sequence[int | None] | None
Step = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class D4RLVectorEnv(TaskEnvironment, VectorEnv[NDArray[np.float64], NDArray[np.float32], NDArray[Any]]):
    """`num_envs` environments of one task in one `BatchSimulator`, stepped by so many `threads`.

    What Gymnasium's `SyncVectorEnv` of as many `single.D4RLEnv` does, this does to the bit, infos and seeds included,
    in each of its autoreset modes: NextStep (an ended environment is reset by the next step, which ignores its action),
    SameStep (at once; infos then have final_obs and final_info) and Disabled (`reset` does it, with a mask of those to
    reset in `options["reset_mask"]`). An episode takes at most `max_episode_steps`, by default the task's time limit;
    -1 is without limit.

    Raises InputError for an unknown task, variant, autoreset mode or render mode, for a time limit that is none, and
    for a task without simulator.
    """

    def __init__(
        self,
        task: str,
        num_envs: int = 1,
        *,
        variant: str = "d4rl",
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 1,
        render_mode: str | None = None,
    ) -> None:
        limit = sys.maxsize if max_episode_steps == -1 else max_episode_steps
        super().__init__(BatchSimulator(task, num_envs, variant, threads, limit), render_mode)
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError:
            modes = ", ".join(mode.value for mode in AutoresetMode)
            raise InputError(f"autoreset_mode is {autoreset_mode!r}; expected one of {modes}") from None
        self.metadata["autoreset_mode"] = self.autoreset_mode
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = self._spaces()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._shape = (num_envs, self.task.observation_size)
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self._seeds: list[int] = [-1] * num_envs
        self._ended = np.zeros(num_envs, bool)
        """Those that the next step resets."""

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Start episodes in all environments, or in those of the mask (num_envs,) bool in `options["reset_mask"]`.

        A `seed` s gives the environments s, s + 1, …, a sequence one each. Who has none, or None, draws what its own
        generator gives next. Returns the observations (num_envs, d) float64 of all, and infos, empty but in AntMaze:
        goal (num_envs, 2), in metres, and the mask _goal (num_envs,) bool of those that started.

        Raises ValueError for seeds or a mask of another size, and for an empty mask.
        """
        seeds: Sequence[int | None]
        if seed is None:
            seeds = [None] * self.num_envs
        else:
            seeds = range(seed, seed + self.num_envs) if isinstance(seed, int | np.integer) else seed
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds for {self.num_envs} environments")
        ids = self._asked(options)
        for row in ids:
            if (own := seeds[row]) is not None:
                self._generators[row], self._seeds[row] = seeding.np_random(int(own))
        self._draw(ids)
        self._ended[ids] = False
        started = np.zeros(self.num_envs, bool)
        started[ids] = True
        observations = self.simulator.robot.observe(self.simulator.qpos, self.simulator.qvel)
        return observations, _infos(self._start_infos(), started)

    def step(self, actions: ArrayLike) -> Step:
        """Apply actions (num_envs, a); returns what Gymnasium's vector environments return.

        Observations (num_envs, d) and rewards (num_envs,) float64, terminated and truncated (num_envs,) bool, and
        infos: x_position, in metres, and x_velocity, in metres per second, (num_envs,) float64, 0 where an environment
        was reset, and the masks _x_position and _x_velocity (num_envs,) bool of where it was not; of AntMaze goal
        (num_envs, 2), in metres, and success (num_envs,) bool, with their masks.

        Raises ValueError for actions of a wrong shape or that are not finite, before the first reset, and in the mode
        Disabled while an environment has ended.
        """
        applied = np.asarray(actions)
        if applied.shape != self.action_space.shape:
            raise ValueError(f"actions have shape {applied.shape}, expected {self.action_space.shape}")
        before = self.simulator.qpos[:, 0].copy()
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and self._ended.any():
            stepped = ~self._ended
            observations, rewards, terminated, truncated = self._step_some(applied, stepped)
        else:
            stepped = np.ones(self.num_envs, bool)
            observations, rewards, terminated, truncated = self.simulator.step(applied)
        # A reset tells nothing that a step does not.
        told, everyone = self._step_infos(before, terminated), np.ones(self.num_envs, bool)
        self._ended = terminated | truncated
        if self.autoreset_mode != AutoresetMode.SAME_STEP or not self._ended.any():
            infos = _infos(told, stepped) | _infos(self._start_infos(), everyone)
            return observations, rewards, terminated, truncated, infos
        ended, self._ended = self._ended, np.zeros(self.num_envs, bool)
        final = self._final(observations, ended, _infos(told, ended))
        observations[ended] = self._draw(np.flatnonzero(ended))
        infos = _infos(told, ~ended) | _infos(self._start_infos(), everyone)
        return observations, rewards, terminated, truncated, final | infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """The robots as they are now, (480, 480, 3) each; None without a render mode.

        Raises InputError as `Camera.picture` does.
        """
        return None if self.render_mode is None else tuple(self._picture(row) for row in range(self.num_envs))

    def close_extras(self, **_: Any) -> None:
        """Give OpenGL back what it holds."""
        self._close_camera()

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generator of each environment."""
        return tuple(map(self._generator, range(self.num_envs)))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """What each environment's generator was last seeded with."""
        return tuple(seed for _, seed in zip(self.np_random, self._seeds, strict=True))

    def _generator(self, row: int) -> np.random.Generator:
        generator = self._generators[row]
        if generator is None:
            generator, self._seeds[row] = seeding.np_random()
            self._generators[row] = generator
        return generator

    def _draw(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Start an episode in each of these, from what its own generator draws next; returns their observations."""
        generators = [self._generator(row) for row in ids]
        return self.simulator.draw(generators, ids)

    def _asked(self, options: dict[str, Any] | None) -> NDArray[np.int64]:
        """The numbers of the environments to reset."""
        if options is None or "reset_mask" not in options:
            return np.arange(self.num_envs)
        mask = options["reset_mask"]
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask'] is {mask!r}; expected ({self.num_envs},) bool, not all of it False"
            )
        return np.flatnonzero(mask)

    def _step_some(
        self, actions: NDArray[Any], stepped: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Step these and reset the others."""
        observations, rewards = np.empty(self._shape), np.zeros(self.num_envs)
        terminated, truncated = np.zeros(self.num_envs, bool), np.zeros(self.num_envs, bool)
        ids = np.flatnonzero(stepped)
        if len(ids):
            results = self.simulator.step(actions[ids], ids)
            observations[ids], rewards[ids], terminated[ids], truncated[ids] = results
        observations[~stepped] = self._draw(np.flatnonzero(~stepped))
        return observations, rewards, terminated, truncated

    def _final(
        self, observations: NDArray[np.float64], ended: NDArray[np.bool_], info: dict[str, Any]
    ) -> dict[str, Any]:
        """What Gymnasium tells of episodes that end in a step which resets them."""
        final = np.full(self.num_envs, None, object)
        for row in np.flatnonzero(ended):
            final[row] = observations[row].copy()
        return {"final_obs": final, "_final_obs": ended, "final_info": info, "_final_info": ended.copy()}


def _infos(told: Mapping[str, NDArray[Any]], where: NDArray[np.bool_]) -> dict[str, Any]:
    """What Gymnasium's vector environments tell of some environments: values, 0 for the others, and masks."""
    if not where.any():
        return {}
    infos: dict[str, Any] = {}
    for name, values in told.items():
        shown = values.copy()
        shown[~where] = 0
        infos |= {name: shown, f"_{name}": where.copy()}
    return infos
