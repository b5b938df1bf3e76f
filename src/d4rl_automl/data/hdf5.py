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
import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import returns

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

_ROWS_PER_CHUNK = 8192
_RESERVE = 2**20
LONGEST_STEP = 1.0
"""Metres in the x, y plane. The recorded ants move 0.4 in a step at most; a reset moves them by metres."""

LARGEST_RESET = 1.0
"""By which two initial observations of a gym robot differ at most, in any entry (its reset noise is 0.1)."""

_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_SCALEOFFSET,
    h5py.h5z.FILTER_LZF,
}
"""What HDF5 and h5py can decompress by themselves. For any other, HDF5 would load a library from HDF5_PLUGIN_PATH."""

_MOST_COMPRESSED = 1100
"""Values cannot take more than this many times their stored bytes (deflate packs 1,032 to one)."""
_MOST_UNSTORED = 2**30
"""Bytes that a file may declare beyond that: HDF5 stores nothing of an array that was never written."""

_REQUIRED = ("observations", "actions", "rewards", "terminals", "timeouts")
_MATRICES = ("observations", "actions", "next_observations")
_LAYOUT = {
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
        _refuse_untrustworthy(path, file)
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


def load(path: str | Path, task: str | None = None) -> Dataset:
    """The arrays of an HDF5 file in D4RL's layout, checked: D4RL's `get_dataset`.

    Values are as recorded, but floats are float32 and flags bool. With a `task` its sizes and
    episode lengths are demanded, and `timeouts` are inferred for a file that has none
    (`Reader`). Raises InputError as `validate` does, and without a task for a file without
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


def write(
    path: str | Path, blocks: Iterable[Mapping[str, NDArray[Any]] | NDArray[np.void]], metadata: Mapping[str, Any]
) -> None:
    """Write a raw dataset in the layout of D4RL's gym v2 files, block after block.

    Each block holds, by name, the next rows of every array of the layout (`observations` …
    `infos/qvel`, `infos/action_log_probs`): a mapping, or a structured array. `metadata`
    becomes scalars or arrays under `metadata/`. The bytes depend on the content alone, not on
    how it was cut.

    Only the flags are compressed: the mantissas of simulated float32 are as good as random, so
    that gzip saves 15 % of the bytes and takes a fifth of the time of the simulation.
    """
    with files.whole(path) as part, _new(part) as file:
        for name, value in metadata.items():
            file[f"metadata/{name}"] = value
        rows = 0
        for arrays in _rechunk(blocks, _ROWS_PER_CHUNK):
            _find_room(part.parent, sum(_ROWS_PER_CHUNK * values[:1].nbytes for values in arrays.values()))
            for name, dtype in _LAYOUT.items():
                values = arrays[name]
                if name not in file:
                    shape = values.shape[1:]
                    file.create_dataset(
                        name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(_ROWS_PER_CHUNK, *shape),
                        compression="gzip" if dtype is np.bool_ else None,
                    )  # fmt: skip
                array = file[name]
                array.resize(rows + len(values), axis=0)
                array[rows:] = values.astype(dtype, copy=False)
            file.flush()
            rows += len(arrays["rewards"])


@contextlib.contextmanager
def _new(path: Path) -> Iterator[h5py.File]:
    _find_room(path.parent, 0)
    with h5py.File(path, "w") as file:
        yield file


def _find_room(folder: Path, size: int) -> None:
    """Raise OSError unless `size` bytes, and some for HDF5's own use, can be written in a folder.

    HDF5 must not be the one to find the disk full: it could not close the file any more and would crash the process.
    """
    with tempfile.TemporaryFile(dir=folder) as stream:
        os.posix_fallocate(stream.fileno(), 0, size + _RESERVE)


def link(entry: Mapping[str, Any], output: str | Path, provenance: str | Path) -> None:
    """Validate the user's own file and link to it; `provenance` becomes JSON with its SHA-256.

    `entry` is a catalogue entry of provider `file`. Raises InputError as `validate` does.
    """
    source = Path(entry["path"]).expanduser().resolve()
    repairs = validate(source, entry["task"])
    with files.whole(output) as part:
        part.symlink_to(source)
    files.write_json(
        provenance,
        {
            "dataset": entry["name"],
            "provider": entry["provider"],
            "task": entry["task"],
            "sha256": files.sha256(source),
            "size_bytes": source.stat().st_size,
            "path": str(source),
            "repairs": repairs,
        },
    )


def _refuse_untrustworthy(path: Path, file: h5py.File) -> None:
    """A file may come from anywhere: nothing outside it is read or loaded for it, and what it declares is in it."""
    names: list[str] = []
    unstored = 0
    with hdf5_errors(path):
        file.visit_links(names.append)
        for name in names:
            link = file.get(name, getlink=True)
            # What a soft link leads to has a link of its own.
            array = file[name] if isinstance(link, h5py.HardLink) else None
            elsewhere = isinstance(link, h5py.ExternalLink)
            if isinstance(array, h5py.Dataset):
                elsewhere = array.external is not None or array.is_virtual
            if elsewhere:
                raise InputError(
                    f"{path}: {name} leads to another file, and none but this one is read; store the values themselves"
                )
            if not isinstance(array, h5py.Dataset):
                continue
            created = array.id.get_create_plist()
            others = {created.get_filter(i)[0] for i in range(created.get_nfilters())} - _FILTERS
            if others:
                raise InputError(
                    f"{path}: {name} is compressed by the HDF5 filter {min(others)}, which takes a plugin, and none is "
                    "loaded; compress it with gzip"
                )
            declared, stored = math.prod(array.shape or ()) * array.dtype.itemsize, array.id.get_storage_size()
            unstored += max(0, declared - _MOST_COMPRESSED * stored)
            if unstored > _MOST_UNSTORED:
                raise InputError(
                    f"{path}: {name} has shape {array.shape}, {declared} bytes, of which the file holds {stored}; it "
                    "is damaged or made to exhaust the memory: fetch or make it again"
                )


def _rechunk(
    blocks: Iterable[Mapping[str, NDArray[Any]] | NDArray[np.void]], rows: int
) -> Iterator[dict[str, NDArray[Any]]]:
    """The same rows, cut anew into blocks of `rows` (the last one shorter), so that each HDF5 chunk is written once."""
    pending: list[Any] = []
    count = 0
    for block in blocks:
        pending.append(block)
        count += len(block["rewards"])
        if count >= rows:
            joined = {name: np.concatenate([piece[name] for piece in pending]) for name in _LAYOUT}
            whole = count - count % rows
            for start in range(0, whole, rows):
                yield {name: values[start : start + rows] for name, values in joined.items()}
            pending = [{name: values[whole:] for name, values in joined.items()}]
            count -= whole
    if count:
        yield {name: np.concatenate([piece[name] for piece in pending]) for name in _LAYOUT}


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


@contextlib.contextmanager
def hdf5_errors(path: Path) -> Iterator[None]:
    """What h5py raises when a file is no HDF5, was cut or was damaged, told as an InputError."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as HDF5 ({error}); it is damaged, cut short or another format: "
            "fetch or make it again"
        ) from error
