"""D4RL's AntMaze, walked by a point: every episode goes one way through the U of the umaze, some past the goal.

So the way to any later position is known: the action is the direction of the walk.
"""

import json
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.core import files
from d4rl_automl.data import making

LENGTH, SPEED = 24.0, 0.4
"""Metres of the corridor, and of a step."""
PAID = (20.6, 21.4)
"""Where along the corridor a row is at the goal: two or three rows in a row."""
TASK = "antmaze-umaze"


def positions(along: ArrayLike) -> NDArray[np.float64]:
    """x and y (n, 2) at so many metres (n,) along the U: east, north, west."""
    along = np.asarray(along, np.float64)
    return np.column_stack([np.minimum(along, 8) - (along - 16).clip(0), (along - 8).clip(0, 8)])


def directions(along: ArrayLike, ahead: ArrayLike) -> NDArray[np.float64]:
    """The walk's direction (n, 2) there, `ahead` (n,) or back."""
    here = np.asarray(along)
    east = np.where(here[:, None] < 8, [1.0, 0.0], np.where(here[:, None] < 16, [0.0, 1.0], [-1.0, 0.0]))
    return np.where(np.asarray(ahead)[:, None], east, -east)


def recording(episodes: int, seed: int) -> dict[str, NDArray[np.generic]]:
    """As D4RL has it: rewards and terminals at the goal, where the walk goes on; timeouts alone end an episode."""
    generator = np.random.default_rng(seed)
    parts = []
    for _ in range(episodes):
        length = int(generator.integers(1, 58))
        walked = SPEED * np.arange(length)
        start = generator.uniform(0, LENGTH - walked[-1])
        goes_ahead = bool(generator.integers(2))
        places = start + (walked if goes_ahead else walked[::-1])
        parts.append((places, np.full(length, goes_ahead), np.arange(length) == length - 1))
    along, ahead, ends = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    paid = (along > PAID[0]) & (along < PAID[1])
    others = generator.standard_normal((len(along), 27)) * 0.1
    actions = np.zeros((len(along), 8))
    actions[:, :2] = 0.8 * directions(along, ahead)
    return {
        "observations": np.column_stack([positions(along), others]).astype(np.float32),
        "actions": actions.astype(np.float32),
        "rewards": paid.astype(np.float32),
        "terminals": paid,
        "timeouts": ends,
    }


def write_transitions(folder: Path, episodes: int = 200, seed: int = 0) -> Path:
    """The transitions table of such a recording, made as the workflow makes it."""
    raw, provenance = folder / "raw.hdf5", folder / "raw.json"
    with h5py.File(raw, "w") as file:
        for name, values in recording(episodes, seed).items():
            file[name] = values
    said = {"dataset": f"{TASK}-corridor", "provider": "file", "task": TASK, "sha256": files.sha256(raw)}
    provenance.write_text(json.dumps(said))
    making.make_transitions(
        raw,
        provenance,
        {"seed": 0, "validation": 0.1, "test": 0.1},
        output=folder / "transitions.parquet",
        episodes_output=folder / "episodes.parquet",
    )
    return folder / "transitions.parquet"
