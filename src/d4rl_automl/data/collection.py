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
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from d4rl_automl import tasks
from d4rl_automl.behaviour.navigation import Guide, Wanderings
from d4rl_automl.behaviour.policies import VARIANT, Policy, Source, TanhGaussian, Uniform, draw_chance
from d4rl_automl.core import files
from d4rl_automl.core.processes import end_with_job
from d4rl_automl.data import recipes, writing
from d4rl_automl.data.recipes import BEHAVIOUR
from d4rl_automl.simulators import closed_loop
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.closed_loop import Moment, StepResult
from d4rl_automl.tasks.seeds import episode_seeds

if TYPE_CHECKING:
    from d4rl_automl.data.providers.embedded import Entry

ROWS = 256
"""Rows of a policy's batch, and the most episodes played side by side. Data depend on it."""
LEAST = 4
"""The fewest episodes worth a task of their own: fewer take nearly as long."""

Block = np.ndarray[Any, Any]
"""Consecutive rows, (n,): a field for each of D4RL's arrays, by its name."""


def collect(entry: "Entry", output: str | Path, provenance: str | Path, processes: int = 1) -> None:
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


def _rows(entry: "Entry", used: list[Source], pool: ProcessPoolExecutor, processes: int) -> Iterator[Block]:
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


def _ask(entry: "Entry", every: list[_Progress], number: int, pool: ProcessPoolExecutor, processes: int) -> None:
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
                progress.pending.append(pool.submit(_play, entry, progress.source, progress.asked, own))
                progress.asked += count


def _begin() -> None:
    end_with_job()
    threadpool_limits(1)


@functools.cache
def _simulator(task: str, recipe: str, seed: int) -> BatchSimulator:
    if tasks.get(task).maze is not None:
        return Wanderings(task, ROWS, recipe, seed)
    return BatchSimulator(task, ROWS, VARIANT)


@functools.cache
def _policy(task: str, source: Source) -> Policy:
    if source.policy == "uniform":
        return Uniform(task)
    maze = tasks.get(task).maze
    if maze is not None:
        return Guide(BEHAVIOUR / source.policy, maze, source.noise)
    return TanhGaussian(BEHAVIOUR / source.policy, task, source.noise)


def _play(entry: "Entry", source: Source, first: int, seeds: NDArray[np.int64]) -> tuple[Block, list[int]]:
    """Play the source's episodes from number `first` on, one per seed, side by side.

    Returns their rows, one episode after the other, and the length of each.
    """
    policy, simulator = _policy(entry.task, source), _simulator(entry.task, entry.recipe, entry.seed)
    recorder = _Recorder(simulator, policy, seeds, first)
    played = closed_loop.play(simulator, seeds, recorder.act, recorder.record)
    if played.diverged.any():
        raise RuntimeError(f"{entry.task}: the physics diverged in the episode of seed {seeds[played.diverged][0]}")
    rows = recorder.rows[np.arange(simulator.task.episode_steps) < played.lengths[:, None]]
    return rows, played.lengths.tolist()


class _Recorder:
    """Acts in the episodes of `seeds` (n,), numbers `first` to first + n - 1 of a source, and keeps their rows."""

    def __init__(self, simulator: BatchSimulator, policy: Policy, seeds: NDArray[np.int64], first: int) -> None:
        count, steps, size = len(seeds), simulator.task.episode_steps, simulator.task.action_size
        self.rows: Block = np.empty((count, steps), _row_type(simulator))
        """(n, episode_steps): rows from an episode's end on hold nothing."""
        self._simulator, self._policy = simulator, policy
        self._chance = draw_chance(policy, seeds, steps)
        self._now: Block = np.empty(count, self.rows.dtype)
        self._places = (first + np.arange(count)) % ROWS
        # What the policy is told: the observations, and in a maze the goals.
        self._goals = simulator.commanded if isinstance(simulator, Wanderings) else np.empty((count, 0))
        self._seen = np.zeros((ROWS, simulator.task.observation_size + self._goals.shape[1]), np.float32)
        self._batch_chance = np.zeros((ROWS, size), np.float32)

    def act(self, moment: Moment) -> NDArray[np.float32]:
        """Actions (n, a) for observations as the file has them, in float32."""
        ids, now, places = moment.ids, self._now[: len(moment.ids)], self._places[moment.ids]
        now["observations"] = moment.observations
        now["infos/qpos"], now["infos/qvel"] = self._simulator.qpos[ids], self._simulator.qvel[ids]
        self._seen[places] = np.concatenate([moment.observations, self._goals[ids]], axis=1)
        self._batch_chance[places] = self._chance[moment.step, ids]
        every_action, every_log_probability = self._policy.act(self._seen, self._batch_chance)
        actions = every_action[places]
        now["actions"] = actions
        if every_log_probability is not None:
            now["infos/action_log_probs"] = every_log_probability[places]
        return actions

    def record(self, moment: Moment, result: StepResult) -> None:
        """Complete the rows of a step."""
        now = self._now[: len(moment.ids)]
        now["rewards"], now["next_observations"] = result.rewards, result.observations
        now["terminals"], now["timeouts"] = result.terminated, result.truncated & ~result.terminated
        if isinstance(self._simulator, Wanderings):
            # As in D4RL's own files: an ant at the goal goes on.
            now["terminals"], now["infos/goal"] = result.rewards > 0, self._goals[moment.ids]
        self.rows[moment.ids, moment.step] = now


def _row_type(simulator: BatchSimulator) -> np.dtype:
    """One row of a block: a field for each of the arrays that D4RL has of such a task."""
    told = ("infos/goal", np.float32, (2,)) if simulator.task.maze else ("infos/action_log_probs", np.float32)
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
            told,
        ],
    )
