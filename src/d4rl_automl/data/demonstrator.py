"""How whoever recorded goal-reaching data did: which of the commanded goals it reached, how fast, and which way."""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.data import hdf5, recordings, returns
from d4rl_automl.tasks import Task

GOALS = "infos/goal"
"""The goal that was commanded in each row, as D4RL's AntMaze files have it; rewards may be of another one."""
PATHS = 40
"""Episodes whose way is kept, the first ones."""
PATH_STEPS = 10
"""Steps from one position of a way to the next."""


def describe(reader: recordings.Reader, task: Task) -> dict[str, Any] | None:
    """What became of the finished episodes; None for a task without goal, and for a file that does not tell goals.

    Keys: episodes, reached (how many), success (their share), steps_to_goal (of each that did), mean_path (metres,
    walked until the goal by those that did), paths (of the first `PATHS` episodes: goal, reached, x and y in metres,
    until the goal if it was reached).
    """
    if task.goal is None or not isinstance(reader.file.get(GOALS), h5py.Dataset):
        return None
    with hdf5.hdf5_errors(reader.path):
        goals = reader.file[GOALS][()].astype(np.float64)
        positions = reader.file["observations"][:, : max(task.goal.columns) + 1][:, list(task.goal.columns)]
    where = returns.episodes(reader.terminated, reader.truncated, reader.cut)
    at_goal = task.goal.distances(positions.astype(np.float64), goals) <= task.goal.radius
    steps: list[int] = []
    ways: list[float] = []
    paths: list[dict[str, Any]] = []
    for start, length in zip(where.starts[where.finished], where.lengths[where.finished], strict=True):
        # Where it starts is not where it went.
        hits = np.flatnonzero(at_goal[start + 1 : start + length])
        end = int(hits[0]) + 2 if len(hits) else int(length)
        way = positions[start : start + end].astype(np.float64)
        if len(hits):
            steps.append(end - 1)
            ways.append(float(np.hypot(*np.diff(way, axis=0).T).sum()))
        if len(paths) < PATHS:
            paths.append({"goal": goals[start].tolist(), "reached": bool(len(hits)), **_thinned(way)})
    count = int(where.finished.sum())
    return {
        "episodes": count,
        "reached": len(steps),
        "success": len(steps) / count,
        "steps_to_goal": steps,
        "mean_path": float(np.mean(ways)) if ways else None,
        "paths": paths,
    }


def _thinned(way: NDArray[np.float64]) -> dict[str, list[float]]:
    """A few of a way's positions (p, 2), the first and the last among them."""
    shown = way[np.unique(np.append(np.arange(0, len(way), PATH_STEPS), len(way) - 1))].round(2)
    return {"x": shown[:, 0].tolist(), "y": shown[:, 1].tolist()}
