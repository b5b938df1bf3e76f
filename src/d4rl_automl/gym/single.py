"""One episode at a time: Gymnasium's `Env`."""

import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import EzPickle
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.gym.task_environment import TaskEnvironment
from d4rl_automl.simulators.batch import BatchSimulator


class D4RLEnv(TaskEnvironment, gymnasium.Env[NDArray[np.float64], NDArray[np.float32]], EzPickle):
    """A task that is played one step at a time: a `BatchSimulator` of size one behind Gymnasium's interface.

    Spaces, seeds, observations, rewards, ends and infos are those of Gymnasium's v4 class of the robot, in the physics
    of `variant`: "d4rl", those that D4RL's scores are defined in, "gymnasium", or "gymnasium-v5", with v5's rewards.
    Actions are clipped to [-1, 1], before the control cost too. The time limit is Gymnasium's own `TimeLimit`, which
    `gymnasium.make` puts around.

    Raises InputError for an unknown task, variant or render mode, and for a task without simulator.
    """

    def __init__(self, task: str, variant: str = "d4rl", render_mode: str | None = None) -> None:
        EzPickle.__init__(self, task, variant, render_mode)
        super().__init__(BatchSimulator(task, 1, variant, episode_steps=sys.maxsize), render_mode)
        self.observation_space, self.action_space = self._spaces()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Start an episode; without a `seed`, from what the generator draws next. No options are known.

        Returns the observation (d,) float64 and an empty info.
        """
        gymnasium.Env.reset(self, seed=seed)
        qpos, qvel = self.simulator.robot.initial_states(self.simulator.model, [self.np_random])
        return self.simulator.set_state(qpos, qvel)[0], {}

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike) -> NDArray[np.float64]:
        """Start an episode from positions (nq,) and velocities (nv,); returns the observation (d,)."""
        return self.simulator.set_state(np.asarray(qpos)[None], np.asarray(qvel)[None])[0]

    def step(self, action: ArrayLike) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        """Apply an action (a,); returns observation (d,) float64, reward, terminated, False, and info.

        The info has x_position, in metres, and x_velocity, in metres per second, of this step. Where the physics blows
        up, the episode terminates with reward 0 and the observation before.

        Raises ValueError for an action of a wrong shape or that is not finite, and after an episode's end.
        """
        before = self.simulator.qpos[0, 0]
        observations, rewards, terminated, _ = self.simulator.step(np.asarray(action)[None])
        position = self.simulator.qpos[0, 0]
        info = {"x_position": position, "x_velocity": (position - before) / self.simulator.seconds}
        return observations[0], float(rewards[0]), bool(terminated[0]), False, info

    def render(self) -> NDArray[np.uint8] | None:
        """The robot as it is now, (480, 480, 3); None without a render mode.

        Raises InputError as `Camera.picture` does.
        """
        return None if self.render_mode is None else self._picture(0)

    def close(self) -> None:
        """Give OpenGL back what it holds."""
        self._close_camera()
