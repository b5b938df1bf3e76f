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
rounds differently with the number of rows and may with a row's place among them, the policy
is always asked about `ROWS` rows, of which episode i is row i mod `ROWS`. So it does not
matter which process plays which episodes, or how many side by side.
"""

import functools
import json
import math
import multiprocessing
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.processes import end_with_job
from d4rl_automl.data import recipes, writing
from d4rl_automl.data.providers.embedded import Entry
from d4rl_automl.data.recipes import BEHAVIOUR
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.tasks.seeds import episode_seeds

VARIANT = "d4rl"
ROWS = 256
"""Rows of a policy's batch, and the most episodes played side by side. Data depend on it."""
LEAST = 4
"""The fewest episodes worth a task of their own: fewer take nearly as long."""

_WEIGHTS = ("w0", "b0", "w1", "b1", "w_mu", "b_mu", "w_ls", "b_ls", "log_std_min", "log_std_max")
_ACTIVATIONS: dict[str, Callable[[NDArray[np.float32]], Any]] = {
    "tanh": lambda values: np.tanh(values, out=values),
    "relu": lambda values: np.maximum(values, 0, out=values),
}
"""In place, as is all arithmetic of a network here: after the physics, memory is what costs."""

Block = np.ndarray[Any, Any]
"""Consecutive rows, (n,): a field for each of D4RL's arrays, by its name."""


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


def collect(entry: Entry, output: str | Path, provenance: str | Path, processes: int = 1) -> None:
    """Collect an embedded dataset into HDF5 in D4RL's layout; the same bytes for any number of `processes`.

    next_observations are what the simulator returned, at an episode's end too; infos/qpos
    and infos/qvel are the state before the action. `provenance` becomes JSON: SHA-256,
    policies and theirs, variant of the simulator, versions.

    Raises InputError for an unknown recipe or a damaged policy, and ValueError for
    transitions that leave a source none, which its entry refuses.
    """
    policies = recipes.sources(entry.task, entry.recipe)
    used = [Source(source["policy"], source["share"], source["noise"]) for source in policies]
    made = {
        "recipe": entry.recipe,
        "transitions": entry.transitions,
        "seed": entry.seed,
        "simulator": VARIANT,
        "mujoco": mujoco.__version__,
        "numpy": np.__version__,
    }
    metadata = {"dataset": entry.name, "task": entry.task, **made, "policies": json.dumps(policies)}
    # Spawned, not forked: a fork copies the state of thread pools, but not their threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin) as pool:
        writing.write(output, _rows(entry, used, pool, processes), metadata)
    files.write_json(
        provenance,
        {
            "dataset": entry.name,
            "provider": entry.provider,
            "task": entry.task,
            "sha256": files.sha256(output),
            **made,
            "policies": policies,
        },
    )


@dataclass
class _Progress:
    """How far a source is."""

    source: Source
    rows: int
    """That it has to bring; with its last episode whole, it brings more."""
    longest: int
    """Steps of the longest possible episode: what is expected until one has been played."""
    asked: int = 0
    """Episodes played or under way."""
    played: int = 0
    steps: int = 0
    """Of the episodes played."""
    pending: deque[Future[tuple[Block, list[int]]]] = field(default_factory=deque)

    def wanted(self) -> int:
        """Episodes still to be asked for, by the mean length so far."""
        mean = self.steps / self.played if self.played else self.longest
        return math.ceil((self.rows - self.steps) / mean - (self.asked - self.played))


def _rows(entry: Entry, used: list[Source], pool: ProcessPoolExecutor, processes: int) -> Iterator[Block]:
    """Every episode of the file in its order, the last one cut."""
    total, longest = entry.transitions, tasks.get(entry.task).episode_steps
    shares = np.cumsum([source.share for source in used])
    goals = np.rint(total * shares / shares[-1]).astype(int)
    every = [
        _Progress(source, rows, longest) for source, rows in zip(used, np.diff(goals, prepend=0).tolist(), strict=True)
    ]
    done = 0
    try:
        with tqdm(total=total, unit=" transitions", unit_scale=True, desc=entry.name, mininterval=5) as bar:
            for number, (progress, goal) in enumerate(zip(every, goals.tolist(), strict=True)):
                if done >= goal:
                    raise ValueError(f"{entry.name}: {total} transitions leave none for {progress.source.policy}")
                while done < goal:
                    _ask(entry, every, number, pool, processes)
                    rows, lengths = progress.pending.popleft().result()
                    progress.played += len(lengths)
                    progress.steps += len(rows)
                    # What the source needs, its last episode whole, and never more than the file has room for.
                    ends = np.cumsum(lengths)
                    count = min(int(ends[min(np.searchsorted(ends, goal - done), len(ends) - 1)]), total - done)
                    yield rows[:count]
                    done += count
                    bar.update(count)
    finally:
        for progress in every:
            for future in progress.pending:
                future.cancel()


def _ask(entry: Entry, every: list[_Progress], number: int, pool: ProcessPoolExecutor, processes: int) -> None:
    """Let source `number` have tasks under way, and while processes would be idle, the sources after it too.

    Tasks come in rounds of one per process, equally large, so that all end together.
    """
    for index in range(number, len(every)):
        progress = every[index]
        while (wanted := progress.wanted()) > 0 and (
            sum(len(one.pending) for one in every[number:]) <= processes or not every[number].pending
        ):
            rounds = math.ceil(wanted / (processes * ROWS))
            count = max(math.ceil(wanted / (processes * rounds)), LEAST)
            for _ in range(processes):
                seeds = episode_seeds(
                    entry.seed, entry.name, "collection", count * len(every), progress.asked * len(every)
                )
                own = seeds[index :: len(every)]
                progress.pending.append(pool.submit(_play, entry.task, progress.source, progress.asked, own))
                progress.asked += count


def _begin() -> None:
    end_with_job()
    threadpool_limits(1)


@functools.cache
def _simulator(task: str) -> BatchSimulator:
    return BatchSimulator(task, ROWS, VARIANT)


@functools.cache
def _policy(task: str, source: Source) -> Uniform | TanhGaussian:
    if source.policy == "uniform":
        return Uniform(task)
    return TanhGaussian(BEHAVIOUR / source.policy, task, source.noise)


def _play(task: str, source: Source, first: int, seeds: NDArray[np.int64]) -> tuple[Block, list[int]]:
    """Play the source's episodes from number `first` on, one per seed, side by side; who has finished leaves.

    Returns their rows, one episode after the other, and the length of each.
    """
    policy, simulator = _policy(task, source), _simulator(task)
    count, steps = len(seeds), simulator.task.episode_steps
    # The reset draws from SeedSequence(seed) itself; the actions from a child of it.
    generators = [np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(1,))) for seed in seeds]
    chance = np.stack([policy.draw(generator, steps) for generator in generators], axis=1)
    record: Block = np.empty((count, steps), _row_type(simulator))
    now: Block = np.empty(count, record.dtype)
    rows = (first + np.arange(count)) % ROWS
    batch_observations = np.zeros((ROWS, simulator.task.observation_size), np.float32)
    batch_chance = np.zeros((ROWS, simulator.task.action_size), np.float32)
    running = np.arange(count)
    observations = simulator.reset(seeds).astype(np.float32)
    for step in range(steps):
        now["observations"] = observations
        now["infos/qpos"], now["infos/qvel"] = simulator.qpos[running], simulator.qvel[running]
        batch_observations[rows] = observations
        batch_chance[rows] = chance[step, running]
        every_action, every_log_probability = policy.act(batch_observations, batch_chance)
        actions = every_action[rows]
        now["actions"], now["infos/action_log_probs"] = actions, every_log_probability[rows]
        following, rewards, terminated, truncated = simulator.step(actions, running)
        observations = following.astype(np.float32)
        now["rewards"], now["next_observations"] = rewards, observations
        now["terminals"], now["timeouts"] = terminated, truncated & ~terminated
        record[running, step] = now
        going = ~(terminated | truncated)
        if not going.all():
            running, rows, observations = running[going], rows[going], observations[going]
            now = now[: len(running)]
        if not len(running):
            break
    if simulator.diverged[:count].any():
        diverged = seeds[simulator.diverged[:count]]
        raise RuntimeError(f"{task}: the physics diverged in the episode of seed {diverged[0]}")
    lengths = simulator.steps[:count]
    return record[np.arange(steps) < lengths[:, None]], lengths.tolist()


def _row_type(simulator: BatchSimulator) -> np.dtype:
    """One row of a block: a field for each of D4RL's arrays."""
    observation = (np.float32, (simulator.task.observation_size,))
    return np.dtype(
        [
            ("observations", *observation),
            ("actions", np.float32, (simulator.task.action_size,)),
            ("rewards", np.float32),
            ("next_observations", *observation),
            ("terminals", np.bool_),
            ("timeouts", np.bool_),
            ("infos/qpos", np.float32, (simulator.model.nq,)),
            ("infos/qvel", np.float32, (simulator.model.nv,)),
            ("infos/action_log_probs", np.float32),
        ],
    )
