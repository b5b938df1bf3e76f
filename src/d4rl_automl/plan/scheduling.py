"""How long a plan takes on a machine: its jobs are started one after another, each as soon as there is room for it."""

import heapq
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """A job, by what it holds and for how long."""

    seconds: float
    threads: int
    gpu: int
    memory: float
    """Bytes."""
    needs: Collection[int]
    """The jobs that must end before it, as indices."""


@dataclass(frozen=True)
class Schedule:
    """How the jobs of a plan went."""

    seconds: float
    """Until the last has ended."""
    memory: float
    """Bytes at most, of those that ran side by side."""
    threads: float
    """Busy on average."""


def schedule(tasks: Sequence[Task], cores: int, gpus: int | None) -> Schedule:
    """List scheduling: whenever there is room, the job that has been ready longest of those that fit is started.

    Arguments
        cores: threads that may be busy at a time; a job with more holds them all.
        gpus: how many of the jobs that hold a GPU may run at a time; None for any number.

    As Snakemake does, it lets small jobs pass a large one that does not fit.
    """
    dependants: list[list[int]] = [[] for _ in tasks]
    waiting = []
    for index, task in enumerate(tasks):
        waiting.append(len(task.needs))
        for other in task.needs:
            dependants[other].append(index)
    # Jobs that hold as much wait in one queue: its first is the one to look at.
    ready: dict[tuple[int, int], deque[tuple[float, int]]] = {}
    running: list[tuple[float, int]] = []
    free, slots = cores, gpus
    now = memory = peak = busy = 0.0

    def is_ready(index: int) -> None:
        held = min(tasks[index].threads, cores), tasks[index].gpu if gpus is not None else 0
        ready.setdefault(held, deque()).append((now, index))

    for index, left in enumerate(waiting):
        if left == 0:
            is_ready(index)
    while True:
        fitting = [
            (queue[0], held)
            for held, queue in ready.items()
            if queue and held[0] <= free and (slots is None or min(held[1], gpus or 0) <= slots)
        ]
        if fitting:
            (_, index), held = min(fitting)
            ready[held].popleft()
            free -= held[0]
            slots = None if slots is None else slots - min(held[1], gpus or 0)
            memory += tasks[index].memory
            peak = max(peak, memory)
            busy += tasks[index].seconds * held[0]
            heapq.heappush(running, (now + tasks[index].seconds, index))
            continue
        if not running:
            break
        now, index = heapq.heappop(running)
        free += min(tasks[index].threads, cores)
        slots = None if slots is None else slots + min(tasks[index].gpu, gpus or 0)
        memory -= tasks[index].memory
        for other in dependants[index]:
            waiting[other] -= 1
            if waiting[other] == 0:
                is_ready(other)
    return Schedule(now, peak, busy / now if now else 0.0)
