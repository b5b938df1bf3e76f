"""What a recording proves of itself as it is taken in.

Inside an episode ``next_observations[i]`` is ``observations[i + 1]``. Where it is not, the link between two rows is
broken: an end is not marked, or the rows are not what they are taken for. Recorded falls are held against the
task's own rule (`tasks.Task.fell`).

    broken links                   what is done
    none                           nothing: the flags are right
    few, or where ends are missing an end or a cut is added after each: a counted repair
    others                         the file is refused, with what explains them

Files that the catalogue knows, and those of which the user says that the flags are right, keep their ends: what was
found is told as a doubt.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.data import returns
from d4rl_automl.tasks.gym import VELOCITY_LIMIT

if TYPE_CHECKING:
    from d4rl_automl.data.recordings import Reader

Switch = Literal["flags", "none"]
"""What a user says of a file's ends: its flags are right, or its rows are in no order."""

SEAMS = 0.01
"""Broken links below this share of the rows are seams, from it on they are how the file is."""
SPACINGS = 4
"""Units in the last place of the coarser type by which two copies of one value differ at most."""
NEAR_START = 1.0
"""By which two initial observations of a gym robot differ at most, in any entry (its reset noise is 0.1)."""
BEYOND_PHYSICS = 1e10
"""MuJoCo gives a state up beyond this (mjMAXVAL)."""
BEYOND_ROBOTS = 1e3
"""Metres, radians, their rates or rewards; no robot's here get near it."""
OTHER_SCALE = 3.0
"""A median absolute action above this is on another scale than the tasks' [-1, 1]."""

_SAMPLE = 100
_OFFSETS = range(-64, 1025)
"""Of the row whose observation is the next one of row i, from i: where environments alternate, their number."""

VERDICTS = {
    "holds": "inside episodes every next observation is the observation of the next row",
    "mended": "ends were added where a next observation is not the observation of the next row",
    "broken": "a next observation is not always that of the next row, and the flags are used as they are",
    "no order": "every row stands alone, as the config says",
    "cannot be checked": "there are no next_observations",
}
"""What can be found of the ends."""


@dataclass(frozen=True)
class Findings:
    """What a look through a whole file found. It goes into the provenance, so that all who read the file agree."""

    continuity: str
    """One of `VERDICTS`."""
    ends: Switch | None = None
    """What the user says of the ends."""
    scale_actions: float | None = None
    """What recorded actions are divided by."""
    ended: tuple[int, ...] = ()
    """Rows after which an episode ended though no flag says so."""
    fell: tuple[int, ...] = ()
    """Those of such rows in which the robot fell."""
    cut: tuple[int, ...] = ()
    """Rows after which the recording stops in the midst of an episode."""
    time_limits: tuple[int, ...] = ()
    """Terminals that are time limits."""
    doubts: tuple[str, ...] = ()
    """Sentences, for people."""

    def as_json(self) -> dict[str, Any]:
        """For `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Findings":
        """Findings that were written as JSON."""
        values: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in found.items()}
        return cls(**values)


class Evidence:
    """Of a reader's rows, as they pass in order."""

    def __init__(self, reader: "Reader") -> None:
        rows = reader.rows
        self.reader = reader
        self.joined = np.zeros(rows, bool)
        """(N,) whether the next observation of a row is the next row's observation; False in the last row."""
        self.near_start = np.ones(rows, bool)
        """(N,) of the rows that follow no other: whether the observation is near the file's first."""
        self.fell = np.zeros(rows, bool)
        """(N,) of rows with a flag, or without a follower: whether the robot then has fallen."""
        self.stood = np.zeros(rows, bool)
        """(N,) of the same rows: whether it has not. Neither, where clipped velocities do not tell."""
        self.absurd: dict[str, tuple[float, str]] = {}
        """Of arrays with values that no robot reaches, the largest: its size, and where it is."""
        self.marked = reader.suite.marked(reader.recorded)
        """(N,) the ends that the file marks."""
        self._first: NDArray[np.float32] | None = None
        self._last: NDArray[np.float32] | None = None
        self._look("rewards", slice(0, rows), reader.rewards[:, None])

    def add(self, rows: slice, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """The next rows: observations and, where the file has them, next_observations."""
        observed, following = arrays["observations"], arrays.get("next_observations")
        self._look("observations", rows, observed)
        if following is None:
            return
        self._look("next_observations", rows, following)
        if self._first is None:
            self._first = observed[0].copy()
        coarser = self.reader.coarser
        joined = self.joined[rows]  # a view
        joined[:-1] = _same(following[:-1], observed[1:], coarser)
        if self._last is not None:
            self.joined[rows.start - 1] = _same(self._last, observed[:1], coarser)[0]
        self._last = following[-1:].copy()
        first = np.flatnonzero(~np.append(self.joined[rows.start - 1] if rows.start else False, joined[:-1]))
        self.near_start[rows.start + first] = (np.abs(observed[first] - self._first) <= NEAR_START).all(axis=1)
        task = self.reader.task
        if task is not None and task.fell is not None:
            # The last row's follower is not known yet.
            asked = np.flatnonzero(self.marked[rows] | ~joined)
            positions, velocities = np.split(following[asked], [task.observation_size // 2], axis=1)
            clipped = np.where(np.abs(velocities) < VELOCITY_LIMIT, velocities, np.inf)
            self.fell[rows.start + asked] = task.fell(positions, velocities)
            self.stood[rows.start + asked] = ~task.fell(positions, clipped)

    def _look(self, name: str, rows: slice, values: NDArray[np.float32]) -> None:
        largest = float(max(values.max(), -values.min()))
        if self.reader.task is None or largest <= max(BEYOND_ROBOTS, self.absurd.get(name, (0.0, ""))[0]):
            return
        sizes = np.abs(values)
        row, column = (int(i) for i in np.unravel_index(sizes.argmax(), sizes.shape))
        where = f"{rows.start + row}" if name == "rewards" else f"{rows.start + row}, {column}"
        typical = np.median(sizes[:, column])
        told = f"{name}[{where}] is {values[row, column]:g}, where the median size of that column is {typical:.3g}"
        self.absurd[name] = largest, told


def judge(evidence: Evidence, *, ends: Switch | None, trusted: bool) -> Findings:
    """What the rows that passed prove.

    `ends` is what the user says of them; of `trusted` files, whose published protocols split by the flags as they are,
    nothing is changed or refused. Raises InputError, with the cause, for rows that are not one recording after the
    other, for values that no physics reaches and for actions on another scale.
    """
    reader, scale = evidence.reader, evidence.reader.action_scale
    told = []
    for size, absurd in evidence.absurd.values():
        if size > BEYOND_PHYSICS and not trusted:
            raise InputError(
                f"{reader.path}: {absurd}; MuJoCo itself gives up beyond {BEYOND_PHYSICS:g}: drop that episode, or "
                "mend what recorded it"
            )
        told.append(f"{absurd}: no robot's state or reward gets there, and what is fitted follows it.")
    if not trusted:
        _refuse_other_scale(reader)
    if ends == "none":
        told.append(
            "Its rows are taken to be in no order (ends: none): each counts as an episode of its own, and what is said "
            "of lengths, returns and scores of the data means nothing."
        )
        return Findings("no order", ends, scale, doubts=tuple(told))
    if "next_observations" not in reader:
        if not trusted and ends is None:
            told.append(
                "Whether its episodes end where its flags say could not be checked: it has no next_observations."
            )
        return Findings("cannot be checked", ends, scale, doubts=tuple(told))
    marked = evidence.marked
    broken = np.flatnonzero(~marked & ~evidence.joined)
    broken = broken[broken < reader.rows - 1]
    inside = int((~marked[:-1]).sum())
    if trusted or ends is not None:
        if len(broken):
            told.append(
                f"In {_share(len(broken), inside)} of the rows inside episodes (row {broken[0]} first) the next "
                "observation is not the observation of the next row, so that ends may be missing; the flags are used "
                f"as they are, {'as published protocols use them' if trusted else 'as the config says (ends: flags)'}."
            )
        told += _flags_in_doubt(evidence, changed=False)
        return Findings("broken" if len(broken) else "holds", ends, scale, doubts=tuple(told))
    timeouts = reader.recorded.timeouts
    # Where no time limit is marked, ends may be many. After each the robot is where it was in the first row.
    restarted = (
        (timeouts is None or not timeouts.any())
        and 2 * len(broken) < inside
        and (~evidence.near_start[broken + 1]).sum() <= SEAMS * len(broken)
    )
    if _flags_shift(evidence, broken) or not (len(broken) < SEAMS * reader.rows or restarted):
        raise InputError(_refusal(evidence, broken, inside))
    ended, cut = _stops(evidence, broken, unmarked=timeouts is None or not marked.any())
    lost = cut[~evidence.near_start[cut + 1]]
    if len(lost) and (reader.task is None or not reader.task.maze):
        told.append(
            f"After {_share(len(lost), len(cut))} of the rows at which the recording stops (row {lost[0]} first) the "
            "next row is not the beginning of an episode: rows are missing there, and the steps and returns of what "
            "follows count from there."
        )
    told += _flags_in_doubt(evidence, changed=True)
    return Findings(
        "mended" if len(ended) or len(cut) else "holds",
        ends,
        scale,
        ended=tuple(ended.tolist()),
        fell=tuple(ended[evidence.fell[ended]].tolist()),
        cut=tuple(cut.tolist()),
        time_limits=tuple(_time_limits(evidence).tolist()),
        doubts=tuple(told),
    )


def _stops(
    evidence: Evidence, broken: NDArray[np.int64], *, unmarked: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of broken links, the rows that end an episode, and those at which it is cut short.

    A flag was forgotten where the robot fell, and where the piece is as long as the task's or the file's longest
    episode. Where ends are not marked at all, each is one after which the robot is back at its start, and the last row
    may be.
    """
    task, last = evidence.reader.task, evidence.reader.rows - 1
    found, nothing = np.zeros_like(evidence.marked), np.zeros_like(evidence.marked)
    found[broken] = True
    longest = returns.episodes(evidence.marked, found if unmarked else nothing, found).longest
    if unmarked and not evidence.marked[last]:
        broken = np.append(broken, last)
    lengths = returns.episodes(evidence.marked, found).steps()[broken] + 1
    whole = evidence.fell[broken] | (lengths == longest)
    if task is not None:
        whole |= lengths == task.episode_steps
    if task is not None and task.maze:
        whole |= broken < last
    elif unmarked:
        whole[broken < last] |= evidence.near_start[broken[broken < last] + 1] | (task is None)
    return broken[whole], broken[~whole & (broken < last)]


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / max(whole, 1):.2%})"


def _refuse_other_scale(reader: "Reader") -> None:
    entries = reader.rows * reader.action_size
    if 2 * reader.actions_beyond_scale <= entries:
        return
    raise InputError(
        f"{reader.path}: actions: {_share(reader.actions_beyond_scale, entries)} of the entries are beyond "
        f"{OTHER_SCALE:g}, the largest is {reader.largest_action:g}, but the task's actions lie in [-1, 1]: they are "
        "on another scale; give what they are to be divided by as `scale_actions` in the dataset's entry, or scale the "
        "file"
    )


def _at_limit(evidence: Evidence) -> NDArray[np.bool_]:
    """(N,) terminals in the very step of the time limit: D4RL's v0 files end a row before it."""
    reader = evidence.reader
    if reader.task is None or reader.task.fell is None:
        return np.zeros(reader.rows, bool)
    steps = returns.episodes(evidence.marked, np.zeros(reader.rows, bool)).steps() + 1
    limit = reader.task.episode_steps
    return reader.terminals & ((steps == limit) | (steps == limit - 1))


def _time_limits(evidence: Evidence) -> NDArray[np.int64]:
    """Rows whose terminal is the time limit: it was reached, and the robot had not fallen."""
    return np.flatnonzero(_at_limit(evidence) & evidence.stood)


def _flags_in_doubt(evidence: Evidence, *, changed: bool) -> list[str]:
    """What the flags say that the observations do not bear out; `changed`: and that is not mended."""
    told, marked = [], evidence.marked
    continued = np.flatnonzero((marked & evidence.joined)[:-1])
    if len(continued):
        told.append(
            f"{_share(len(continued), int(marked.sum()))} of the marked ends (row {continued[0]} first) are followed "
            "by their own next observation: the recording goes on there, and an end is marked all the same."
        )
    standing = np.flatnonzero(evidence.reader.terminals & evidence.stood & ~(changed & _at_limit(evidence)))
    terminals = int(evidence.reader.terminals.sum())
    # A state is rounded to float32, which may carry it over the rule's border; more than that is another rule.
    if len(standing) > terminals / 1000:
        told.append(
            f"In {_share(len(standing), terminals)} of the terminals (row {standing[0]} first) the robot has not "
            "fallen by the task's rule: the file is another task's, or something else ended those episodes."
        )
    return told


# What explains broken links ----------------------------------------------------------------------


def _flags_shift(evidence: Evidence, broken: NDArray[np.int64]) -> int:
    """By how many rows the flags stand too late (1) or too early (-1); 0 where they do not."""
    misplaced = evidence.marked & evidence.joined
    for shift in (1, -1):
        beside = broken[(broken + shift >= 0)] + shift
        if len(beside) > 1 and misplaced[beside].mean() > 0.9:
            return shift
    return 0


def _refusal(evidence: Evidence, broken: NDArray[np.int64], inside: int) -> str:
    found = _explanation(evidence, broken)
    switches = "Where the flags are right all the same, say `ends: flags` in the dataset's entry"
    if found.whole_rows:
        switches += "; methods that need no episodes (bc) take rows in any order with `ends: none`"
    return (
        f"{evidence.reader.path}: in {_share(len(broken), inside)} of the rows inside episodes, row {broken[0]} first, "
        f"next_observations[i] is not observations[i + 1]: {found.cause}. {found.cure}. {switches}"
    )


class _Explanation(NamedTuple):
    cause: str
    cure: str
    whole_rows: bool
    """Whether each row by itself is as it was recorded, as far as one knows."""


def _explanation(evidence: Evidence, broken: NDArray[np.int64]) -> _Explanation:
    shift = _flags_shift(evidence, broken)
    if shift:
        return _Explanation(
            "the flags stand in the first rows of the episodes, one row late"
            if shift > 0
            else "the flags stand one row before the last rows of the episodes",
            f"Shift terminals and timeouts {'up' if shift > 0 else 'down'} by a row, and look whether rewards and "
            "actions are shifted as well",
            whole_rows=False,
        )
    reader, first = evidence.reader, max(0, int(broken[0]) - 2 * len(_OFFSETS))
    rows = slice(first, min(first + 20 * len(_OFFSETS), reader.rows))
    observed, following = reader.values("observations", rows), reader.values("next_observations", rows)
    within = broken[broken < rows.stop] - first
    sample = within[np.linspace(0, len(within) - 1, min(len(within), _SAMPLE)).astype(int)]
    # One column tells at once which offsets are worth a look.
    places = sample[:, None] + np.array(_OFFSETS)
    inside = (places >= 0) & (places < len(observed))
    asked = np.broadcast_to(following[sample, :1], places.shape)[inside]
    alike = np.zeros(places.shape, bool)
    alike[inside] = _same(asked[:, None], observed[places[inside], :1], reader.coarser)
    found = {}
    for offset, within, likely in zip(_OFFSETS, inside.T, alike.sum(axis=0), strict=True):
        pairs = sample[within]
        if offset != 1 and len(pairs) > len(sample) / 2 and likely > 0.8 * len(pairs):
            found[offset] = _same(following[pairs], observed[pairs + offset], reader.coarser).mean()
    offset = max(found, key=lambda key: found[key], default=0)
    if found.get(offset, 0.0) > 0.8:
        pairs = sample[(sample + max(offset, 1) < len(observed))]
        apart = [np.median(np.abs(observed[pairs + k] - observed[pairs]).max(axis=1)) for k in (1, max(offset, 1))]
        if offset > 1 and apart[1] < apart[0]:
            return _Explanation(
                f"every row is followed {offset} rows later ({found[offset]:.0%} of those looked at): the rows of "
                f"{offset} environments alternate",
                "Store the rows of each environment together, for an array of N rows as "
                f"`x.reshape(N // {offset}, {offset}, -1).swapaxes(0, 1).reshape(x.shape)`",
                whole_rows=True,
            )
        return _Explanation(
            f"it is observations[i{f'{offset:+d}' if offset else ''}] ({found[offset]:.0%} of those looked at): one "
            "array is shifted against the other",
            "Store what came after each observation, and look whether rewards, actions and flags fit",
            whole_rows=False,
        )
    known = _occurring(reader, following[sample])
    if known > 0.5:
        return _Explanation(
            f"{known:.0%} of those looked at are the observations of other rows, in no order: the rows were shuffled",
            "Store them in the order in which they were recorded",
            whole_rows=True,
        )
    return _Explanation(
        f"{1 - known:.0%} of those looked at are the observation of no row: rows were left out, or observations and "
        "next_observations were changed differently",
        "Store every row, in the order in which they were recorded",
        whole_rows=True,
    )


def _occurring(reader: "Reader", following: NDArray[np.float32]) -> float:
    """The share of some next observations that occur, to the bit, among the observations."""
    wanted = {row.tobytes() for row in following}
    found: set[bytes] = set()
    for _, arrays in reader.chunks("observations"):
        observed = arrays["observations"]
        candidates = observed[np.isin(observed[:, 0], following[:, 0])]
        found |= wanted.intersection(row.tobytes() for row in candidates)
    return float(np.mean([row.tobytes() in found for row in following]))


def _same(some: NDArray[np.float32], others: NDArray[np.float32], coarser: np.dtype) -> NDArray[np.bool_]:
    """(n,) whether rows (n, d) are copies of each other, as far as the coarser type that they were stored in tells."""
    result = np.ones(len(some), bool)
    # As good as always there are none: whole rows are compared only where they are.
    differing = np.flatnonzero(some != others)
    if len(differing):
        rows = np.unique(differing // some.shape[1])
        a, b = some[rows], others[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # beyond float16, nothing is the same
            spacing = np.spacing(np.maximum(np.abs(a), np.abs(b)).astype(coarser)).astype(np.float32)
            result[rows] = (np.abs(a - b) <= SPACINGS * spacing).all(axis=1)
    return result
