"""A raw dataset in memory: D4RL's `get_dataset` and `qlearning_dataset`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.data.hdf5 import hdf5_errors
from d4rl_automl.data.recordings import reading


@dataclass(frozen=True)
class Dataset:
    """The arrays of a raw dataset, as recorded: D4RL's `get_dataset`."""

    observations: NDArray[np.float32]  # (N, d)
    actions: NDArray[np.float32]  # (N, a), not clipped
    rewards: NDArray[np.float32]  # (N,)
    terminals: NDArray[np.bool_]  # (N,)
    timeouts: NDArray[np.bool_]  # (N,)
    next_observations: NDArray[np.float32] | None  # (N, d)
    infos: dict[str, NDArray[Any]]  # (N, …) by name, without the leading "infos/"
    metadata: dict[str, Any]  # by name, without the leading "metadata/"

    def as_dict(self) -> dict[str, Any]:
        """What D4RL's `get_dataset` returns: everything by its name in the file."""
        found = {name: getattr(self, name) for name in ("observations", "actions", "rewards", "terminals", "timeouts")}
        if self.next_observations is not None:
            found["next_observations"] = self.next_observations
        for group in ("infos", "metadata"):
            found |= {f"{group}/{name}": value for name, value in getattr(self, group).items()}
        return found


def load(path: str | Path, task: str | None = None) -> Dataset:
    """The arrays of an HDF5 file in D4RL's layout, checked: D4RL's `get_dataset`.

    Values are as recorded, but floats are float32 and flags bool. With a `task` its sizes and
    episode lengths are demanded, and `timeouts` are inferred for a file that has none
    (`ends`). Raises InputError as `validate` does, and without a task for a file without
    `timeouts`.
    """
    with reading(path, task) as reader:
        everything = slice(None)
        with hdf5_errors(reader.path):
            infos, metadata = (_tree(reader.file, group) for group in ("infos", "metadata"))
        following = reader.values("next_observations", everything) if "next_observations" in reader else None
        dataset = Dataset(
            observations=reader.values("observations", everything),
            actions=reader.values("actions", everything),
            rewards=reader.rewards,
            terminals=reader.terminals,
            timeouts=reader.timeouts,
            next_observations=following,
            infos=infos,
            metadata=metadata,
        )
        reader.log_repairs()
    return dataset


def qlearning(dataset: Dataset, terminate_on_end: bool = False) -> dict[str, NDArray[Any]]:
    """D4RL's `qlearning_dataset` (d4rl/__init__.py, Farama-Foundation/D4RL@89141a6).

    Row i's next observation is row i+1's observation, so the last row is left out, and
    so is every row with a timeout, whose follower belongs to another episode. Terminal
    rows stay: their next observation is another episode's first and must not be used.
    With `terminate_on_end` the rows with a timeout stay as well; D4RL's documentation says
    that they then become terminal, but its code leaves `terminals` as they are, and so does this.

    Returns observations (M, d), actions (M, a), next_observations (M, d), rewards (M,)
    float32 and terminals (M,) bool, M <= N - 1.
    """
    last = len(dataset.rewards) - 1
    kept = np.arange(last) if terminate_on_end else np.flatnonzero(~dataset.timeouts[:last])
    return {
        "observations": dataset.observations[kept],
        "actions": dataset.actions[kept],
        "next_observations": dataset.observations[kept + 1],
        "rewards": dataset.rewards[kept],
        "terminals": dataset.terminals[kept],
    }


def _tree(file: h5py.File, group: str) -> dict[str, Any]:
    """Every array and scalar below a group, by its path within it."""
    found: dict[str, Any] = {}

    def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            value = item[()]
            found[name] = value.decode() if isinstance(value, bytes) else value

    if isinstance(file.get(group), h5py.Group):
        file[group].visititems(visit)
    return found
