"""A task of which there are data alone: no robot plays it."""

import dataclasses

import pytest

from d4rl_automl import tasks


def take_simulator(monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    """From a task that has one."""
    monkeypatch.setitem(tasks.TASKS, task, dataclasses.replace(tasks.get(task), robot=None))
    monkeypatch.setattr(tasks, "SIMULATED", tuple(name for name in tasks.SIMULATED if name != task))
