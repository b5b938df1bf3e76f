"""Which states of an episode a film shows, and for how long."""

import math
from dataclasses import dataclass

MOST = 120
"""Frames of a film."""
_SHORTEST, _LONGEST = 0.04, 0.08
"""Seconds that a frame is shown: below, players falter; above, a gait is no longer seen."""
_TOO_SHORT = 2.0
"""Seconds of an episode that is shown more slowly than it was."""
_SLOWER = (0.5, 0.25)
_SLOWEST = 0.1
"""Seconds that a single step is shown at most."""


@dataclass(frozen=True)
class Timing:
    """When which states are shown."""

    steps: tuple[int, ...]
    """Numbers of the states shown, ascending: the first 0, the last that at the end."""
    milliseconds: int
    """That each is shown for."""
    speed: float
    """Simulated seconds in a second of the film."""
    cut: int | None
    """The frame before which steps are left out; None where the episode is shown from end to end."""

    @property
    def told(self) -> str:
        """The speed, as players of films have it."""
        return f"{self.speed:g}× speed"


def timing(length: int, seconds: float, *, way: bool) -> Timing:
    """The timing of an episode of `length` steps that took `seconds` each.

    Where it is the `way` that counts, a long episode is shown whole, faster than it was. Else it is shown at true
    speed, so that a gait is seen: only its start and its end if there is more than `MOST` frames show.
    """
    every = math.ceil(length / (MOST - 1))
    if way and every * seconds > _SHORTEST:
        speed = float(max(1, round(every * seconds / _LONGEST)))
        return Timing(_from(0, length, every), round(1000 * every * seconds / speed), speed, None)
    speed = 1.0
    for slower in _SLOWER:
        if length * seconds / speed < _TOO_SHORT and seconds / slower <= _SLOWEST:
            speed = slower
    every = max(every, math.ceil(_SHORTEST * speed / seconds - 1e-9))
    most = max(1, math.floor(_LONGEST / seconds))
    if every <= most:
        return Timing(_from(0, length, every), round(1000 * every * seconds / speed), speed, None)
    half = MOST // 2
    first = tuple(range(0, half * most, most))
    last = tuple(range(length - (half - 1) * most, length + 1, most))
    return Timing(first + last, round(1000 * most * seconds), 1.0, half)


def _from(first: int, last: int, every: int) -> tuple[int, ...]:
    steps = tuple(range(first, last, every))
    return (*steps, last)
