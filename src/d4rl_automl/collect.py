"""Embedded datasets: collected in the simulator, by D4RL's recipe, with behaviour policies that ship.

A recipe (resources/behaviour/recipes.csv) lists its sources in order: a policy, its share
of the transitions, and a factor on its noise. As in D4RL, random is uniform actions,
medium a half-trained policy sampled stochastically, medium-expert the two halves one after
the other. Episodes are whole; only the file's last one is cut, at exactly the transitions
asked for, and then has no flag. A cut in the middle would fuse two episodes unnoticed.

    source 0:  episode 0, 1, … until its share is reached, the last one whole
    source 1:  episode 0, 1, … until the file is full, the last one cut

On one kind of processor the data are a function of the entry alone. Episode i of a source
has its own seed, for its initial state and, apart from it, for its actions; and since BLAS
rounds differently with the number of rows, episodes are always played in the same
companies of `WAVE`, whichever process plays which.
"""

import itertools
import json
import multiprocessing
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from d4rl_automl import catalogue, datasets, files, tasks
from d4rl_automl.catalogue import BEHAVIOUR
from d4rl_automl.errors import InputError
from d4rl_automl.seeds import episode_seeds
from d4rl_automl.simulator import BatchSimulator

VARIANT = "d4rl"
WAVE = 32
"""Episodes played side by side. Data depend on it."""

_WEIGHTS = ("w0", "b0", "w1", "b1", "w_mu", "b_mu", "w_ls", "b_ls", "log_std_min", "log_std_max")
_ACTIVATIONS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, 0),
}

Block = dict[str, NDArray[Any]]
"""Consecutive rows of D4RL's arrays, by name."""


@dataclass(frozen=True)
class Source:
    """One row of recipes.csv."""

    policy: str
    """File in resources/behaviour, or "uniform"."""
    share: float
    """Of the transitions."""
    noise: float
    """Factor on the policy's standard deviation; 1 for "uniform", where it means nothing."""


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
        robot = tasks.get(task)
        sizes = len(self._weights["w0"]), len(self._weights["b_mu"])
        if sizes != (robot.observation_size, robot.action_size):
            raise InputError(
                f"{path}: observations and actions have sizes {sizes}, but {task}'s are "
                f"{(robot.observation_size, robot.action_size)}"
            )
        self._noise = np.float32(noise)

    def draw(self, generator: np.random.Generator, steps: int) -> NDArray[np.float32]:
        """As `Uniform.draw`."""
        return generator.standard_normal((steps, len(self._weights["b_mu"])), np.float32)

    def act(
        self, observations: NDArray[np.float32], chance: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `Uniform.act`."""
        w = self._weights
        hidden = self._activation(observations @ w["w0"] + w["b0"])
        hidden = self._activation(hidden @ w["w1"] + w["b1"])
        log_std = np.clip(hidden @ w["w_ls"] + w["b_ls"], w["log_std_min"], w["log_std_max"]) + np.log(self._noise)
        raw = hidden @ w["w_mu"] + w["b_mu"] + np.exp(log_std) * chance
        # Change of variables: log(1 - tanh(u)^2) = 2 (log 2 - u - log(1 + exp(-2u))), which does not cancel.
        normal = -0.5 * (chance**2 + np.log(2 * np.pi)) - log_std
        squash = 2 * (np.log(2) - raw - np.logaddexp(0, -2 * raw))
        return np.tanh(raw), (normal - squash).sum(axis=1).astype(np.float32)


def collect(entry: Mapping[str, Any], output: str | Path, provenance: str | Path, processes: int = 1) -> None:
    """Collect an embedded dataset into HDF5 in D4RL's layout; the same bytes for any number of `processes`.

    `entry` is what `catalogue.entry` returns for provider `embedded`.
    next_observations are what the simulator returned, at an episode's end too; infos/qpos
    and infos/qvel are the state before the action. `provenance` becomes JSON: SHA-256,
    policies and theirs, variant of the simulator, versions.

    Raises InputError for an unknown recipe or a damaged policy, and ValueError for
    transitions that leave a source none, which `catalogue.entry` refuses.
    """
    policies = catalogue.sources(entry["task"], entry["recipe"])
    used = [Source(source["policy"], source["share"], source["noise"]) for source in policies]
    made = {
        "recipe": entry["recipe"],
        "transitions": entry["transitions"],
        "seed": entry["seed"],
        "simulator": VARIANT,
        "mujoco": mujoco.__version__,
        "numpy": np.__version__,
    }
    metadata = {"dataset": entry["name"], "task": entry["task"], **made, "policies": json.dumps(policies)}
    # Spawned, not forked: a fork copies the state of thread pools, but not their threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _one_thread) as pool:
        datasets.write(output, _rows(entry, used, pool, processes), metadata)
    files.write_json(
        provenance,
        {
            "dataset": entry["name"],
            "provider": entry["provider"],
            "task": entry["task"],
            "sha256": files.sha256(output),
            **made,
            "policies": policies,
        },
    )


def _rows(entry: Mapping[str, Any], used: list[Source], pool: ProcessPoolExecutor, processes: int) -> Iterator[Block]:
    """Every episode of the file in its order, the last one cut."""
    total, done = entry["transitions"], 0
    goals = np.rint(total * np.cumsum([source.share for source in used])).astype(int)
    with tqdm(total=total, unit=" transitions", unit_scale=True, desc=entry["name"], mininterval=5) as bar:
        for number, (source, goal) in enumerate(zip(used, goals, strict=True)):
            if done >= goal:
                raise ValueError(f"{entry['name']}: {total} transitions leave none for source {source.policy}")
            for episode in _episodes(entry["task"], source, _waves(entry, number, len(used)), pool, processes):
                # Cut or not: the row that carries the end's flag is the last one.
                block = {name: values[: total - done] for name, values in episode.items()}
                yield block
                done += len(block["rewards"])
                bar.update(len(block["rewards"]))
                if done >= goal:
                    break


def _waves(entry: Mapping[str, Any], number: int, sources: int) -> Iterator[NDArray[np.int64]]:
    """Episode seeds of source `number` of so many, `WAVE` at a time, without end."""
    seeds = np.empty(0, np.int64)
    for start in itertools.count(step=WAVE):
        if (start + WAVE) * sources > len(seeds):
            count = max((start + WAVE) * sources, 2 * len(seeds))
            seeds = episode_seeds(entry["seed"], entry["name"], "collection", count)
        yield seeds[number::sources][start : start + WAVE]


def _episodes(
    task: str, source: Source, waves: Iterator[NDArray[np.int64]], pool: ProcessPoolExecutor, processes: int
) -> Iterator[Block]:
    """A source's episodes in order, without end; as many waves are under way as there are processes."""
    pending: deque[Future[list[Block]]] = deque()
    try:
        while True:
            while len(pending) < processes:
                pending.append(pool.submit(_play, task, source, next(waves)))
            yield from pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _one_thread() -> None:
    threadpool_limits(1)


def _play(task: str, source: Source, seeds: NDArray[np.int64]) -> list[Block]:
    """Play one episode per seed, side by side; who has finished leaves."""
    policy: Uniform | TanhGaussian
    if source.policy == "uniform":
        policy = Uniform(task)
    else:
        policy = TanhGaussian(BEHAVIOUR / source.policy, task, source.noise)
    simulator = BatchSimulator(task, len(seeds), VARIANT)
    steps = simulator.task.episode_steps
    # The reset draws from SeedSequence(seed) itself; the actions from a child of it.
    generators = [np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(1,))) for seed in seeds]
    chance = np.stack([policy.draw(generator, steps) for generator in generators])
    record = {
        name: np.empty((len(seeds), steps, *shape), dtype)
        for name, shape, dtype in (
            ("observations", (simulator.task.observation_size,), np.float32),
            ("actions", (simulator.task.action_size,), np.float32),
            ("rewards", (), np.float32),
            ("next_observations", (simulator.task.observation_size,), np.float32),
            ("terminals", (), np.bool_),
            ("timeouts", (), np.bool_),
            ("infos/qpos", (simulator.model.nq,), np.float32),
            ("infos/qvel", (simulator.model.nv,), np.float32),
            ("infos/action_log_probs", (), np.float32),
        )
    }
    running = np.arange(len(seeds))
    observations = simulator.reset(seeds).astype(np.float32)
    for step in range(steps):
        record["observations"][running, step] = observations
        record["infos/qpos"][running, step] = simulator.qpos[running]
        record["infos/qvel"][running, step] = simulator.qvel[running]
        actions, log_probabilities = policy.act(observations, chance[running, step])
        following, rewards, terminated, truncated = simulator.step(actions, running)
        observations = following.astype(np.float32)
        record["actions"][running, step] = actions
        record["infos/action_log_probs"][running, step] = log_probabilities
        record["rewards"][running, step] = rewards
        record["next_observations"][running, step] = observations
        record["terminals"][running, step] = terminated
        record["timeouts"][running, step] = truncated & ~terminated
        going = ~(terminated | truncated)
        running, observations = running[going], observations[going]
        if not len(running):
            break
    if simulator.diverged.any():
        raise RuntimeError(f"{task}: the physics diverged in the episode of seed {seeds[simulator.diverged][0]}")
    return [{name: values[i, :length] for name, values in record.items()} for i, length in enumerate(simulator.steps)]
