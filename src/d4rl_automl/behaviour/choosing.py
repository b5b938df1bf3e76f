"""Behaviour policies: how they are trained, how good they are, and which of them collect a dataset.

A training (`behaviour_training`, in an environment of its own) leaves checkpoints and a curve of
their returns. Of these, `choose` takes

    medium    the first whose curve reaches `medium_score`
    replay    `REPLAY` up to and with medium, evenly spaced in steps: what a replay buffer saw
    expert    the one with the best curve

and measures them anew, on other episodes, since the best of many is partly luck. A level is the
return of a policy's stochastic actions in the `d4rl` variant of the simulator. Files are
those that `collect.TanhGaussian` reads.
"""

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.data.providers.embedded import VARIANT, TanhGaussian
from d4rl_automl.simulators.batch import Actions, BatchSimulator
from d4rl_automl.tasks.scores import normalise
from d4rl_automl.tasks.seeds import episode_seeds

PYTHON_VARIABLE = "D4RL_AUTOML_BEHAVIOUR"
"""Environment variable that names the python of the training's environment, if it is not the project's own."""
REPLAY = 8
"""Policies that medium-replay is made of."""
EPISODES = 100
"""Episodes that a level is measured on."""

_SETTINGS: dict[str, tuple[type, ...]] = {
    "algorithm": (str,),
    "seed": (int,),
    "steps": (int,),
    "checkpoint_steps": (int,),
    "curve_episodes": (int,),
    "medium_score": (int, float),
    "environments": (int,),
    "learning_rate": (dict,),
    "policy": (dict,),
    "arguments": (dict,),
}
_ALGORITHMS = ("PPO", "SAC")
_ROOT = Path(__file__).parents[3]
_OWN = _ROOT / ".venv-behaviour" / "bin" / "python"
_LOG_STD_RANGE = (-20.0, 2.0)  # as in sbx's SAC


def find_python() -> Path:
    """The python that can train; raises InputError, saying how to install it, where there is none."""
    path = Path(os.environ.get(PYTHON_VARIABLE, _OWN))
    if not path.is_file():
        raise InputError(
            f"{path} does not exist; make the environment that trains behaviour policies with "
            f"envs/behaviour/install.sh, or set {PYTHON_VARIABLE} to the python of one that is made"
        )
    return path


def train(task: str, settings: Mapping[str, Any], output: str | Path) -> None:
    """Train by one task's `settings`; `output` becomes a folder of checkpoints and their curve.csv.

    resources/behaviour/training.yaml explains the settings. Raises InputError for a missing,
    unknown or ill-typed one, and where the environment to train in is missing.
    """
    _check_settings(task, settings)
    command = [str(find_python()), "-m", "d4rl_automl.behaviour.training", task, json.dumps(settings)]
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


def save(path: str | Path, layers: Mapping[str, ArrayLike], activation: str) -> None:
    """Write a policy as float32 arrays.

    `layers` has w0 (d, h), b0 (h,), w1 (h, k), b1 (k,), w_mu and w_ls (k, a), b_mu and b_ls (a,),
    where a layer is x @ w + b; `activation` is tanh or relu.
    """
    arrays: dict[str, Any] = {name: np.asarray(values, np.float32) for name, values in layers.items()}
    low, high = (np.float32(limit) for limit in _LOG_STD_RANGE)
    with files.whole(path) as part:
        np.savez(part, log_std_min=low, log_std_max=high, activation=np.array(activation), **arrays)


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


def evaluate(
    policy: TanhGaussian, task: str, seeds: NDArray[np.int64], stochastic: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns (n,) and lengths (n,) of one episode per seed, all side by side.

    Actions are sampled as `collect` samples them, or are tanh(mu) unless `stochastic`.
    """
    simulator = BatchSimulator(task, len(seeds), VARIANT)
    steps = simulator.task.episode_steps
    chance = np.zeros((len(seeds), steps, simulator.task.action_size), np.float32)
    if stochastic:
        for row, seed in enumerate(seeds):
            chance[row] = policy.draw(np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(1,))), steps)
    returns = np.zeros(len(seeds))
    running = np.arange(len(seeds))
    observations = simulator.reset(seeds)
    for step in range(steps):
        actions, _ = policy.act(observations.astype(np.float32), chance[running, step])
        observations, rewards, terminated, truncated = simulator.step(actions, running)
        returns[running] += rewards
        going = ~(terminated | truncated)
        running, observations = running[going], observations[going]
        if not len(running):
            break
    return returns, simulator.steps.copy()


def roles(curve: Sequence[Mapping[str, str]], medium_score: float) -> dict[str, Mapping[str, str]]:
    """The rows of a curve that become medium, replay-1, …, and expert, in order of their use.

    `curve` has the columns of curve.csv, by rising environment_steps. Raises InputError for a
    curve that never reaches `medium_score`, and for one with fewer than `REPLAY` rows before.
    """
    scores = [float(row["stochastic_score"]) for row in curve]
    steps = np.array([int(row["environment_steps"]) for row in curve])
    medium = next((i for i, score in enumerate(scores) if score >= medium_score), None)
    if medium is None:
        raise InputError(f"no checkpoint reaches the score {medium_score}, the best has {max(scores)}: train longer")
    spaced = steps[medium] * np.arange(1, REPLAY + 1) / REPLAY
    replay = [int(np.abs(steps - goal).argmin()) for goal in spaced]
    if len(set(replay)) < REPLAY:
        raise InputError(
            f"medium is reached after {steps[medium]} steps, with fewer than {REPLAY} checkpoints on the way: "
            "lower checkpoint_steps"
        )
    # The last of the replay is medium itself, and has its file.
    return {
        "medium": curve[medium],
        **{f"replay-{number}": curve[i] for number, i in enumerate(replay[:-1], 1)},
        "expert": curve[int(np.argmax(scores))],
    }


def choose(trainings: Mapping[str, str | Path], settings: Mapping[str, Mapping[str, Any]], output: str | Path) -> None:
    """Choose among each task's checkpoints; `output` becomes a folder of files as resources/behaviour has them.

    They are the policies, recipes.csv, and levels.csv with the level of each on `EPISODES` episodes.
    `trainings` has the folder of each task's training, `settings` what it was made by. Raises
    InputError, naming the training, for one without the checkpoints needed.
    """
    levels, recipes = [], []
    with files.whole(output) as part:
        part.mkdir()
        for task, folder in trainings.items():
            with (Path(folder) / "curve.csv").open(newline="") as stream:
                curve = list(csv.DictReader(stream))
            try:
                picked = roles(curve, settings[task]["medium_score"])
            except InputError as error:
                raise InputError(f"{folder}: {error}") from None
            for role, row in picked.items():
                shutil.copyfile(Path(folder) / row["policy"], part / f"{task}-{role}.npz")
                levels.append(_level(part / f"{task}-{role}.npz", task, settings[task], row))
            recipes += _recipes(task)
        _write_rows(part / "levels.csv", levels)
        _write_rows(part / "recipes.csv", recipes)


def _level(path: Path, task: str, settings: Mapping[str, Any], row: Mapping[str, str]) -> dict[str, Any]:
    seeds = episode_seeds(settings["seed"], f"{task}-behaviour", "report", EPISODES)
    returns, lengths = evaluate(TanhGaussian(path, task, 1.0), task, seeds)
    return {
        "policy": path.name,
        "algorithm": settings["algorithm"],
        "environment_steps": row["environment_steps"],
        "episodes": EPISODES,
        "return_mean": f"{returns.mean():.1f}",
        "return_std": f"{returns.std(ddof=1):.1f}",
        "normalised_score": f"{normalise(task, returns.mean()):.1f}",
        "length_mean": f"{lengths.mean():.1f}",
    }


def _recipes(task: str) -> list[dict[str, Any]]:
    """The four recipes of a task, by D4RL's rules: which policies, in which order and shares."""
    replay = [f"replay-{number}" for number in range(1, REPLAY)]
    sources = {
        "random": ["uniform"],
        "medium": [f"{task}-medium.npz"],
        "medium-replay": [f"{task}-{role}.npz" for role in (*replay, "medium")],
        "medium-expert": [f"{task}-medium.npz", f"{task}-expert.npz"],
    }
    return [
        {"task": task, "recipe": recipe, "policy": policy, "share": 1 / len(policies), "noise": 1.0}
        for recipe, policies in sources.items()
        for policy in policies
    ]


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
