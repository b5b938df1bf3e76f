"""Episodes and rewards-to-go of a sequence of recorded transitions.

    row          0  1  2  3 | 4  5 | 6  7        (N = 8)
    terminated   0  0  0  0 | 0  1 | 0  0        failure: the robot fell
    truncated    0  0  0  1 | 0  0 | 0  0        time limit
    episode      0  0  0  0 | 1  1 | 2  2        2 is unfinished: the recording stopped
    step t       0  1  2  3 | 0  1 | 0  1

H, the longest finished episode, is 4 here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Episodes:
    """Where the episodes of a recording lie. Unfinished are the last one, where no end follows, and any cut short."""

    starts: NDArray[np.int64]  # (E,) first row of each episode
    lengths: NDArray[np.int64]  # (E,) rows
    finished: NDArray[np.bool_]  # (E,)

    @property
    def longest(self) -> int:
        """H: rows of the longest finished episode; 0 when none is finished."""
        return int(self.lengths[self.finished].max(initial=0))

    def index(self) -> NDArray[np.int32]:
        """(N,) the episode each row belongs to, from 0."""
        return np.repeat(np.arange(len(self.lengths), dtype=np.int32), self.lengths)

    def steps(self) -> NDArray[np.int32]:
        """(N,) the time step of each row within its episode, from 0."""
        rows = np.arange(self.lengths.sum(), dtype=np.int32)
        return rows - np.repeat(self.starts.astype(np.int32), self.lengths)


def episodes(terminated: ArrayLike, truncated: ArrayLike, cut: ArrayLike | None = None) -> Episodes:
    """The episodes of N rows, from Gymnasium's two flags (N,), either of which ends an episode.

    D4RL calls them `terminals` and `timeouts`. After the rows of `cut` (N,) the recording stops in the midst of an
    episode, as after the last row where that has no flag. Raises ValueError unless all are (N,).
    """
    ended = np.asarray(terminated, bool)
    other = np.asarray(truncated, bool)
    if ended.ndim != 1 or ended.shape != other.shape:
        raise ValueError(f"terminated {ended.shape} and truncated {other.shape} must both be (N,)")
    ended = ended | other
    stops = ended.copy() if cut is None else ended | np.asarray(cut, bool)
    stops[-1:] = True
    last = np.flatnonzero(stops)
    starts = np.concatenate([np.zeros(min(len(ended), 1), np.int64), last[:-1] + 1])
    return Episodes(starts=starts, lengths=last + 1 - starts, finished=ended[last])


def reward_to_go(
    rewards: ArrayLike, terminated: ArrayLike, truncated: ArrayLike, average: bool = True
) -> NDArray[np.float64]:
    """Undiscounted reward-to-go of each row, (N,) float64; by default averaged over the steps left.

    RTG is the sum of rewards from t to the end of the episode. The average is
    RTG / (H - t), H the longest finished episode of all N rows: what RvS conditions on
    (`dataset.py` in scottemmons/rvs@90c0ffb). An unfinished episode may outlast H: its
    rows with H - t <= 0 are NaN.

    Arguments are (N,): rewards of any real dtype, summed in float64, and Gymnasium's
    flags. Raises ValueError when their shapes differ.

    >>> from d4rl_automl import reward_to_go
    >>> rewards, terminated, truncated = [1, 2, 3, 4], [0, 1, 0, 0], [0, 0, 0, 1]
    >>> reward_to_go(rewards, terminated, truncated, average=False)
    array([3., 2., 7., 4.])
    >>> reward_to_go(rewards, terminated, truncated)
    array([1.5, 2. , 3.5, 4. ])
    """
    return of_episodes(rewards, episodes(terminated, truncated), average)


def of_episodes(rewards: ArrayLike, where: Episodes, average: bool = True) -> NDArray[np.float64]:
    """`reward_to_go` of the rows (N,) of known episodes."""
    summands = np.asarray(rewards, np.float64)
    if summands.shape != (int(where.lengths.sum()),):
        raise ValueError(f"rewards {summands.shape} and the flags of {int(where.lengths.sum())} rows must both be (N,)")
    # One cumulative sum per episode: a single one over all rows would cancel digits.
    result = np.empty_like(summands)
    for start, end in zip(where.starts, where.starts + where.lengths, strict=True):
        result[start:end] = np.cumsum(summands[start:end][::-1])[::-1]
    if average:
        left = where.longest - where.steps()
        result = np.divide(result, left, out=np.full_like(result, np.nan), where=left > 0)
    return result
