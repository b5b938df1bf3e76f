"""Training of behaviour policies with sbx: the program that `training.train` starts in an environment of its own."""

import csv
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Before JAX starts. Networks this small gain nothing from threads, and one thread sums in one order.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np
import sbx
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from threadpoolctl import threadpool_limits

from d4rl_automl.behaviour import choosing, policies, training
from d4rl_automl.behaviour.policies import TanhGaussian
from d4rl_automl.core.script import run
from d4rl_automl.tasks.scores import normalise
from d4rl_automl.tasks.seeds import episode_seeds

_log = logging.getLogger(__name__)

# Stable-Baselines3 asks for bounds of what tanh is taken of. Beyond these, tanh is 1 in float32.
_UNBOUNDED = 20.0


class SimulatorVecEnv(VecEnv):
    """`training.EndlessEpisodes` as an environment of Stable-Baselines3.

    With `squash`, what steps the simulator is tanh of the action. The info of an episode's
    last step has "terminal_observation", and "TimeLimit.truncated" where it was the time limit
    that ended it: the value of that observation is then bootstrapped.
    """

    def __init__(self, task: str, size: int, seed: int, squash: bool) -> None:
        self.episodes = training.EndlessEpisodes(task, size, seed)
        self._squash = squash
        self.render_mode = None
        known = self.episodes.simulator.task
        bound = _UNBOUNDED if squash else 1.0
        super().__init__(
            size,
            spaces.Box(-np.inf, np.inf, (known.observation_size,), np.float32),
            spaces.Box(-bound, bound, (known.action_size,), np.float32),
        )

    def reset(self) -> NDArray[np.float32]:
        return self.episodes.reset().astype(np.float32)

    def step_async(self, actions: NDArray[np.float32]) -> None:
        self._actions = np.tanh(actions) if self._squash else actions

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        following, rewards, terminated, truncated, reached = self.episodes.step(self._actions)
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(ended):
            infos[i] = {
                "terminal_observation": reached[i].astype(np.float32),
                "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
            }
        return following.astype(np.float32), rewards.astype(np.float32), ended, infos

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError("the environments have no attributes of their own")

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        raise NotImplementedError("the environments have no methods of their own")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]


def make_model(task: str, settings: Mapping[str, Any]) -> Any:
    """The untrained sbx.PPO or sbx.SAC of `task` by its `settings`."""
    ppo = settings["algorithm"] == "PPO"
    arguments, rate = settings["arguments"], settings["learning_rate"]
    environment: VecEnv = SimulatorVecEnv(task, settings["environments"], settings["seed"], squash=ppo)
    if ppo:
        # Observations without limits: their normalisation is then linear, and export can fold it into a layer.
        environment = VecNormalize(environment, gamma=arguments["gamma"], clip_obs=np.inf)
    return getattr(sbx, settings["algorithm"])(
        "MlpPolicy",
        environment,
        seed=settings["seed"],
        policy_kwargs=settings["policy"],
        learning_rate=lambda remaining: rate["end"] + (rate["start"] - rate["end"]) * remaining,
        **arguments,
    )


def export(model: Any, path: str | Path) -> None:
    """Write the actor of an sbx.PPO or sbx.SAC, of two hidden layers, as a behaviour policy."""
    weights = model.policy.actor_state.params["params"]
    layers = {
        f"{kind}{name}": np.asarray(weights[f"Dense_{i}"][parameter])
        for i, name in enumerate(("0", "1", "_mu"))
        for kind, parameter in (("w", "kernel"), ("b", "bias"))
    }
    if isinstance(model, sbx.PPO):
        normalisation = model.get_vec_normalize_env()
        deviation = np.sqrt(normalisation.obs_rms.var + normalisation.epsilon)
        layers["w0"], layers["b0"] = training.fold_normalisation(
            layers["w0"], layers["b0"], normalisation.obs_rms.mean, deviation
        )
        layers["w_ls"], layers["b_ls"] = np.zeros_like(layers["w_mu"]), np.asarray(weights["log_std"])
        activation = "tanh"
    else:
        layers["w_ls"], layers["b_ls"] = (np.asarray(weights["Dense_3"][name]) for name in ("kernel", "bias"))
        activation = "relu"
    policies.save(path, layers, activation)


class _Checkpoints(BaseCallback):
    """Every `checkpoint_steps` environment steps, exports the policy and adds a row to curve.csv; ends at `steps`."""

    def __init__(self, task: str, settings: Mapping[str, Any], folder: Path) -> None:
        super().__init__()
        self._task, self._settings, self._folder = task, settings, folder
        self._next = 0
        self._seeds = episode_seeds(settings["seed"], f"{task}-behaviour", "selection", settings["curve_episodes"])

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next:
            self._next += self._settings["checkpoint_steps"]
            self._add()
        return bool(self.num_timesteps < self._settings["steps"])

    def _add(self) -> None:
        name = f"{self.num_timesteps:08d}.npz"
        export(self.model, self._folder / name)
        policy = TanhGaussian(self._folder / name, self._task, 1.0)
        row: dict[str, Any] = {"policy": name, "environment_steps": self.num_timesteps}
        for kind in ("stochastic", "deterministic"):
            returns, lengths = choosing.evaluate(policy, self._task, self._seeds, stochastic=kind == "stochastic")
            row |= {
                f"{kind}_return": f"{returns.mean():.1f}",
                f"{kind}_return_std": f"{returns.std():.1f}",
                f"{kind}_score": f"{normalise(self._task, returns.mean()):.1f}",
                f"{kind}_length": f"{lengths.mean():.0f}",
            }
        curve = self._folder / "curve.csv"
        header = not curve.exists()
        with curve.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            if header:
                writer.writeheader()
            writer.writerow(row)
        _log.info("%s", row)


def train(task: str, settings: Mapping[str, Any], folder: str | Path) -> None:
    """Train by one task's `settings`; the new `folder` holds checkpoints and curve.csv, added to as they come."""
    torch.set_num_threads(1)
    Path(folder).mkdir()
    with threadpool_limits(1):
        model = make_model(task, settings)
        model.learn(settings["learning_rate"]["steps"], _Checkpoints(task, settings, Path(folder)))


if __name__ == "__main__":
    run(lambda: train(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]))
