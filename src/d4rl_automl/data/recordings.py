"""Raw datasets in `layout`, checked as they are read chunk by chunk, and mended where they are old."""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import ends
from d4rl_automl.data.evidence import OTHER_SCALE, Evidence, Findings, Switch, judge
from d4rl_automl.data.hdf5 import hdf5_errors, opened
from d4rl_automl.data.layout import LAYOUT, MATRICES, OPTIONAL, REQUIRED

log = logging.getLogger(__name__)

CHUNK = 131_072
"""Rows read at a time."""

REPAIRS = {
    "float64_to_float32": "values stored as float64 are used as float32",
    "float16_to_float32": "values stored as float16, which has three digits, are used as float32",
    "byte_order": "values stored in the other byte order are turned round",
    "flags_to_bool": "terminals or timeouts stored as numbers are used as bool",
    "terminated_and_truncated": "rows with both flags set count as terminated",
    "actions_clipped": "action entries beyond [-1, 1] are clipped",
    "timeouts_inferred": "there is no `timeouts`: rows where the time limit must have ended an episode count as such",
    "actions_scaled": "action entries are divided by `scale_actions`",
    "ends_found": "rows that no flag marks end an episode: the next observation is not that of the next row",
    "cuts_found": "the recording stops after these rows: the next observation is not that of the next row, and the "
    "episode cut short there is left out of training",
    "terminals_at_time_limit": "terminals at the time limit, where the robot has not fallen, count as the time limit",
    "unmarked_resets": "the ant is elsewhere in the next row: an episode without a timeout ends there",
}
"""What is mended on the way in; each is counted and logged."""


class Reader:
    """An open, checked raw dataset whose large arrays are read chunk by chunk.

    terminals               (N,) bool, as recorded
    timeouts                (N,) bool, as recorded or, where there is no such array, inferred; mended as was found
    terminated, truncated   (N,) bool, Gymnasium's meaning, never both; either ends an episode
    cut                     (N,) bool, the recording stops in the midst of an episode
    rewards                 (N,) float32
    repairs                 counts what was mended in the rows read so far, by the names in `REPAIRS`
    doubts                  sentences: what was found and not mended

    The ends are there once they are `settle`d. What the flags mean, and what is inferred, is that of the `task`'s suite
    (`ends`).
    """

    timeouts: NDArray[np.bool_]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    cut: NDArray[np.bool_]

    def __init__(self, path: Path, file: h5py.File, task: str | None, scale_actions: float | None = None) -> None:
        self.path = path
        self.repairs: Counter[str] = Counter()
        self.doubts: list[str] = []
        self.file = file
        self.task = None if task is None else tasks.get(task)
        self.suite = ends.suite_of(self.task)
        self.action_scale = scale_actions
        self.actions_beyond_scale = 0
        """Entries, of the actions read by `chunks`, beyond `evidence.OTHER_SCALE`."""
        self.largest_action = 0.0
        self._arrays = self._checked_arrays(self.task)
        self.rows, self.action_size = self._arrays["actions"].shape
        self.rewards = self.values("rewards", slice(None))  # (N,) float32
        self.terminals = self._flags("terminals")
        self.recorded = ends.Recorded(
            path, self._arrays["observations"], self.terminals, self._flags("timeouts") if "timeouts" in self else None
        )

    @property
    def coarser(self) -> np.dtype:
        """Of the types that observations and next_observations are stored in and used as, the one with fewer digits."""
        stored = (self._arrays[name].dtype for name in ("observations", "next_observations") if name in self)
        return np.dtype(np.float16 if any(dtype.itemsize == 2 for dtype in stored) else np.float32)

    def settle(self, found: Findings | None) -> None:
        """The ends, by what was found in the whole file; as they are marked where it was not looked at as a whole."""
        if found is not None and found.ends == "none":
            settled = ends.no_order(self.recorded)
        else:
            settled = self.suite.read(self.recorded, found)
        self.timeouts, self.cut = settled.timeouts, settled.cut
        self.terminated, self.truncated = settled.terminated, settled.truncated
        self.repairs.update(settled.repairs)
        if found is not None:
            self.doubts += found.doubts

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def values(self, name: str, rows: slice) -> NDArray[np.float32]:
        """Rows of a float array, float32, as recorded; actions are divided by `scale_actions`.

        Raises InputError for NaN and infinity.
        """
        array = self._arrays[name]
        with hdf5_errors(self.path):
            stored = array[rows]
        if name == "rewards":
            stored = stored.reshape(-1)
        if stored.dtype.itemsize != 4:
            self.repairs["float16_to_float32" if stored.dtype.itemsize == 2 else "float64_to_float32"] += stored.size
        if not stored.dtype.isnative:
            self.repairs["byte_order"] += stored.size
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
        if name == "actions" and self.action_scale is not None:
            self.repairs["actions_scaled"] += result.size
            result = result / np.float32(self.action_scale)
        return result

    def chunks(self, *names: str) -> Iterator[tuple[slice, dict[str, NDArray[np.float32]]]]:
        """The rows in order, `CHUNK` at a time: the slice, and those arrays; actions clipped to [-1, 1]."""
        for start in range(0, self.rows, CHUNK):
            rows = slice(start, min(start + CHUNK, self.rows))
            arrays = {name: self.values(name, rows) for name in names}
            if "actions" in arrays:
                sizes = np.abs(arrays["actions"])
                self.repairs["actions_clipped"] += int((sizes > 1).sum())
                self.actions_beyond_scale += int((sizes > OTHER_SCALE).sum())
                self.largest_action = max(self.largest_action, float(sizes.max()))
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
def reading(path: str | Path, task: str | None = None, findings: Mapping[str, Any] | None = None) -> Iterator[Reader]:
    """Open a raw dataset for reading in chunks, its keys, shapes, dtypes, rewards and flags checked.

    With a `task` its observation and action sizes are demanded. `findings` are those of `examine`, as its provenance
    has them; without them the ends are where they are marked. Raises InputError for a
    file that is missing, damaged, or not in D4RL's layout; that takes values from other files; that
    is compressed by a filter that is not HDF5's own; or that declares much more than it holds.
    """
    found = None if findings is None else Findings.from_json(findings)
    with unsettled(path, task, None if found is None else found.scale_actions) as reader:
        reader.settle(found)
        yield reader


@contextlib.contextmanager
def unsettled(path: str | Path, task: str | None = None, scale_actions: float | None = None) -> Iterator[Reader]:
    """As `reading`, before it is known where the episodes end: `Reader.settle` says it."""
    with opened(Path(path)) as file:
        yield Reader(Path(path), file, task, scale_actions)


class Examined(NamedTuple):
    """Of a raw dataset that was read through."""

    findings: Findings
    repairs: dict[str, int]
    """Counts of what will be mended, by the names in `REPAIRS`, zeros left out."""


def examine(
    path: str | Path,
    task: str | None,
    *,
    ends: Switch | None = None,
    scale_actions: float | None = None,
    trusted: bool = False,
) -> Examined:
    """Read a raw dataset through, at most `CHUNK` rows at a time, and see what it proves of itself (`evidence`).

    Arguments
        ends: what the user says of the ends.
        scale_actions: what recorded actions are divided by.
        trusted: whether its flags are used as they are because the catalogue knows it.

    Raises InputError for a file that is damaged, lacks an array, has a wrong shape for `task`, a NaN or an
    infinity, arrays of different lengths, or no finished episode, and as `evidence.judge` does.
    """
    with unsettled(path, task, scale_actions) as reader:
        evidence = Evidence(reader)
        for rows, arrays in reader.chunks(*(name for name in MATRICES if name in reader)):
            evidence.add(rows, arrays)
        findings = judge(evidence, ends=ends, trusted=trusted)
        reader.settle(findings)
        reader.log_repairs()
        return Examined(findings, {name: count for name, count in reader.repairs.items() if count})
