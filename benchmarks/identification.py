"""How sure the verdict on a file's simulator is: steps of every behaviour policy in every physics, replayed in each.

    .venv/bin/python benchmarks/identification.py

The first table has, by robot, the simulator that made the steps and the one that repeats them, over all policies and
both types that observations are stored as: the least and the largest share of the rows that are repeated (`replay`),
the largest median error, and the smallest 99 % quantile. The second is the verdict on every embedded dataset of
resources/behaviour/recipes.csv, collected with --rows rows. The third is the verdict on episodes that Gymnasium's own
environments of v4 and v5 play.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from d4rl_automl import tasks
from d4rl_automl.behaviour.policies import TanhGaussian, Uniform, draw_chance
from d4rl_automl.core.script import run
from d4rl_automl.data import collection, recipes, recordings, replay
from d4rl_automl.data.identification import identify_simulator
from d4rl_automl.data.providers.embedded import Entry
from d4rl_automl.simulators import closed_loop, robots
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.closed_loop import Moment, StepResult

Content = dict[str, NDArray[Any]]
FLOATS = ("observations", "next_observations", "rewards")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=40, help="per policy and simulator")
    parser.add_argument("--rows", type=int, default=20_000, help="of every embedded dataset")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show(summarise(replays(Path(folder), given.episodes)))
        show(pd.DataFrame(embedded(Path(folder), given.rows)))
        show(pd.DataFrame(stock(Path(folder))))


def show(table: pd.DataFrame) -> None:
    print(table.to_string(index=False), flush=True)


def policies(task: str) -> dict[str, Uniform | TanhGaussian]:
    """The behaviour policies of a robot, by name."""
    found: dict[str, Uniform | TanhGaussian] = {"uniform": Uniform(task)}
    for path in sorted(recipes.BEHAVIOUR.glob(f"{task}-*.npz")):
        found[path.stem.removeprefix(f"{task}-")] = TanhGaussian(path, task, 1.0)
    return found


def replays(folder: Path, episodes: int) -> Iterator[dict[str, Any]]:
    """The evidence for every class, of every policy's steps in every class, stored as either type."""
    for task in tasks.SIMULATED:
        if not isinstance(robots.get(task), robots.Runner):
            continue
        for name, policy in tqdm(policies(task).items(), desc=task, file=sys.stderr):
            for maker in replay.classes(task):
                content = play(BatchSimulator(task, episodes, maker), policy)
                for dtype in (np.float32, np.float64):
                    path = save(folder / "steps.hdf5", content, dtype)
                    with recordings.reading(path, task) as reader:
                        found = replay.identify(reader, task)
                    about = {"policy": name, "made in": maker, "stored": dtype.__name__, "verdict": found["verdict"]}
                    for one in found["evidence"]:
                        if one["task"] == task:
                            yield about | one


def play(simulator: BatchSimulator, policy: Uniform | TanhGaussian) -> Content:
    """An episode in each of the simulator's places, one after the other, by the policy's sampled actions."""
    seeds = np.arange(simulator.size)
    chance = draw_chance(policy, seeds, simulator.task.episode_steps)
    rows: list[Content] = []

    def act(moment: Moment) -> NDArray[np.float32]:
        actions, _ = policy.act(moment.observations.astype(np.float32), chance[moment.step, moment.ids])
        rows.append({"episode": moment.ids, "observations": moment.observations.copy(), "actions": actions.copy()})
        return actions

    def record(moment: Moment, result: StepResult) -> None:
        rows[-1] |= {"rewards": result.rewards.copy(), "next_observations": result.observations.copy()}
        rows[-1] |= {"terminals": result.terminated.copy(), "timeouts": result.truncated & ~result.terminated}

    closed_loop.play(simulator, seeds, act, record)
    together = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    order = np.argsort(together.pop("episode"), kind="stable")
    return {name: values[order] for name, values in together.items()}


def save(path: Path, content: Content, dtype: type) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            file[name] = values.astype(dtype) if name in FLOATS else values
    return path


def summarise(evidence: Iterator[dict[str, Any]]) -> pd.DataFrame:
    table = pd.json_normalize(list(evidence))
    right = (table["verdict"] == table["made in"]) | (table["verdict"] == replay.NOT_KNOWN)
    print(f"{(~right).sum()} of {len(table)} lines belong to a wrong verdict", flush=True)
    grouped = table.groupby(["task", "made in", "simulator"], sort=False)
    return grouped.agg(
        files=("policy", "size"),
        least_repeated=("repeated", "min"),
        most_repeated=("repeated", "max"),
        largest_median=("error.median", "max"),
        smallest_99_percent=("error.99 %", "min"),
        known=("verdict", lambda verdicts: (verdicts != replay.NOT_KNOWN).mean()),
    ).reset_index()


def embedded(folder: Path, rows: int) -> Iterator[dict[str, Any]]:
    """The verdict on every recipe's dataset."""
    for task in tasks.SIMULATED:
        if not isinstance(robots.get(task), robots.Runner):
            continue
        for recipe in recipes.recipes(task):
            name = f"{task}-{recipe}-embedded-small"
            entry = {"name": name, "provider": "embedded", "task": task, "recipe": recipe, "transitions": rows}
            raw = folder / f"{name}.hdf5"
            collection.collect(Entry.model_validate(entry), raw, folder / f"{name}.json", 1)
            yield {"dataset": name} | verdict(raw, task)


def stock(folder: Path) -> Iterator[dict[str, Any]]:
    """The verdict on what the medium policies do in Gymnasium's own environments."""
    for task in tasks.SIMULATED:
        robot = robots.get(task)
        if not isinstance(robot, robots.Runner):
            continue
        for version in (4, 5):
            name = f"{robot.name}-v{version}"
            environment = gymnasium.make(name, disable_env_checker=True)
            content = play_stock(environment, policies(task)["medium"])
            for dtype in (np.float32, np.float64):
                path = save(folder / "stock.hdf5", content, dtype)
                yield {"environment": name, "stored": dtype.__name__} | verdict(path, task)


def play_stock(environment: gymnasium.Env, policy: Uniform | TanhGaussian, rows: int = 4000) -> Content:
    """Episodes one after the other by the policy's sampled actions; the last one is cut."""
    generator, ended, step = np.random.default_rng(0), True, 0
    played: list[tuple[Any, ...]] = []
    chance = policy.draw(generator, 1000)
    while len(played) < rows:
        if ended:
            observation, _ = environment.reset(seed=len(played))
            chance, step = policy.draw(generator, 1000), 0
        action = policy.act(observation[None].astype(np.float32), chance[[step]])[0][0].copy()
        following, reward, fell, out_of_time, _ = environment.step(action)
        played.append((observation, action, reward, following, fell, out_of_time and not fell))
        observation, ended, step = following, fell or out_of_time, step + 1
    names = ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")
    return dict(zip(names, map(np.array, zip(*played, strict=True)), strict=True))


def verdict(path: Path, task: str) -> dict[str, Any]:
    begun = time.perf_counter()
    found = identify_simulator(path, task)
    seconds = time.perf_counter() - begun
    told = {name: found[name] for name in ("verdict", "usable")}
    (repeated,) = [one["repeated"] for one in found["evidence"] if one["simulator"] == found["verdict"]] or [None]
    return told | {"repeated": repeated, "simulators": ", ".join(found["simulators"]), "seconds": round(seconds, 2)}


if __name__ == "__main__":
    run(main)
