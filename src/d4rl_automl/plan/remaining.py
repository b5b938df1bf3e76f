"""How long a run will still take: what was reckoned at its start, at the speed that it has shown since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from d4rl_automl.plan.scheduling import Task, schedule

LEAST = 20.0
"""Seconds of reckoned time that must have ended before the speed is corrected by what it took."""


@dataclass(frozen=True)
class Expected:
    """The jobs of a run as they were reckoned, their names (`core.paths.log`) and the machine."""

    names: Sequence[str]
    tasks: Sequence[Task]
    cores: int
    slots: int | None


_expected: Expected | None = None


def begins(expected: Expected) -> None:
    """Remember what was reckoned of the run that begins in this process."""
    global _expected  # noqa: PLW0603 - Snakemake's hooks and its log handlers know nothing of each other
    _expected = expected


def left(ended: Mapping[str, float], running: Mapping[str, float]) -> float | None:
    """Seconds until the run's end; None where nothing was reckoned, or another run.

    Arguments
        ended: the seconds that each job took which has ended, by its name.
        running: the seconds since each job began which runs.
    """
    if _expected is None or not {*ended, *running} <= set(_expected.names):
        return None
    place = {name: index for index, name in enumerate(_expected.names)}
    reckoned = sum(_expected.tasks[place[name]].seconds for name in ended)
    speed = sum(ended.values()) / reckoned if reckoned >= LEAST else 1.0
    waiting = [index for index, name in enumerate(_expected.names) if name not in ended]
    new = {index: number for number, index in enumerate(waiting)}
    tasks = []
    for index in waiting:
        task = _expected.tasks[index]
        gone = running.get(_expected.names[index], 0.0)
        needs = [new[need] for need in task.needs if need in new]
        tasks.append(replace(task, seconds=max(0.0, speed * task.seconds - gone), needs=needs))
    # Those that run have the cores already.
    order = sorted(range(len(tasks)), key=lambda number: _expected.names[waiting[number]] not in running)
    moved = {number: place for place, number in enumerate(order)}
    tasks = [replace(tasks[number], needs=[moved[need] for need in tasks[number].needs]) for number in order]
    return schedule(tasks, _expected.cores, _expected.slots).seconds
