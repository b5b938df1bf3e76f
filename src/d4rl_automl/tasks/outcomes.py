"""Outcome rules: what a policy is conditioned on, as read from recorded rows in training and commanded in play.

Importable without NumPy, since the plan asks which methods are commanded anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from d4rl_automl.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from d4rl_automl.tasks import Task


class RecordedRows(Protocol):
    """What a rule reads of recorded transitions, as `data.transitions.Transitions` has it."""

    @property
    def rtg(self) -> NDArray[np.float32]:
        """(N,) average reward-to-go."""

    @property
    def steps(self) -> NDArray[np.int32]:
        """(N,) the step within the episode, from 0."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Of the table; longest_episode is H."""


class OutcomeRule(ABC):
    """How a policy is conditioned."""

    name: ClassVar[str]
    """As a policy's handle says it."""
    columns: ClassVar[tuple[str, ...]]
    """Names of the outcome's columns, in order."""

    @property
    def width(self) -> int:
        """Columns of the outcome; 0 where there is none."""
        return len(self.columns)

    @property
    def conditional(self) -> bool:
        """Whether there is anything to command."""
        return self.width > 0

    @abstractmethod
    def recorded(self, rows: RecordedRows) -> NDArray[np.float32] | None:
        """The outcome (N, k) that a policy of this rule reads in recorded rows; None without an outcome."""

    @abstractmethod
    def commanded(self, task: Task, fraction: float) -> float:
        """What is commanded at the start of an episode for a fraction of the expert's return."""

    @abstractmethod
    def outcome(
        self, commanded: NDArray[np.float64], returns: NDArray[np.float64], step: int
    ) -> NDArray[np.floating] | None:
        """The outcome (n, k) at a step, from 0, of n episodes with these `returns` (n,) so far; None without one."""


class Unconditional(OutcomeRule):
    """There is no outcome, and nothing is commanded."""

    name = "none"
    columns = ()

    def recorded(self, rows: RecordedRows) -> None:
        """None."""

    def commanded(self, task: Task, fraction: float) -> float:
        """Raises ValueError."""
        raise ValueError("an unconditional policy is commanded nothing")

    def outcome(self, commanded: NDArray[np.float64], returns: NDArray[np.float64], step: int) -> None:
        """None."""


class HeldAverage(OutcomeRule):
    """The average reward-to-go, as RvS-R conditions on it: commanded once, the same at every step of the episode."""

    name = "constant"
    columns = ("rtg",)

    def recorded(self, rows: RecordedRows) -> NDArray[np.float32]:
        """(N, 1) the average reward-to-go."""
        return rows.rtg[:, None]

    def commanded(self, task: Task, fraction: float) -> float:
        """`Task.target`: per step, of an episode of full length."""
        return task.target(fraction)

    def outcome(self, commanded: NDArray[np.float64], returns: NDArray[np.float64], step: int) -> NDArray[np.floating]:
        """(n, 1) what was commanded."""
        return commanded[:, None]


class ReducedReturn(OutcomeRule):
    """The return itself, reduced by each reward of the episode so far, and the number of the step, from 0."""

    name = "reduced"
    columns = ("rtg", "step")

    def recorded(self, rows: RecordedRows) -> NDArray[np.float32]:
        """(N, 2) the undivided reward-to-go, which is the average times H - t, and the step t."""
        import numpy as np  # noqa: PLC0415  see this module's docstring

        left = rows.metadata["longest_episode"] - rows.steps
        return np.column_stack([rows.rtg * left.astype(np.float32), rows.steps]).astype(np.float32)

    def commanded(self, task: Task, fraction: float) -> float:
        """`Task.commanded_return`: undivided."""
        return task.commanded_return(fraction)

    def outcome(self, commanded: NDArray[np.float64], returns: NDArray[np.float64], step: int) -> NDArray[np.floating]:
        """(n, 2) what is left of the commanded return, and the step."""
        import numpy as np  # noqa: PLC0415  see this module's docstring

        return np.column_stack([commanded - returns, np.full(len(commanded), step)])


NONE, AVERAGE, REDUCED = Unconditional(), HeldAverage(), ReducedReturn()
RULES: dict[str, OutcomeRule] = {rule.name: rule for rule in (NONE, AVERAGE, REDUCED)}
"""Every rule, by its name."""


def get(name: str) -> OutcomeRule:
    """The rule of this name; raises InputError for an unknown one."""
    try:
        return RULES[name]
    except KeyError:
        raise InputError(f"outcome_rule is {name!r}; expected one of {', '.join(RULES)}") from None
