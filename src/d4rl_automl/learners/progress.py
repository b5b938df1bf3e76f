"""How far a fit is: lines in the job's log, each with the time that it will still take."""

import logging
import time
from collections import deque
from collections.abc import Mapping

from tqdm import tqdm

SECONDS = 30.0
"""A fit that evaluates less often tells in between how far it is."""

RECENT = 10
"""The time that is left is reckoned from the speed since this many lines ago: it follows a machine that gets busy."""

log = logging.getLogger(__name__)


class Progress:
    """Tells of a fit of `total` steps, from the first one that it is told of, whatever was made or prepared before.

    A line with losses carries them in its log record, as `losses` (name to value) of step `step`, for a handler that
    draws curves. Nothing here waits for a GPU: between evaluations the steps are counted as they are handed to it, some
    hundreds before it makes them.
    """

    def __init__(self, what: str, total: int) -> None:
        """`what` is a step's name."""
        self._what, self._total = what, total
        self._lines: deque[tuple[float, int]] = deque(maxlen=RECENT)

    def advance(self, done: int) -> None:
        """Log a line if the last one is `SECONDS` old. It costs a look at the clock."""
        if not self._lines:
            self._begin(done)
        elif time.perf_counter() - self._lines[-1][0] >= SECONDS:
            log.info("%s", self._line(done))

    def evaluated(self, done: int, losses: Mapping[str, float]) -> None:
        """Log a line with the losses, each with its name."""
        _tell(self._line(done), done, losses)

    def recall(self, done: int, losses: Mapping[str, float]) -> None:
        """The same of an evaluation of an earlier process, whose log is no more."""
        _tell(f"{self._what} {done}/{self._total}, earlier", done, losses)

    def _begin(self, done: int) -> None:
        self._began = time.perf_counter()
        self._lines.append((self._began, done))

    def _line(self, done: int) -> str:
        if not self._lines:
            self._begin(done)
        now = time.perf_counter()
        since, first = self._lines[0]
        self._lines.append((now, done))
        line = f"{self._what} {done}/{self._total}, {tqdm.format_interval(now - self._began)}"
        if not first < done < self._total:
            return line
        left = (now - since) / (done - first) * (self._total - done)
        return f"{line}, {tqdm.format_interval(left)} left"


def _tell(line: str, done: int, losses: Mapping[str, float]) -> None:
    told = ", ".join(f"{name} {value:.5f}" for name, value in losses.items())
    log.info("%s: %s", line, told, extra={"losses": dict(losses), "step": done})
