"""Raw datasets in `layout`, checked as they are read chunk by chunk, and mended where they are old."""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import ends
from d4rl_automl.data.hdf5 import hdf5_errors, opened
from d4rl_automl.data.layout import LAYOUT, MATRICES, OPTIONAL, REQUIRED

log = logging.getLogger(__name__)

CHUNK = 131_072
"""Rows read at a time."""

REPAIRS = {
    "float64_to_float32": "values stored as float64 are used as float32",
    "flags_to_bool": "terminals or timeouts stored as numbers are used as bool",
    "terminated_and_truncated": "rows with both flags set count as terminated",
    "actions_clipped": "action entries beyond [-1, 1] are clipped",
    "timeouts_inferred": "there is no `timeouts`: rows where the time limit must have ended an episode count as such",
    "unmarked_resets": "the ant is elsewhere in the next row: an episode without a timeout ends there",
}
"""What is mended on the way in; each is counted and logged."""


class Reader:
    """An open, checked raw dataset whose large arrays are read chunk by chunk.

    terminals, timeouts     (N,) bool, as recorded, or as inferred for a file without `timeouts`
    terminated, truncated   (N,) bool, Gymnasium's meaning, never both; either ends an episode
    rewards                 (N,) float32
    repairs                 counts what was mended in the rows read so far, by the names in `REPAIRS`

    What the flags mean, and what is inferred, is that of the `task`'s suite (`ends`).
    """

    def __init__(self, path: Path, file: h5py.File, task: str | None) -> None:
        self.path = path
        self.repairs: Counter[str] = Counter()
        self.doubts: list[str] = []
        self.file = file
        known = None if task is None else tasks.get(task)
        self._arrays = self._checked_arrays(known)
        self.rows = len(self._arrays["observations"])
        self.rewards = self.values("rewards", slice(None))  # (N,) float32
        self.terminals = self._flags("terminals")
        timeouts = self._flags("timeouts") if "timeouts" in self else None
        recorded = ends.Recorded(path, self._arrays["observations"], self.terminals, timeouts)
        found = ends.suite_of(known).read(recorded)
        self.timeouts, self.terminated, self.truncated = found.timeouts, found.terminated, found.truncated
        self.repairs.update(found.repairs)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def values(self, name: str, rows: slice) -> NDArray[np.float32]:
        """Rows of a float array, float32, as recorded. Raises InputError for NaN and infinity."""
        array = self._arrays[name]
        with hdf5_errors(self.path):
            stored = array[rows]
        if name == "rewards":
            stored = stored.reshape(-1)
        if stored.dtype == np.float64:
            self.repairs["float64_to_float32"] += stored.size
        with np.errstate(over="ignore"):  # an overflow becomes infinite, and is refused below
            result: NDArray[np.float32] = stored.astype(np.float32, copy=False)
        finite = np.isfinite(result)
        if not finite.all():
            first = np.argwhere(~finite)[0]
            row = (rows.start or 0) + int(first[0])
            where = ", ".join(map(str, [row, *first[1:]]))
            raise InputError(
                f"{self.path}: {name}[{where}] is {stored[tuple(first)]} as float32; every value must be finite: "
                "drop that episode from the file, or mend what recorded it"
            )
        return result

    def chunks(self, *names: str) -> Iterator[tuple[slice, dict[str, NDArray[np.float32]]]]:
        """The rows in order, `CHUNK` at a time: the slice, and those arrays; actions clipped to [-1, 1]."""
        for start in range(0, self.rows, CHUNK):
            rows = slice(start, min(start + CHUNK, self.rows))
            arrays = {name: self.values(name, rows) for name in names}
            if "actions" in arrays:
                self.repairs["actions_clipped"] += int((np.abs(arrays["actions"]) > 1).sum())
                arrays["actions"] = np.clip(arrays["actions"], -1, 1)
            yield rows, arrays

    def log_repairs(self) -> None:
        """One warning per kind of repair made so far."""
        for name, count in self.repairs.items():
            if count:
                log.warning("%s: %s (%d)", self.path, REPAIRS[name], count)

    def _checked_arrays(self, task: tasks.Task | None) -> dict[str, h5py.Dataset]:
        with hdf5_errors(self.path):
            arrays = {
                name: self.file[name]
                for name in (*REQUIRED, *OPTIONAL)
                if isinstance(self.file.get(name), h5py.Dataset)
            }
        missing = [name for name in REQUIRED if name not in arrays]
        if missing:
            raise InputError(
                f"{self.path}: missing {', '.join(missing)}; D4RL's layout has the arrays "
                f"{', '.join(REQUIRED)}, timeouts at the top level"
            )
        lengths = {name: array.shape[0] if array.shape else 0 for name, array in arrays.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            found = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise InputError(f"{self.path}: the arrays must have one common, positive length; found {found}")
        widths: dict[str, int | None] = {"observations": None, "actions": None}
        if task is not None:
            widths = {"observations": task.observation_size, "actions": task.action_size}
        for name, array in arrays.items():
            rows = lengths[name]
            if name in MATRICES:
                width = widths["actions" if name == "actions" else "observations"]
                fits = array.ndim == 2 and width in (None, array.shape[1])
                shape = f"({rows}, {'any' if width is None else width})"
            else:
                # D4RL's own reader accepts a column as well.
                fits = array.shape in ((rows,), (rows, 1))
                shape = f"({rows},)"
            if not fits:
                of_task = f" for task {task.name!r}" if task is not None and name in MATRICES else ""
                raise InputError(f"{self.path}: {name} has shape {array.shape}, expected {shape}{of_task}")
            expected = np.dtype(LAYOUT[name])
            if array.dtype.kind not in ("biuf" if expected == np.bool_ else "f"):
                raise InputError(f"{self.path}: {name} has dtype {array.dtype}, expected {expected}; store it as such")
        observed, following = arrays["observations"], arrays.get("next_observations")
        if following is not None and following.shape != observed.shape:
            raise InputError(
                f"{self.path}: next_observations {following.shape} and observations {observed.shape} differ in shape"
            )
        return arrays

    def _flags(self, name: str) -> NDArray[np.bool_]:
        with hdf5_errors(self.path):
            stored = self._arrays[name][()].reshape(-1)
        flags: NDArray[np.bool_] = stored.astype(bool)
        if stored.dtype != np.bool_:
            if not np.array_equal(stored, flags):
                row = int(np.flatnonzero(stored != flags)[0])
                raise InputError(f"{self.path}: {name}[{row}] is {stored[row]}, but a flag is 0 or 1")
            self.repairs["flags_to_bool"] += len(flags)
        return flags


@contextlib.contextmanager
def reading(path: str | Path, task: str | None = None) -> Iterator[Reader]:
    """Open a raw dataset for reading in chunks, its keys, shapes, dtypes, rewards and flags checked.

    With a `task` its observation and action sizes are demanded. Raises InputError for a
    file that is missing, damaged, or not in D4RL's layout; that takes values from other files; that
    is compressed by a filter that is not HDF5's own; or that declares much more than it holds.
    """
    path = Path(path)
    with opened(path) as file:
        yield Reader(path, file, task)


def validate(path: str | Path, task: str) -> dict[str, int]:
    """Read a raw dataset through, at most `CHUNK` rows at a time, and count what will be mended.

    Returns the counts by the names in `REPAIRS`, zeros left out. Raises InputError for
    a file that is damaged, lacks an array, has a wrong shape for `task`, a NaN or an
    infinity, arrays of different lengths, or no finished episode.
    """
    with reading(path, task) as reader:
        for _ in reader.chunks(*(name for name in MATRICES if name in reader)):
            pass
        reader.log_repairs()
        return {name: count for name, count in reader.repairs.items() if count}
