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
from typing import Any, NamedTuple, Protocol, TypeVarTuple

CORES = len(os.sched_getaffinity(0))

Arguments = TypeVarTuple("Arguments")


class Timer(Protocol):
    """What a piece of work is timed with."""

    def start(self) -> None: ...

    def stop(self, units: int) -> None: ...


class Clock:
    """Adds up wall and processor seconds, and units of work, between `start` and `stop`."""

    def __init__(self) -> None:
        self.units, self.wall, self.cpu = 0, 0.0, 0.0

    def start(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self, units: int = 0) -> None:
        self.wall += time.perf_counter() - self._wall
        self.cpu += time.process_time() - self._cpu
        self.units += units


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
        """Units per second of wall time."""
        return self.units / self.seconds

    @property
    def microseconds(self) -> float:
        """Processor time of one unit."""
        return 1e6 * self.cpu / self.units


class Stretch(NamedTuple):
    """What one process did between `Stopwatch.start` and `stop`."""

    started: float  # seconds of a clock that all processes of a machine share
    ended: float
    cpu: float  # seconds
    units: int
    parts: Mapping[str, float]


class Stopwatch:
    """Handed to what is measured: `start` waits until every process is there, `stop` says what was done."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier
        self.found: Stretch | None = None

    def start(self) -> None:
        self._barrier.wait()
        self._cpu, self._started = time.process_time(), time.perf_counter()

    def stop(self, units: int, parts: Mapping[str, float] | None = None) -> None:
        ended, cpu = time.perf_counter(), time.process_time() - self._cpu
        self.found = Stretch(self._started, ended, cpu, units, parts or {})


Measured = Callable[[Stopwatch], None]


class Processes:
    """`count` processes of `threads` threads each; process i has what `make(i, *arguments)` returns, by name."""

    def __init__(
        self,
        count: int,
        threads: int,
        make: Callable[[int, *Arguments], Mapping[str, Measured]],
        *arguments: *Arguments,
    ) -> None:
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
        """What all processes did, from the first's start to the last's end."""
        for connection in self._connections:
            connection.send(name)
        found: list[Stretch] = [connection.recv() for connection in self._connections]
        return Run(
            sum(one.units for one in found),
            max(one.ended for one in found) - min(one.started for one in found),
            sum(one.cpu for one in found),
            {part: sum(one.parts[part] for one in found) for part in found[0].parts},
        )

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            with contextlib.suppress(BrokenPipeError):
                connection.send(None)
        for process in self._processes:
            process.join()


def _serve(
    connection: Connection,
    barrier: Barrier,
    make: Callable[[int, *Arguments], Mapping[str, Measured]],
    index: int,
    arguments: tuple[*Arguments],
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
