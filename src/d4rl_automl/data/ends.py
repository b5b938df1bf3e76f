"""Where the episodes of a recording end: what its flags mean, in the gym suite and in AntMaze."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.data import returns
from d4rl_automl.data.evidence import NEAR_START, Findings
from d4rl_automl.data.hdf5 import hdf5_errors
from d4rl_automl.tasks import Task

LONGEST_STEP = 1.0
"""Metres in the x, y plane. The recorded ants move 0.4 in a step at most; a reset moves them by metres."""


@dataclass(frozen=True)
class Recorded:
    """What a file says of its N rows."""

    path: Path
    observations: h5py.Dataset  # (N, d), not read yet
    terminals: NDArray[np.bool_]  # (N,)
    timeouts: NDArray[np.bool_] | None  # (N,); None where there is no such array


@dataclass(frozen=True)
class Ends:
    """Where the episodes end in N rows, and what was mended to know it."""

    timeouts: NDArray[np.bool_]  # (N,) as recorded, or as inferred
    terminated: NDArray[np.bool_]  # (N,) Gymnasium's meaning; never both, and either ends an episode
    truncated: NDArray[np.bool_]  # (N,)
    cut: NDArray[np.bool_]  # (N,) the recording stops in the midst of an episode, which neither flag says
    repairs: dict[str, int]  # counts by the names in `recordings.REPAIRS`


class GymSuite:
    """A terminal ends an episode (the robot fell), and so does a timeout (the time limit).

    An end with both flags counts as terminated. Without `timeouts` the task's time limit ends the
    episodes that reach it: after 1,000 rows or, as in D4RL's v0 files, after 999. It is that of the
    two by which the episodes' first states differ least; where they differ more than resets do,
    the file is refused.
    """

    def __init__(self, task: Task | None) -> None:
        """Without a `task` there is no time limit to infer timeouts by, or to check episodes against."""
        self.task = task

    def marked(self, recorded: Recorded) -> NDArray[np.bool_]:
        """(N,) the ends that the file marks."""
        return recorded.terminals if recorded.timeouts is None else recorded.terminals | recorded.timeouts

    def read(self, recorded: Recorded, found: Findings | None = None) -> Ends:
        """Raises InputError for a file without `timeouts` that cannot be inferred, without a finished episode, or
        with an episode beyond the time limit."""
        timeouts, repairs = recorded.timeouts, {}
        if found is not None and found.continuity in ("holds", "mended") and found.ends is None:
            # Its next observations tell the ends, and nothing is left to be inferred.
            timeouts = np.zeros_like(recorded.terminals) if timeouts is None else timeouts
        if timeouts is None:
            timeouts = self._infer_timeouts(recorded)
            repairs["timeouts_inferred"] = int(timeouts.sum())
        terminated, cut = recorded.terminals, np.zeros_like(timeouts)
        if found is not None:
            ended, fell, cut, limits = (
                _of_rows(rows, len(cut)) for rows in (found.ended, found.fell, found.cut, found.time_limits)
            )
            timeouts = timeouts | (ended & ~fell) | limits
            terminated = (terminated & ~limits) | fell
            repairs |= _counted(found)
        truncated = timeouts & ~terminated
        repairs["terminated_and_truncated"] = int((terminated & timeouts).sum())
        _refuse_unfinished(recorded.path, terminated | truncated)
        if self.task is not None:
            _refuse_long_episodes(recorded.path, returns.episodes(terminated, truncated, cut), self.task.episode_steps)
        return Ends(timeouts | cut, terminated, truncated, cut, repairs)

    def _infer_timeouts(self, recorded: Recorded) -> NDArray[np.bool_]:
        if self.task is None:
            raise InputError(
                f"{recorded.path}: no array `timeouts`, and no task is given whose time limit it is: use a newer "
                f"file, name the task, or {_ADD_TIMEOUTS}"
            )
        with hdf5_errors(recorded.path):
            observations = recorded.observations[()]
        within = returns.episodes(recorded.terminals, np.zeros_like(recorded.terminals)).steps()
        limit = self.task.episode_steps
        candidates = []
        for steps in (limit, limit - 1):
            timeouts = within % steps == steps - 1
            starts = returns.episodes(recorded.terminals, timeouts).starts
            candidates.append((np.abs(observations[starts] - observations[0]), timeouts))
        differences, timeouts = min(candidates, key=lambda candidate: candidate[0].mean())
        if differences.max() > NEAR_START:
            raise InputError(
                f"{recorded.path}: no array `timeouts`, and the episodes that reached the time limit cannot be told "
                f"apart: not all begin at the robot's initial state if each ends after {limit} rows, nor after "
                f"{limit - 1}; use the v2 file, or add `timeouts` (N,) bool, True in the last row of each such episode"
            )
        return timeouts


class AntMaze:
    """A timeout alone ends an episode, which is truncated; terminals mark the rows at the goal, many in a row.

    Where the ant is suddenly elsewhere it was reset, and an episode ends as well. Recorded episodes
    may outlast the environment's time limit.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def marked(self, recorded: Recorded) -> NDArray[np.bool_]:
        """(N,) the ends that the file marks, and the resets that it shows."""
        resets = self._resets(recorded)
        return resets if recorded.timeouts is None else recorded.timeouts | resets

    def read(self, recorded: Recorded, found: Findings | None = None) -> Ends:
        """Raises InputError for a file without `timeouts`, or without a finished episode."""
        if recorded.timeouts is None:
            raise InputError(
                f"{recorded.path}: no array `timeouts`, and in {self.task.name} nothing else marks an end: use a "
                f"newer file, or {_ADD_TIMEOUTS}"
            )
        resets = self._resets(recorded) & ~recorded.timeouts
        timeouts, cut = recorded.timeouts, np.zeros_like(resets)
        repairs = {"unmarked_resets": int(resets.sum())}
        if found is not None:
            timeouts = timeouts | _of_rows(found.ended, len(cut))
            cut = _of_rows(found.cut, len(cut))
            repairs |= _counted(found)
        truncated = timeouts | resets
        _refuse_unfinished(recorded.path, truncated)
        return Ends(timeouts | cut, np.zeros_like(recorded.terminals), truncated, cut, repairs)

    def _resets(self, recorded: Recorded) -> NDArray[np.bool_]:
        with hdf5_errors(recorded.path):
            position = recorded.observations[:, :2]
        moved = np.hypot(*np.diff(position, axis=0).T) > LONGEST_STEP
        return np.append(moved, False)


def suite_of(task: Task | None) -> GymSuite | AntMaze:
    """How the ends of a task's recordings are read; without a task, as the gym suite's."""
    return AntMaze(task) if task is not None and task.maze else GymSuite(task)


def no_order(recorded: Recorded) -> Ends:
    """The ends of rows that stand alone: each is an episode."""
    nothing = np.zeros_like(recorded.terminals)
    timeouts = nothing if recorded.timeouts is None else recorded.timeouts
    return Ends(timeouts, nothing, ~nothing, nothing, {})


def _of_rows(rows: Sequence[int], count: int) -> NDArray[np.bool_]:
    """(N,) True in some rows."""
    result = np.zeros(count, bool)
    result[list(rows)] = True
    return result


def _counted(found: Findings) -> dict[str, int]:
    return {
        "ends_found": len(found.ended),
        "cuts_found": len(found.cut),
        "terminals_at_time_limit": len(found.time_limits),
    }


_ADD_TIMEOUTS = "add `timeouts` (N,) bool, True in each episode's last row"


def _refuse_unfinished(path: Path, ended: NDArray[np.bool_]) -> None:
    if not ended.any():
        raise InputError(
            f"{path}: no episode is finished (terminals and timeouts are False in all {len(ended)} rows); "
            "mark each episode's last row in one of them"
        )


def _refuse_long_episodes(path: Path, found: returns.Episodes, steps: int) -> None:
    """An episode beyond the time limit is two whose end is not marked, and would rescale every reward-to-go."""
    too_long = np.flatnonzero(found.lengths > steps)
    if len(too_long):
        start, length = int(found.starts[too_long[0]]), int(found.lengths[too_long[0]])
        raise InputError(
            f"{path}: rows {start} to {start + length - 1} are one episode of {length} steps, but the task "
            f"ends each after {steps} ({len(too_long)} such episodes): an end is not marked; set terminals or "
            "timeouts in the last row of every episode"
        )
