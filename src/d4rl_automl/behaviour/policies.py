"""Behaviour policies: how they act, and their files."""

import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError

VARIANT = "d4rl"
"""Of the simulators, in which these policies are trained and measured, and in which they collect."""

_WEIGHTS = ("w0", "b0", "w1", "b1", "w_mu", "b_mu", "w_ls", "b_ls", "log_std_min", "log_std_max")
_ACTIVATIONS: dict[str, Callable[[NDArray[np.float32]], Any]] = {
    "tanh": lambda values: np.tanh(values, out=values),
    "relu": lambda values: np.maximum(values, 0, out=values),
}
"""In place, as is all arithmetic of a network here: after the physics, memory is what costs."""
_LOG_STD_RANGE = (-20.0, 2.0)  # as in sbx's SAC


@dataclass(frozen=True)
class Source:
    """One row of recipes.csv."""

    policy: str
    """File in resources/behaviour, or "uniform"."""
    share: float
    """Of the transitions."""
    noise: float
    """Factor on the policy's standard deviation; 1 for "uniform", where it means nothing."""


class Policy(Protocol):
    """What collects data."""

    def draw(self, generator: np.random.Generator, steps: int) -> NDArray[np.float32]:
        """The chance of an episode's `steps` steps, (steps, a), drawn at once."""

    def act(
        self, observations: NDArray[np.float32], chance: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Actions (n, a) and their log-density (n,), if known, for observations (n, d) and drawn chance (n, a)."""


class Uniform:
    """Actions drawn uniformly from [-1, 1]."""

    def __init__(self, task: str) -> None:
        self._size = tasks.get(task).action_size

    def draw(self, generator: np.random.Generator, steps: int) -> NDArray[np.float32]:
        """The chance of an episode's `steps` steps, (steps, a), drawn at once."""
        return generator.uniform(-1, 1, (steps, self._size)).astype(np.float32)

    def act(
        self, observations: NDArray[np.float32], chance: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Actions (n, a) and their log-density (n,) for observations (n, d) and drawn chance (n, a)."""
        return chance, np.full(len(chance), -self._size * np.log(2), np.float32)


class TanhGaussian:
    """A network's stochastic policy: tanh(mu + noise exp(log_std) eps), eps standard normal.

    `path` is an npz of float32 arrays: two hidden layers w0, b0, w1, b1; heads w_mu, b_mu and
    w_ls, b_ls (log_std, clipped to log_std_min and log_std_max); activation, tanh or relu.
    Raises InputError for a file that is not so, or not of `task`.
    """

    def __init__(self, path: Path, task: str, noise: float) -> None:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self._weights = {name: arrays[name].astype(np.float32) for name in _WEIGHTS}
                self._activation = _ACTIVATIONS[str(arrays["activation"])]
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: not a behaviour policy ({error}); restore it from the repository") from error
        known = tasks.get(task)
        sizes = len(self._weights["w0"]), len(self._weights["b_mu"])
        if sizes != (known.observation_size, known.action_size):
            raise InputError(
                f"{path}: observations and actions have sizes {sizes}, but {task}'s are "
                f"{(known.observation_size, known.action_size)}"
            )
        # One product for both heads.
        for kind in ("w", "b"):
            heads = self._weights[f"{kind}_mu"], self._weights[f"{kind}_ls"]
            self._weights[f"{kind}_heads"] = np.concatenate(heads, axis=-1)
        self._log_noise = np.float32(math.log(noise))

    def draw(self, generator: np.random.Generator, steps: int) -> NDArray[np.float32]:
        """As `Uniform.draw`."""
        return generator.standard_normal((steps, len(self._weights["b_mu"])), np.float32)

    def act(
        self, observations: NDArray[np.float32], chance: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `Uniform.act`."""
        hidden = observations
        for layer in ("0", "1"):
            hidden = self._linear(hidden, layer)
            self._activation(hidden)
        mean, log_std = np.split(self._linear(hidden, "_heads"), 2, axis=1)
        log_std = np.clip(log_std, self._weights["log_std_min"], self._weights["log_std_max"]) + self._log_noise
        raw = mean + np.exp(log_std) * chance
        # Change of variables: log(1 - tanh(u)^2) = 2 (log 2 - u - log(1 + exp(-2u))), which does not cancel.
        normal = -0.5 * (chance * chance + math.log(2 * math.pi)) - log_std
        squash = 2 * (math.log(2) - raw - np.logaddexp(0, -2 * raw))
        return np.tanh(raw), (normal - squash).sum(axis=1)

    def _linear(self, values: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        result = values @ self._weights[f"w{name}"]
        result += self._weights[f"b{name}"]
        return result


def draw_chance(policy: Policy, seeds: NDArray[np.int64], steps: int) -> NDArray[np.float32]:
    """The chance (steps, n, a) of n episodes' actions, each drawn from its own seed, (n,).

    A reset draws from SeedSequence(seed) itself; this from a child of it.
    """
    generators = [np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(1,))) for seed in seeds]
    return np.stack([policy.draw(generator, steps) for generator in generators], axis=1)


def save(path: str | Path, layers: Mapping[str, ArrayLike], activation: str) -> None:
    """Write a policy as `TanhGaussian` reads it, as float32 arrays.

    `layers` has w0 (d, h), b0 (h,), w1 (h, k), b1 (k,), w_mu and w_ls (k, a), b_mu and b_ls (a,),
    where a layer is x @ w + b; `activation` is tanh or relu.
    """
    arrays: dict[str, Any] = {name: np.asarray(values, np.float32) for name, values in layers.items()}
    low, high = (np.float32(limit) for limit in _LOG_STD_RANGE)
    with files.whole(path) as part:
        np.savez(part, log_std_min=low, log_std_max=high, activation=np.array(activation), **arrays)
