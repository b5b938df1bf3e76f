"""Behaviour policies: how good they are, and which of them collect a dataset.

A training (`behaviour.training`) leaves checkpoints and a curve of their returns. Of these, `choose` takes

    medium    the first whose curve reaches `medium_score`
    replay    `REPLAY` up to and with medium, evenly spaced in steps: what a replay buffer saw
    expert    the one with the best curve; of a task without `medium_score` this one alone

and measures them anew, on other episodes, since the best of many is partly luck. A level is the
return of a policy's stochastic actions. Files are those of `behaviour.policies`.
"""

import csv
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from d4rl_automl.behaviour import navigation
from d4rl_automl.behaviour.policies import VARIANT, TanhGaussian, draw_chance
from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators import closed_loop
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.closed_loop import Moment
from d4rl_automl.tasks import antmaze
from d4rl_automl.tasks.scores import normalise
from d4rl_automl.tasks.seeds import episode_seeds

REPLAY = 8
"""Policies that medium-replay is made of."""
NAVIGATION_NOISE = 0.2
"""Standard deviation of what is added to an ant's actions (scripts/generation/generate_ant_maze_datasets.py)."""
EPISODES = 100
"""Episodes that a level is measured on."""


def evaluate(
    policy: TanhGaussian, task: str, seeds: NDArray[np.int64], stochastic: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns (n,) and lengths (n,) of one episode per seed, all side by side.

    Actions are sampled as a collection samples them, or are tanh(mu) unless `stochastic`.
    """
    simulator = BatchSimulator(task, len(seeds), VARIANT)
    chance = draw_chance(policy, seeds, simulator.task.episode_steps)
    if not stochastic:
        chance[:] = 0

    def act(moment: Moment) -> NDArray[np.float32]:
        return policy.act(moment.observations.astype(np.float32), chance[moment.step, moment.ids])[0]

    played = closed_loop.play(simulator, seeds, act)
    return played.returns, played.lengths


def roles(curve: Sequence[Mapping[str, str]], medium_score: float | None) -> dict[str, Mapping[str, str]]:
    """The rows of a curve that become medium, replay-1, …, and expert, in order of their use.

    `curve` has the columns of curve.csv, by rising environment_steps. Raises InputError for a
    curve that never reaches `medium_score`, and for one with fewer than `REPLAY` rows before.
    """
    scores = [float(row["stochastic_score"]) for row in curve]
    expert = curve[int(np.argmax(scores))]
    if medium_score is None:
        return {"expert": expert}
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
        "expert": expert,
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
            with (Path(folder) / "curve.csv").open(newline="", encoding="utf-8") as stream:
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
    """The recipes of a task, by D4RL's rules: which policies, in which order and shares, with how much noise."""
    if task == antmaze.WALK.name:
        walker = {"policy": f"{task}-expert.npz", "share": 1.0, "noise": NAVIGATION_NOISE}
        return [
            {"task": maze.name, "recipe": recipe, **walker} for maze in antmaze.TASKS for recipe in navigation.RECIPES
        ]
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
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
