"""Training of behaviour policies: its settings, its start, and the episodes that it learns from.

What learns is `training_worker`, in the environment that envs/behaviour/install.sh makes.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.behaviour.policies import VARIANT
from d4rl_automl.core import environments, files
from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.robots import Actions

_SETTINGS: dict[str, tuple[type, ...]] = {
    "algorithm": (str,),
    "seed": (int,),
    "steps": (int,),
    "checkpoint_steps": (int,),
    "curve_episodes": (int,),
    "medium_score": (int, float, type(None)),
    "environments": (int,),
    "learning_rate": (dict,),
    "policy": (dict,),
    "arguments": (dict,),
}
_ALGORITHMS = ("PPO", "SAC")
_ROOT = Path(__file__).parents[3]


def train(task: str, settings: Mapping[str, Any], output: str | Path) -> None:
    """Train by one task's `settings`; `output` becomes a folder of checkpoints and their curve.csv.

    resources/behaviour/training.yaml explains the settings. Raises InputError for a missing,
    unknown or ill-typed one, and where the environment to train in is missing.
    """
    _check_settings(task, settings)
    python = str(environments.find_python("behaviour"))
    command = [python, "-m", "d4rl_automl.behaviour.training_worker", task, json.dumps(settings)]
    with files.whole(output) as part:
        subprocess.run([*command, str(part)], env={**os.environ, "PYTHONPATH": str(_ROOT / "src")}, check=True)


def _check_settings(task: str, settings: Mapping[str, Any]) -> None:
    where = f"resources/behaviour/training.yaml: {task}"
    if settings.keys() != _SETTINGS.keys():
        wrong = ", ".join(sorted(settings.keys() ^ _SETTINGS.keys()))
        raise InputError(f"{where}: missing or unknown: {wrong}; the settings are {', '.join(_SETTINGS)}")
    for name, kinds in _SETTINGS.items():
        if type(settings[name]) not in kinds:
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise InputError(f"{where}: {name} is {settings[name]!r}, expected {wanted}")
    if settings["algorithm"] not in _ALGORITHMS:
        raise InputError(f"{where}: algorithm is {settings['algorithm']!r}, expected {' or '.join(_ALGORITHMS)}")
    if settings["learning_rate"].keys() != {"start", "end", "steps"}:
        raise InputError(f"{where}: learning_rate is {settings['learning_rate']!r}, expected start, end and steps")


def fold_normalisation(
    weights: ArrayLike, bias: ArrayLike, mean: ArrayLike, deviation: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The layer (d, h), (h,) for observations that does what `weights` and `bias` do for normalised ones.

    Normalised is (observation - mean) / deviation, with `mean` and `deviation` (d,).
    """
    scaled = np.asarray(weights, np.float64) / np.asarray(deviation, np.float64)[:, None]
    return scaled, np.asarray(bias, np.float64) - np.asarray(mean, np.float64) @ scaled


class EndlessEpisodes:
    """`size` environments in which the next episode follows each that ends.

    Every environment draws the seeds of its episodes from a stream of its own, made from `seed`.
    """

    def __init__(self, task: str, size: int, seed: int) -> None:
        self.simulator = BatchSimulator(task, size, VARIANT)
        self._streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(size)]

    def reset(self) -> NDArray[np.float64]:
        """Start an episode everywhere; returns observations (size, d)."""
        return self._start(np.arange(self.simulator.size))

    def step(
        self, actions: Actions
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
        """Apply `actions` (size, a) to all.

        Returns the observations (size, d) to act on next, those of a new episode where one has
        ended; rewards, terminated and truncated (size,) as `BatchSimulator.step` does; and the
        observations (size, d) that the actions led to.
        """
        reached, rewards, terminated, truncated = self.simulator.step(actions)
        following = reached.copy()
        if len(ended := np.flatnonzero(terminated | truncated)):
            following[ended] = self._start(ended)
        return following, rewards, terminated, truncated, reached

    def _start(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.simulator.reset([int(self._streams[i].integers(2**62)) for i in ids], ids)
