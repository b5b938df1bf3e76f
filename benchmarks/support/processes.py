"""Processes that start together and are timed, and what ran in turns."""

import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

CORES = len(os.sched_getaffinity(0))


@dataclass
class Run:
    """One run: `units` (environment steps or rows) in `seconds` of wall time and `cpu` seconds of processor time."""

    units: int
    seconds: float
    cpu: float
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds of named parts, those of all processes together."""

    def __add__(self, other: "Run") -> "Run":
        parts = {part: seconds + other.parts[part] for part, seconds in self.parts.items()}
        return Run(self.units + other.units, self.seconds + other.seconds, self.cpu + other.cpu, parts)

    @property
    def rate(self) -> float:
        return self.units / self.seconds

    @property
    def microseconds(self) -> float:
        """Processor time of one unit."""
        return 1e6 * self.cpu / self.units


class Stopwatch:
    """Handed to what is measured: `start` waits until every process is there, `stop` says what was done."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier
        self.found: tuple[float, float, float, int, dict[str, float]] | None = None

    def start(self) -> None:
        self._barrier.wait()
        self._cpu, self._started = time.process_time(), time.perf_counter()

    def stop(self, units: int, **parts: float) -> None:
        self.found = (self._started, time.perf_counter(), time.process_time() - self._cpu, units, parts)


Measured = Callable[[Stopwatch], None]


class Processes:
    """`count` processes of `threads` threads each; process i has what `make(i, *arguments)` returns, by name."""

    def __init__(self, count: int, threads: int, make: Callable[..., dict[str, Measured]], *arguments: Any) -> None:
        # Libraries read these when a process first imports them.
        before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        os.environ.update(dict.fromkeys(before, str(threads)))
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(count)
        self._connections: list[Connection] = []
        self._processes = []
        for index in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, barrier, make, index, arguments), daemon=True)
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        self.names: list[str] = [connection.recv() for connection in self._connections].pop()

    def run(self, name: str) -> Run:
        for connection in self._connections:
            connection.send(name)
        started, ended, cpu, units, parts = zip(*(connection.recv() for connection in self._connections), strict=True)
        merged = {part: sum(one[part] for one in parts) for part in parts[0]}
        return Run(sum(units), max(ended) - min(started), sum(cpu), merged)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            with contextlib.suppress(BrokenPipeError):
                connection.send(None)
        for process in self._processes:
            process.join()


def _serve(
    connection: Connection, barrier: Barrier, make: Callable[..., dict[str, Measured]], index: int, arguments: Any
) -> None:
    runs = make(index, *arguments)
    connection.send(list(runs))
    for name in iter(connection.recv, None):
        stopwatch = Stopwatch(barrier)
        runs[name](stopwatch)
        connection.send(stopwatch.found)


@dataclass(frozen=True)
class Turns:
    """What ran in turns: the runs of each name, turn by turn."""

    runs: Mapping[str, list[Run]]

    def __getitem__(self, name: str) -> Run:
        """The fastest run."""
        return max(self.runs[name], key=lambda run: run.rate)

    def ratio(self, name: str, *floors: str) -> float:
        """The rate as a share of doing the floors one after the other: the median of the turns."""
        return self._median(name, floors, lambda run: run.seconds / run.units)

    def cpu_ratio(self, name: str, *floors: str) -> float:
        """The same of processor time."""
        return self._median(name, floors, lambda run: run.microseconds)

    def _median(self, name: str, floors: Sequence[str], cost: Callable[[Run], float]) -> float:
        turns = zip(self.runs[name], *(self.runs[floor] for floor in floors), strict=True)
        return round(statistics.median(sum(map(cost, those)) / cost(own) for own, *those in turns), 3)

    def facts(self) -> dict[str, list[dict[str, Any]]]:
        """Every run, for JSON."""
        return {name: [asdict(run) for run in those] for name, those in self.runs.items()}


def in_turns(runs: Mapping[str, Callable[[], Run]], repeats: int) -> Turns:
    """Everything in turns, `repeats` times over."""
    found: dict[str, list[Run]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            found[name].append(run())
    return Turns(found)
