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
    Actions are clipped to [-1, 1], before the control cost too. AntMaze is D4RL's own environment, in "d4rl" alone:
    what an episode is to reach is `target_goal`, and in its infos. The time limit is Gymnasium's own `TimeLimit`, which
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

        Returns the observation (d,) float64, and an info that is empty but for the goal (2,) of AntMaze, in metres.
        """
        gymnasium.Env.reset(self, seed=seed)
        observation = self.simulator.draw([self.np_random], [0])[0]
        return observation, {name: values[0] for name, values in self._start_infos().items()}

    def set_state(self, qpos: ArrayLike, qvel: ArrayLike) -> NDArray[np.float64]:
        """Start an episode from positions (nq,) and velocities (nv,), its goal as it is; returns the observation."""
        return self.simulator.set_state(np.asarray(qpos)[None], np.asarray(qvel)[None])[0]

    def step(self, action: ArrayLike) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        """Apply an action (a,); returns observation (d,) float64, reward, terminated, False, and info.

        The info has x_position, in metres, and x_velocity, in metres per second, of this step; that of AntMaze goal
        (2,), in metres, and success, whether it was reached. Where the physics blows up, the episode terminates with
        reward 0 and the observation before.

        Raises ValueError for an action of a wrong shape or that is not finite, and after an episode's end.
        """
        before = self.simulator.qpos[:, 0].copy()
        observations, rewards, terminated, _ = self.simulator.step(np.asarray(action)[None])
        info = {name: values[0] for name, values in self._step_infos(before, terminated).items()}
        if "success" in info:
            info["success"] = bool(info["success"])
        return observations[0], float(rewards[0]), bool(terminated[0]), False, info

    @property
    def target_goal(self) -> NDArray[np.float64]:
        """What this episode is to reach (2,), in metres, by D4RL's name; set it after a reset, which draws another.

        Raises AttributeError in a task without goal.
        """
        self._refuse_goal()
        return self.simulator.goals[0].copy()

    @target_goal.setter
    def target_goal(self, goal: ArrayLike) -> None:
        self._refuse_goal()
        self.simulator.goals[0] = goal

    def _refuse_goal(self) -> None:
        if self.task.goal is None:
            raise AttributeError(f"task {self.task.name!r} has no goal")

    def render(self) -> NDArray[np.uint8] | None:
        """The robot as it is now, (480, 480, 3); None without a render mode.

        Raises InputError as `Camera.picture` does.
        """
        return None if self.render_mode is None else self._picture(0)

    def close(self) -> None:
        """Give OpenGL back what it holds."""
        self._close_camera()
