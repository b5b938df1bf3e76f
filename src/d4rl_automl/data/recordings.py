"""Raw datasets: HDF5 files in the layout of D4RL's gym v2 suite, read, checked and written.

    observations       (N, d) float32        rewards    (N,) float32
    actions            (N, a) float32        terminals  (N,) bool   Gymnasium's terminated: the robot fell
    next_observations  (N, d) float32        timeouts   (N,) bool   Gymnasium's truncated: time limit
    infos/*            (N, …)                metadata/* anything

The authority on the layout is D4RL's own reader, d4rl/offline_env.py `get_dataset`
(Farama-Foundation/D4RL@89141a6). Older files are read too: without `next_observations`, with
float64 arrays, with flags stored as numbers, and without `timeouts` (`Reader` says how).

AntMaze files differ. Their `terminals` mark the rows at the goal, many in a row, and the
recorded episode goes on; it ends by `timeouts` alone.
"""

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
from d4rl_automl.data import returns
from d4rl_automl.data.hdf5 import hdf5_errors, refuse_untrustworthy

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
LONGEST_STEP = 1.0
"""Metres in the x, y plane. The recorded ants move 0.4 in a step at most; a reset moves them by metres."""

LARGEST_RESET = 1.0
"""By which two initial observations of a gym robot differ at most, in any entry (its reset noise is 0.1)."""

_REQUIRED = ("observations", "actions", "rewards", "terminals", "timeouts")
_MATRICES = ("observations", "actions", "next_observations")
LAYOUT = {
    "observations": np.float32,
    "actions": np.float32,
    "rewards": np.float32,
    "next_observations": np.float32,
    "terminals": np.bool_,
    "timeouts": np.bool_,
    "infos/qpos": np.float32,
    "infos/qvel": np.float32,
    "infos/action_log_probs": np.float32,
}


class Reader:
    """An open, checked raw dataset whose large arrays are read chunk by chunk.

    terminals, timeouts     (N,) bool, as recorded, or as inferred for a file without `timeouts`
    terminated, truncated   (N,) bool, Gymnasium's meaning, never both; either ends an episode
    rewards                 (N,) float32
    repairs                 counts what was mended in the rows read so far, by the names in `REPAIRS`

    They differ where an end has both flags, which counts as terminated, and in AntMaze, where
    no episode is terminated, and one is truncated by a timeout or where the ant is suddenly elsewhere.

    Without `timeouts` the task's time limit ends the episodes that reach it, which needs a
    `task`: after 1,000 rows or, as in D4RL's v0 files, after 999. It is that of the two by which
    the episodes' first states differ least; where they differ more than resets do, the file is refused.
    """

    def __init__(self, path: Path, file: h5py.File, task: str | None) -> None:
        self.path = path
        self.repairs: Counter[str] = Counter()
        self.file = file
        self._arrays = self._checked_arrays(task)
        self.rows = len(self._arrays["observations"])
        self.rewards = self.values("rewards", slice(None))  # (N,) float32
        self.terminals = self._flags("terminals")
        robot = None if task is None else tasks.get(task)
        self.timeouts = self._flags("timeouts") if "timeouts" in self else self._infer_timeouts(robot)
        if robot is not None and robot.maze:
            self.terminated = np.zeros_like(self.terminals)
            self.truncated = self.timeouts | self._find_unmarked_resets()
        else:
            self.terminated = self.terminals
            self.truncated = self.timeouts & ~self.terminals
            self.repairs["terminated_and_truncated"] += int((self.terminals & self.timeouts).sum())
        if not (self.terminated | self.truncated).any():
            raise InputError(
                f"{path}: no episode is finished (terminals and timeouts are False in all {self.rows} rows); "
                "mark each episode's last row in one of them"
            )
        # An AntMaze recording may outlast the environment's limit, and its resets show in the positions.
        if robot is not None and not robot.maze:
            self._refuse_long_episodes(robot.episode_steps)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def _infer_timeouts(self, robot: tasks.Task | None) -> NDArray[np.bool_]:
        """(N,) where the time limit ended an episode, for a file that does not say."""
        if robot is None or robot.maze:
            raise InputError(
                f"{self.path}: no array `timeouts`, and "
                + (f"in {robot.name} nothing else marks an end" if robot else "no task is given whose time limit it is")
                + ": use a newer file, name the task, or add `timeouts` (N,) bool, True in each episode's last row"
            )
        with hdf5_errors(self.path):
            observations = self._arrays["observations"][()]
        within = returns.episodes(self.terminals, np.zeros_like(self.terminals)).steps()
        candidates = []
        for steps in (robot.episode_steps, robot.episode_steps - 1):
            timeouts = within % steps == steps - 1
            starts = returns.episodes(self.terminals, timeouts).starts
            candidates.append((np.abs(observations[starts] - observations[0]), timeouts))
        differences, timeouts = min(candidates, key=lambda candidate: candidate[0].mean())
        if differences.max() <= LARGEST_RESET:
            self.repairs["timeouts_inferred"] = int(timeouts.sum())
            return timeouts
        raise InputError(
            f"{self.path}: no array `timeouts`, and the episodes that reached the time limit cannot be told apart: "
            f"not all begin at the robot's initial state if each ends after {robot.episode_steps} rows, nor after "
            f"{robot.episode_steps - 1}; use the v2 file, or add `timeouts` (N,) bool, True in the last row of each "
            "such episode"
        )

    def _find_unmarked_resets(self) -> NDArray[np.bool_]:
        """(N,) where the ant is elsewhere in the next row though there is no timeout."""
        with hdf5_errors(self.path):
            position = self._arrays["observations"][:, :2]
        moved = np.hypot(*np.diff(position, axis=0).T) > LONGEST_STEP
        found = np.append(moved, False) & ~self.timeouts
        self.repairs["unmarked_resets"] += int(found.sum())
        return found

    def _refuse_long_episodes(self, steps: int) -> None:
        """An episode beyond the time limit is two whose end is not marked, and would rescale every reward-to-go."""
        found = returns.episodes(self.terminated, self.truncated)
        too_long = np.flatnonzero(found.lengths > steps)
        if len(too_long):
            start, length = int(found.starts[too_long[0]]), int(found.lengths[too_long[0]])
            raise InputError(
                f"{self.path}: rows {start} to {start + length - 1} are one episode of {length} steps, but the task "
                f"ends each after {steps} ({len(too_long)} such episodes): an end is not marked; set terminals or "
                "timeouts in the last row of every episode"
            )

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

    def _checked_arrays(self, task: str | None) -> dict[str, h5py.Dataset]:
        with hdf5_errors(self.path):
            arrays = {
                name: self.file[name]
                for name in (*_REQUIRED, "next_observations")
                if isinstance(self.file.get(name), h5py.Dataset)
            }
        missing = [name for name in _REQUIRED if name not in arrays and name != "timeouts"]
        if missing:
            raise InputError(
                f"{self.path}: missing {', '.join(missing)}; D4RL's layout has the arrays {', '.join(_REQUIRED)} "
                "at the top level"
            )
        lengths = {name: array.shape[0] if array.shape else 0 for name, array in arrays.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            found = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise InputError(f"{self.path}: the arrays must have one common, positive length; found {found}")
        widths: dict[str, int | None] = {"observations": None, "actions": None}
        if task is not None:
            robot = tasks.get(task)
            widths = {"observations": robot.observation_size, "actions": robot.action_size}
        for name, array in arrays.items():
            rows = lengths[name]
            if name in _MATRICES:
                width = widths["actions" if name == "actions" else "observations"]
                fits = array.ndim == 2 and width in (None, array.shape[1])
                shape = f"({rows}, {'any' if width is None else width})"
            else:
                # D4RL's own reader accepts a column as well.
                fits = array.shape in ((rows,), (rows, 1))
                shape = f"({rows},)"
            if not fits:
                of_task = f" for task {task!r}" if task and name in _MATRICES else ""
                raise InputError(f"{self.path}: {name} has shape {array.shape}, expected {shape}{of_task}")
            kinds = "biuf" if name in ("terminals", "timeouts") else "f"
            if array.dtype.kind not in kinds:
                raise InputError(
                    f"{self.path}: {name} has dtype {array.dtype}, expected "
                    f"{'bool' if len(kinds) > 1 else 'float32'}; store it as such"
                )
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
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of an HDF5 file in D4RL's layout")
    with hdf5_errors(path):
        # A cache for the compressed chunks that two reads share.
        file = h5py.File(path, "r", rdcc_nbytes=16 * 2**20)
    with file:
        refuse_untrustworthy(path, file)
        yield Reader(path, file, task)


def validate(path: str | Path, task: str) -> dict[str, int]:
    """Read a raw dataset through, at most `CHUNK` rows at a time, and count what will be mended.

    Returns the counts by the names in `REPAIRS`, zeros left out. Raises InputError for
    a file that is damaged, lacks an array, has a wrong shape for `task`, a NaN or an
    infinity, arrays of different lengths, or no finished episode.
    """
    with reading(path, task) as reader:
        for _ in reader.chunks(*(name for name in _MATRICES if name in reader)):
            pass
        reader.log_repairs()
        return {name: count for name, count in reader.repairs.items() if count}
