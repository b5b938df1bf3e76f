"""A raw dataset in memory: D4RL's `get_dataset` and `qlearning_dataset`."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.data import catalogue, checksums, downloading, recordings
from d4rl_automl.data.evidence import Evidence, judge
from d4rl_automl.data.hdf5 import hdf5_errors
from d4rl_automl.data.providers.d4rl import Entry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """The arrays of a raw dataset, as recorded: D4RL's `get_dataset`."""

    observations: NDArray[np.float32]  # (N, d)
    actions: NDArray[np.float32]  # (N, a), not clipped
    rewards: NDArray[np.float32]  # (N,)
    terminals: NDArray[np.bool_]  # (N,)
    timeouts: NDArray[np.bool_]  # (N,); inferred for a file that has none, and with the ends that were found
    terminated: NDArray[np.bool_]  # (N,) Gymnasium's meaning, never with truncated, and either ends an episode:
    truncated: NDArray[np.bool_]  # (N,) unlike terminals and timeouts in AntMaze, and in a row that has both
    next_observations: NDArray[np.float32] | None  # (N, d)
    task: str | None  # that was named, or that the catalogue has
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


def load_dataset(
    name_or_path: str | Path,
    task: str | None = None,
    *,
    d4rl_dir: str | Path | None = None,
    mirrors: Sequence[str] = catalogue.MIRRORS,
    ends: Literal["flags"] | None = None,
) -> Dataset:
    """One of D4RL's datasets by its name, or an HDF5 file in D4RL's layout, checked: D4RL's `get_dataset`.

    `load_dataset("hopper-medium-v2")` finds D4RL's file in the folder where D4RL keeps it, or downloads it into that
    (`downloading.keep`): `d4rl_dir`, by default the environment variable D4RL_DATASET_DIR or ~/.d4rl/datasets, as for
    D4RL itself. `mirrors` are base URLs of further hosts. A Path, and a text that is no name of the catalogue, is a
    file of your own:

    >>> import h5py, numpy as np
    >>> from d4rl_automl import load_dataset
    >>> with h5py.File("mine.hdf5", "w") as file:
    ...     file["observations"], file["actions"] = np.zeros((4, 11), np.float32), np.zeros((4, 3), np.float32)
    ...     file["rewards"] = np.ones(4, np.float32)
    ...     file["terminals"], file["timeouts"] = [False, True, False, False], [False, False, False, True]
    >>> dataset = load_dataset("mine.hdf5", task="hopper")
    >>> dataset.observations.shape, dataset.terminated.tolist()
    ((4, 11), [False, True, False, False])

    Values are as recorded, but floats are float32 and flags bool. With a `task`, which a name of the catalogue has, its
    sizes and episode lengths are demanded, and `timeouts` are inferred for a file that has none. Where a file of your
    own has next observations, its flags are held against them as in the workflow (docs/datasets.md): missing ends are
    added, and what is no sequence of rows is refused, unless you say that the flags are right (`ends="flags"`). What is
    mended and what is doubtful is logged.

    Raises InputError for a name that is unknown, is another task's or is that of embedded data, which are collected
    first; as `downloading.keep` and `recordings.examine` do; and without a task for a file without `timeouts`.
    """
    path, task, published = find(name_or_path, task, d4rl_dir, mirrors)
    with recordings.unsettled(path, task) as reader:
        everything = slice(0, reader.rows)
        with hdf5_errors(reader.path):
            infos, metadata = (_tree(reader.file, group) for group in ("infos", "metadata"))
        names = [name for name in ("observations", "next_observations") if name in reader]
        arrays = {name: reader.values(name, everything) for name in names}
        evidence = Evidence(reader)
        evidence.add(everything, arrays)
        reader.settle(judge(evidence, ends=ends, trusted=published or checksums.is_known(path)))
        dataset = Dataset(
            observations=arrays["observations"],
            actions=reader.values("actions", everything),
            rewards=reader.rewards,
            terminals=reader.terminals,
            timeouts=reader.timeouts,
            terminated=reader.terminated,
            truncated=reader.truncated,
            next_observations=arrays.get("next_observations"),
            task=task,
            infos=infos,
            metadata=metadata,
        )
        reader.log_repairs()
        for doubt in reader.doubts:
            log.warning("%s: %s", path, doubt)
    return dataset


def qlearning_dataset(dataset: Dataset, terminate_on_end: bool = False) -> dict[str, NDArray[Any]]:
    """D4RL's `qlearning_dataset` (d4rl/__init__.py, Farama-Foundation/D4RL@89141a6).

    Row i's next observation is row i+1's observation, so the last row is left out, and
    so is every row with a timeout, whose follower belongs to another episode. Terminal
    rows stay: their next observation is another episode's first and must not be used.
    With `terminate_on_end` the rows with a timeout stay as well; D4RL's documentation says
    that they then become terminal, but its code leaves `terminals` as they are, and so does this.

    Returns observations (M, d), actions (M, a), next_observations (M, d), rewards (M,)
    float32 and terminals (M,) bool, M <= N - 1.

    >>> import h5py, numpy as np
    >>> from d4rl_automl import load_dataset, qlearning_dataset
    >>> with h5py.File("mine.hdf5", "w") as file:
    ...     file["observations"], file["actions"] = np.arange(5.0)[:, None], np.zeros((5, 1))
    ...     file["rewards"] = np.ones(5)
    ...     file["terminals"], file["timeouts"] = [False, False, True, False, False], [False, True, False, False, True]
    >>> batch = qlearning_dataset(load_dataset("mine.hdf5"))
    >>> [batch[name].ravel().tolist() for name in ("observations", "next_observations", "terminals")]
    [[0.0, 2.0, 3.0], [1.0, 3.0, 4.0], [False, True, False]]
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


def find(
    name_or_path: str | Path, task: str | None, d4rl_dir: str | Path | None, mirrors: Sequence[str]
) -> tuple[Path, str | None, bool]:
    """The file of a dataset, downloaded where it has to be, its task, and whether the catalogue has its checksum.

    Arguments and errors as `load_dataset` has them.
    """
    if not isinstance(name_or_path, str) or name_or_path not in catalogue.names():
        path = Path(name_or_path)
        if not path.suffix and not path.exists():
            raise InputError(
                f"{path}: no such file, and no dataset of the catalogue, which has {', '.join(catalogue.names())}"
            )
        return path, task, False
    entry = catalogue.entry(name_or_path)
    if task not in (None, entry.task):
        raise InputError(f"task: found {task!r} for {entry.name}, which is of {entry.task!r}; leave the task out")
    if not isinstance(entry, Entry):
        raise InputError(
            f"{entry.name}: embedded data are collected here first, which takes minutes, and processes (in a script, "
            "under `if __name__ == '__main__':`): d4rl_automl.data.collection.collect(d4rl_automl.data.catalogue.entry("
            f"{entry.name!r}), 'raw.hdf5', 'raw.json'); then load raw.hdf5"
        )
    folder = d4rl_dir if d4rl_dir is not None else os.environ.get("D4RL_DATASET_DIR", catalogue.D4RL_DIR)
    return downloading.keep(entry, folder, mirrors), entry.task, True


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
