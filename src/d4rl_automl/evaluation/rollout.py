"""Policies played in the simulator: every commanded target and episode side by side, one row per episode."""

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from d4rl_automl import simulators, tasks
from d4rl_automl.core import files, parquet
from d4rl_automl.core.errors import InputError, ended_process
from d4rl_automl.core.processes import end_with_job, hide_gpus
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.loading import load_policy, read_metadata
from d4rl_automl.simulators import Simulator, closed_loop
from d4rl_automl.simulators.closed_loop import Episodes, Moment, Observer, StepResult
from d4rl_automl.tasks import outcomes, scores
from d4rl_automl.tasks.seeds import episode_seeds
from d4rl_automl.tasks.task import Task

SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("training_seed", pa.int64(), nullable=False),
        pa.field("simulator", pa.string(), nullable=False),
        pa.field("purpose", pa.string(), nullable=False),
        pa.field("fraction", pa.float64()),
        pa.field("target", pa.float64()),
        pa.field("episode", pa.int32(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("return", pa.float64(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("terminated", pa.bool_(), nullable=False),
        pa.field("diverged", pa.bool_(), nullable=False),
        pa.field("normalised_score", pa.float64(), nullable=False),
        pa.field("success", pa.bool_()),
        pa.field("distance_left", pa.float64()),
        pa.field("goal_x", pa.float64()),
        pa.field("goal_y", pa.float64()),
        pa.field("path_x", pa.list_(pa.field("element", pa.float32(), nullable=False))),
        pa.field("path_y", pa.list_(pa.field("element", pa.float32(), nullable=False))),
    ]
)
"""A rollout table. fraction and target (the commanded return per step, of an episode of full length) are null for a
policy that is commanded no return; episode counts within a target; return is undiscounted; diverged: the physics blew
up.

The others are null but where a task has a goal. success: the goal was reached, in `length` steps; distance_left: in
metres, from where the episode ended; goal_x and goal_y: the goal, in metres; path_x and path_y: positions at the start,
after every `PATH_STEPS` steps and at the end, in metres."""

PATH_STEPS = 10
"""Steps from one position of a path to the next."""

Progress = Callable[[int, int], None]
"""Told after each step how many environment steps were made, and how many are saved by episodes that just ended."""


@dataclass(frozen=True)
class Played(Episodes):
    """`Episodes`, and where they went; no columns (n, 0) where a task has no goal."""

    goals: NDArray[np.float64]
    """(n, k)."""
    ends: NDArray[np.float64]
    """Last positions (n, k)."""
    paths: NDArray[np.float32]
    """Positions (n, p, k), as `SCHEMA` says; NaN after the end."""


@dataclass(frozen=True)
class Play:
    """Episodes of one purpose ("selection" or "report") that a policy plays for each target, and their Parquet file."""

    purpose: str
    episodes: int
    output: str | Path


def rollout(
    policy: Policy | str | Path,
    fractions: Sequence[float] = (),
    *,
    episodes: int = 100,
    seed: int = 0,
    simulator: str = "d4rl",
    purpose: str = "report",
    processes: int = 1,
) -> pa.Table:
    """Play `episodes` episodes of the policy's task for each commanded target; a table of `SCHEMA`, target by target.

    `policy` is one in memory, or the file of one (`policies.loading.load_policy`), which can be played in several
    `processes` of one thread each. They are spawned: a script that asks for them does its work under
    `if __name__ == "__main__":`. The rows of an ONNX policy do not depend on their number.

    A fraction f commands f of the expert's return, a normalised score of 100 f, as the policy's outcome rule says: its
    average over an episode (`Task.target`), held through the episode, or the return itself
    (`Task.commanded_return`), reduced by each reward. A policy that is conditioned on a goal is told the episode's own,
    and an unconditional one is commanded nothing: both are played once per episode, whatever the fractions, and their
    rows have none. Every target, method and training seed meets the same
    initial states, which follow from (seed, the policy's dataset, purpose). `purpose` is "report", or "selection" for
    the episodes that a target is chosen on. `simulator` is one of `simulators.SIMULATORS`.

    A policy of your own is a `Policy` that says what it is and how it acts:

    >>> import numpy as np
    >>> from d4rl_automl import Policy, rollout
    >>> class Still(Policy):
    ...     def predict(self, observations, outcome):
    ...         return np.zeros((len(observations), 3))
    >>> policy = Still({
    ...     "method": "still", "seed": 0, "dataset": "none", "task": "hopper",
    ...     "outcome_rule": "none", "observation_size": 11, "action_size": 3,
    ... })
    >>> table = rollout(policy, episodes=4)
    >>> print(table.num_rows, np.mean(table["normalised_score"]).round(1), table["terminated"].to_pylist())
    4 4.9 [True, True, True, True]

    Raises InputError as `load_policy` does, for an unknown simulator or one that is not installed, for an unknown
    purpose, for fractions that are missing, repeated or not finite, for less than one episode or process, for several
    processes of a policy that is no file, and, naming the step, where the policy's action is NaN or infinite;
    MachineError if a process dies.
    """
    fractions = list(fractions)
    metadata = policy.metadata if isinstance(policy, Policy) else read_metadata(policy)
    _check_request(metadata, fractions, episodes, processes)
    if isinstance(policy, Policy) and processes > 1:
        raise InputError(f"processes: found {processes} for a policy in memory; pass the path of its file, or 1")
    seeds = episode_seeds(seed, metadata["dataset"], purpose, episodes)
    played = _play_any(policy, simulator, fractions, seeds, processes, lambda made, saved: None)
    return _table(metadata, simulator, purpose, fractions=fractions, seeds=seeds, played=played)


def rollout_file(
    policy_path: str | Path,
    dataset: str,
    plays: Sequence[Play],
    *,
    simulator: str,
    fractions: Sequence[float],
    seed: int,
    processes: int,
) -> None:
    """Play a policy's file as `rollout` does, split over `processes` of one thread each, and write Parquet.

    `dataset`: the name of that which the policy must have been made from. All `plays` step together, and
    each has the rows that `rollout` gives. The rows of an ONNX policy do not depend on what else is played, nor on
    `processes`. The schema metadata key `d4rl_automl` of each file holds, as JSON, versions, the policy's own
    metadata, the SHA-256 of its handle, the environment steps of that file, what was played together (purposes with
    their episodes, in order; commanded fractions; processes), and the speed of all that: wall seconds (loading the
    policy and starting processes included) and steps per second.

    Raises InputError as `rollout` and `policies.loading.load_policy` do, and for a policy of another dataset;
    MachineError if a process dies.
    """
    started = time.perf_counter()
    metadata = read_metadata(policy_path)
    if metadata["dataset"] != dataset:
        raise InputError(f"{policy_path}: dataset is {metadata['dataset']!r}, but {dataset!r} was asked for")
    fractions = list(fractions)
    for play in plays:
        _check_request(metadata, fractions, play.episodes, processes)
    seeds = [episode_seeds(seed, metadata["dataset"], play.purpose, play.episodes) for play in plays]
    every_seed = np.concatenate(seeds)
    budget = len(_targets(metadata, fractions)) * len(every_seed) * tasks.get(metadata["task"]).episode_steps
    with tqdm(
        total=budget,
        unit=" steps",
        unit_scale=True,
        desc=f"{metadata['method']}-s{metadata['seed']}",
        mininterval=5,
        file=sys.stderr,
    ) as bar:

        def advance(made: int, saved: int) -> None:
            bar.total = (bar.total or 0) - saved
            bar.update(made)

        played = _play_any(policy_path, simulator, fractions, every_seed, processes, advance)
    seconds = time.perf_counter() - started
    facts = {
        "dataset": metadata["dataset"],
        "method": metadata["method"],
        "training_seed": metadata["seed"],
        "simulator": simulator,
        "rollout_seed": seed,
        **simulators.make(metadata["task"], 1, simulator).versions,
        "policy_sha256": files.sha256(policy_path),
        "policy": metadata,
        "seconds": round(seconds, 3),
        "steps_per_second": round(int(played.lengths.sum()) / seconds, 1),
        "processes": processes,
        "fractions": fractions if outcomes.get(metadata["outcome_rule"]).of_return else [],
        "plays": {play.purpose: play.episodes for play in plays},
    }
    first = 0
    for play, own_seeds in zip(plays, seeds, strict=True):
        own = Played(*(getattr(played, field.name)[:, first : first + play.episodes] for field in fields(Played)))
        first += play.episodes
        table = _table(metadata, simulator, play.purpose, fractions=fractions, seeds=own_seeds, played=own)
        own_facts = {**facts, "purpose": play.purpose, "env_steps": int(own.lengths.sum())}
        parquet.write(table, play.output, own_facts)


def _check_request(metadata: Mapping[str, Any], fractions: Sequence[float], episodes: int, processes: int) -> None:
    for name, number in (("episodes", episodes), ("processes", processes)):
        if number < 1:
            raise InputError(f"{name}: found {number}, expected at least 1")
    usable = len(fractions) > 0 and np.isfinite(fractions).all() and len(set(fractions)) == len(fractions)
    if outcomes.get(metadata["outcome_rule"]).of_return and not usable:
        raise InputError(
            f"fractions: found {list(fractions)}; {metadata['method']} needs at least one, all finite and different"
        )


def _targets(metadata: Mapping[str, Any], fractions: Sequence[float]) -> list[float | None]:
    """The commanded average reward-to-go per fraction; a single None for a policy that is commanded no return."""
    if not outcomes.get(metadata["outcome_rule"]).of_return:
        return [None]
    return [tasks.get(metadata["task"]).target(fraction) for fraction in fractions]


def _play_any(  # noqa: PLR0917  As `_play`.
    policy: Policy | str | Path,
    variant: str,
    fractions: Sequence[float],
    seeds: NDArray[np.int64],
    processes: int,
    progress: Progress,
) -> Played:
    """`_play` of a policy, or of a policy's file, split over `processes`."""
    if isinstance(policy, Policy):
        return _play(policy, variant, fractions, seeds, progress)
    if processes == 1:
        return _play(load_policy(policy), variant, fractions, seeds, progress)
    chunks = np.array_split(seeds, min(processes, len(seeds)))
    return _play_in_processes(policy, variant, fractions, chunks, progress)


def play(
    policy: Policy,
    simulator: Simulator,
    fractions: Sequence[float],
    seeds: NDArray[np.int64],
    observer: Observer | None = None,
) -> Episodes:
    """An episode for each target and seed, target by target, in a simulator that has just so many (or more).

    Raises InputError, naming the step, where the policy's action is NaN or infinite.
    """
    rule = policy.outcome_rule
    count = len(_targets(policy.metadata, fractions))
    commanded = simulator.goals
    if rule.of_return:
        commands = [rule.commanded(simulator.task, fraction) for fraction in fractions]
        commanded = np.repeat(np.array(commands), len(seeds))[:, None]

    def act(moment: Moment) -> NDArray[np.float32]:
        outcome = rule.outcome(commanded[moment.ids], moment.returns, moment.step)
        try:
            return policy.act(moment.observations, outcome)
        except InputError as error:
            raise InputError(f"step {moment.step}: {error}") from None

    return closed_loop.play(simulator, np.tile(seeds, count), act, observer)


def _play(
    policy: Policy,
    variant: str,
    fractions: Sequence[float],
    seeds: NDArray[np.int64],
    progress: Progress,
) -> Played:
    """Episodes (T, E) by target and seed. One batch holds them all, target by target."""
    count = len(_targets(policy.metadata, fractions))
    simulator = simulators.make(policy.metadata["task"], count * len(seeds), variant)
    ways = _Ways(simulator.task, simulator.size)

    def tell(moment: Moment, result: StepResult) -> None:
        ways.follow(moment, result)
        finished = int(np.count_nonzero(result.ended))
        progress(len(moment.ids), finished * (simulator.task.episode_steps - moment.step - 1))

    played = play(policy, simulator, fractions, seeds, tell)
    values = [*(getattr(played, field.name) for field in fields(Episodes)), simulator.goals, ways.ends, ways.paths]
    return Played(*(value.reshape(count, len(seeds), *value.shape[1:]) for value in values))


class _Ways:
    """Where the episodes of a goal-reaching task are, step by step; of another task, nothing."""

    def __init__(self, task: Task, size: int) -> None:
        self._columns = list(task.goal.columns) if task.goal else []
        width = len(self._columns)
        points = (task.episode_steps - 1) // PATH_STEPS + 2
        self.ends = np.full((size, width), np.nan)
        self.paths = np.full((size, points, width), np.nan, np.float32)

    def follow(self, moment: Moment, result: StepResult) -> None:
        """Take down where a step started, if it is time to, and where it ended an episode."""
        if not self._columns:
            return
        point = moment.step // PATH_STEPS
        if moment.step % PATH_STEPS == 0:
            self.paths[moment.ids, point] = moment.observations[:, self._columns]
        if (ended := result.ended).any():
            last = result.observations[ended][:, self._columns]
            self.ends[moment.ids[ended]] = last
            self.paths[moment.ids[ended], point + 1] = last


def _table(
    metadata: Mapping[str, Any],
    variant: str,
    purpose: str,
    *,
    fractions: Sequence[float],
    seeds: NDArray[np.int64],
    played: Played,
) -> pa.Table:
    rows = played.returns.size
    targets = _targets(metadata, fractions)
    commands = [None] if targets == [None] else fractions
    columns: dict[str, Any] = {
        "dataset": [metadata["dataset"]] * rows,
        "method": [metadata["method"]] * rows,
        "training_seed": [metadata["seed"]] * rows,
        "simulator": [variant] * rows,
        "purpose": [purpose] * rows,
        "fraction": [value for value in commands for _ in range(len(seeds))],
        "target": [value for value in targets for _ in range(len(seeds))],
        "episode": np.tile(np.arange(len(seeds), dtype=np.int32), len(targets)),
        "seed": np.tile(seeds, len(targets)),
        "return": played.returns.ravel(),
        "length": played.lengths.ravel().astype(np.int32),
        "terminated": played.terminated.ravel(),
        "diverged": played.diverged.ravel(),
        "normalised_score": scores.normalise(metadata["task"], played.returns.ravel()),
    } | _reached(tasks.get(metadata["task"]), played)
    return pa.table(columns, schema=SCHEMA)


def _reached(task: Task, played: Played) -> dict[str, pa.Array]:
    """The columns that tell of goals, null where a task has none."""
    names = ("success", "distance_left", "goal_x", "goal_y", "path_x", "path_y")
    rows = played.returns.size
    if task.goal is None:
        return {name: pa.nulls(rows, SCHEMA.field(name).type) for name in names}
    goals, ends = (values.reshape(rows, -1) for values in (played.goals, played.ends))
    distances = task.goal.distances(ends, goals)
    paths = played.paths.reshape(rows, *played.paths.shape[2:])
    passed = ~np.isnan(paths[..., 0])
    starts = np.concatenate([[0], passed.sum(axis=1).cumsum()]).astype(np.int32)
    x, y = (
        pa.ListArray.from_arrays(pa.array(starts), pa.array(paths[..., axis][passed]), type=SCHEMA.field("path_x").type)
        for axis in (0, 1)
    )
    return dict(zip(names, (distances <= task.goal.radius, distances, goals[:, 0], goals[:, 1], x, y), strict=True))


def _play_in_processes(
    policy_path: str | Path,
    variant: str,
    fractions: Sequence[float],
    chunks: Sequence[NDArray[np.int64]],
    progress: Progress,
) -> Played:
    """`_play` of each chunk of seeds in a process of its own, put together again episode by episode."""
    # Spawned, not forked: a fork copies the state of thread pools, but not their threads.
    context = multiprocessing.get_context("spawn")
    processes: list[SpawnProcess] = []
    receivers: list[Connection] = []
    parts: dict[Connection, Played] = {}
    try:
        for chunk in chunks:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(sender, str(policy_path), variant, fractions, chunk))
            process.start()
            # The worker's end is then open in the worker alone, and closes when it dies.
            sender.close()
            processes.append(process)
            receivers.append(receiver)
        while len(parts) < len(chunks):
            ready = wait([receiver for receiver in receivers if receiver not in parts])
            for receiver in (receiver for receiver in receivers if receiver in ready):
                try:
                    message = receiver.recv()
                except EOFError:
                    process = processes[receivers.index(receiver)]
                    process.join(10)
                    raise ended_process(process.exitcode) from None
                if isinstance(message, Exception):
                    raise message
                if isinstance(message, Played):
                    parts[receiver] = message
                else:
                    progress(*message)
    finally:
        for process in processes:
            process.terminate()
            process.join()
    ordered = [parts[receiver] for receiver in receivers]
    return Played(
        *(np.concatenate([getattr(part, field.name) for part in ordered], axis=1) for field in fields(Played))
    )


def _work(
    sender: Connection, policy_path: str, variant: str, fractions: Sequence[float], seeds: NDArray[np.int64]
) -> None:
    """A worker process: sends its progress, step by step, and then its episodes or its exception."""
    # Libraries that the policy brings in read these when they are first imported.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    end_with_job()
    hide_gpus()
    try:
        played = _play(
            load_policy(policy_path), variant, fractions, seeds, lambda made, saved: sender.send((made, saved))
        )
    except Exception as error:
        # A traceback does not travel between processes; its text does.
        error.add_note(traceback.format_exc())
        sender.send(error)
    else:
        sender.send(played)
