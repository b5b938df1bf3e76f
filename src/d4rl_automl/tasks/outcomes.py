"""Outcome rules: what a policy is conditioned on, as read from recorded rows in training and commanded in play.

Importable without NumPy, since the plan asks which methods are commanded anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from d4rl_automl.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from d4rl_automl.tasks import Task


class VisitedPositions(Protocol):
    """Where the episodes of some rows came to, as `data.transitions.Visited` has it."""

    @property
    def positions(self) -> NDArray[np.float32]:
        """(M, k), of every row of these episodes, one episode after the other."""

    @property
    def at(self) -> NDArray[np.int64]:
        """(N,) which of them is each row's own."""

    @property
    def last(self) -> NDArray[np.int64]:
        """(N,) which of them is the last of each row's episode."""


class RecordedRows(Protocol):
    """What a rule reads of recorded transitions, as `data.transitions.Transitions` has it."""

    @property
    def rtg(self) -> NDArray[np.float32]:
        """(N,) average reward-to-go."""

    @property
    def steps(self) -> NDArray[np.int32]:
        """(N,) the step within the episode, from 0."""

    @property
    def visited(self) -> VisitedPositions | None:
        """Where the episodes came to; None in tasks without a goal."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Of the table; longest_episode is H, task the name of the task."""


class OutcomeRule(ABC):
    """How a policy is conditioned."""

    name: ClassVar[str]
    """As a policy's handle says it."""
    columns: ClassVar[tuple[str, ...]]
    """Names of the outcome's columns, in order."""
    of_return: ClassVar[bool] = False
    """Whether a fraction of the expert's return is commanded."""
    drawn: ClassVar[bool] = False
    """Whether recorded rows have an outcome by chance alone: drawn anew, it is another."""

    @property
    def width(self) -> int:
        """Columns of the outcome; 0 where there is none."""
        return len(self.columns)

    @abstractmethod
    def recorded(self, rows: RecordedRows, generator: np.random.Generator) -> NDArray[np.float32] | None:
        """The outcome (N, k) that a policy of this rule reads in recorded rows; None without an outcome."""

    def commanded(self, task: Task, fraction: float) -> float:
        """What is commanded at the start of an episode for a fraction of the expert's return.

        Raises ValueError where nothing of the kind is commanded.
        """
        raise ValueError(f"a policy whose outcome rule is {self.name!r} is commanded no return")

    def like_commanded(
        self,
        task: Task,
        fractions: Sequence[float],
        recorded: NDArray[np.float32],
        *,
        generator: np.random.Generator,
        count: int,
    ) -> NDArray[np.floating]:
        """Outcomes (count, k) spread over those that will be commanded, for the labels of a teacher.

        `fractions` are commanded, where returns are; `recorded` (N, k) is what the rows have that it was trained on.
        Raises ValueError for a rule that no teacher has.
        """
        raise ValueError(f"no teacher is conditioned by the outcome rule {self.name!r}")

    @abstractmethod
    def outcome(
        self, commanded: NDArray[np.float64], returns: NDArray[np.float64], step: int
    ) -> NDArray[np.floating] | None:
        """The outcome (n, k) at a step, from 0, of n episodes with these `returns` (n,) so far; None without one.

        `commanded` is what was commanded of them: a return (n, 1) where it is one (`of_return`), else their goals
        (n, g), of which there may be none.
        """


class Unconditional(OutcomeRule):
    """There is no outcome, and nothing is commanded."""

    name = "none"
    columns = ()

    def recorded(self, rows: RecordedRows, generator: np.random.Generator) -> None:
        """None."""

    def outcome(self, commanded: NDArray[np.float64], returns: NDArray[np.float64], step: int) -> None:
        """None."""


class HeldAverage(OutcomeRule):
    """The average reward-to-go, as RvS-R conditions on it: commanded once, the same at every step of the episode."""

    name = "constant"
    columns = ("rtg",)
    of_return = True

    def recorded(self, rows: RecordedRows, generator: np.random.Generator) -> NDArray[np.float32]:
        """(N, 1) the average reward-to-go."""
        return rows.rtg[:, None]

    def commanded(self, task: Task, fraction: float) -> float:
        """`Task.target`: per step, of an episode of full length."""
        return task.target(fraction)

    def like_commanded(
        self,
        task: Task,
        fractions: Sequence[float],
        recorded: NDArray[np.float32],
        *,
        generator: np.random.Generator,
        count: int,
    ) -> NDArray[np.float64]:
        """(count, 1) uniform from the least to the greatest of what is commanded and what is recorded."""
        asked = [
            *(self.commanded(task, fraction) for fraction in fractions),
            float(recorded.min()),
            float(recorded.max()),
        ]
        return generator.uniform(min(asked), max(asked), count)[:, None]

    def outcome(self, commanded: NDArray[np.float64], returns: NDArray[np.float64], step: int) -> NDArray[np.floating]:
        """(n, 1) what was commanded."""
        return commanded


class ReducedReturn(OutcomeRule):
    """The return itself, reduced by each reward of the episode so far, and the number of the step, from 0."""

    name = "reduced"
    columns = ("rtg", "step")
    of_return = True

    def recorded(self, rows: RecordedRows, generator: np.random.Generator) -> NDArray[np.float32]:
        """(N, 2) the undivided reward-to-go, which is the average times H - t, and the step t.

        In a goal-reaching task it is 1 where the average is positive, since no episode is paid more.
        """
        import numpy as np  # noqa: PLC0415  see this module's docstring

        left = rows.metadata["longest_episode"] - rows.steps
        undivided = rows.rtg * left.astype(np.float32) if rows.visited is None else rows.rtg > 0
        return np.column_stack([undivided, rows.steps]).astype(np.float32)

    def commanded(self, task: Task, fraction: float) -> float:
        """`Task.commanded_return`: undivided."""
        return task.commanded_return(fraction)

    def outcome(self, commanded: NDArray[np.float64], returns: NDArray[np.float64], step: int) -> NDArray[np.floating]:
        """(n, 2) what is left of the commanded return, and the step."""
        import numpy as np  # noqa: PLC0415  see this module's docstring

        return np.column_stack([commanded[:, 0] - returns, np.full(len(commanded), step)])


class HeldGoal(OutcomeRule):
    """A goal: in training a position that the episode came to later, in play the task's own, held."""

    name = "goal"
    columns = ("goal_x", "goal_y")
    drawn = True

    def recorded(self, rows: RecordedRows, generator: np.random.Generator) -> NDArray[np.float32]:
        """(N, 2) one of the positions of the row's episode from the row itself on, each as likely as the others.

        Raises InputError for rows of a task without a goal.
        """
        if rows.visited is None:
            raise InputError(f"{rows.metadata['task']} has no goal, and what its episodes visited cannot be one")
        visited = rows.visited
        return visited.positions[generator.integers(visited.at, visited.last, endpoint=True)]

    def like_commanded(
        self,
        task: Task,
        fractions: Sequence[float],
        recorded: NDArray[np.float32],
        *,
        generator: np.random.Generator,
        count: int,
    ) -> NDArray[np.float64]:
        """(count, 2) goals as the task draws them."""
        assert task.goal is not None, f"{task.name} has no goal"
        return task.goal.draw([generator] * count)

    def outcome(self, commanded: NDArray[np.float64], returns: NDArray[np.float64], step: int) -> NDArray[np.floating]:
        """(n, 2) the goals of the episodes."""
        return commanded


NONE, AVERAGE, REDUCED, GOAL = Unconditional(), HeldAverage(), ReducedReturn(), HeldGoal()
RULES: dict[str, OutcomeRule] = {rule.name: rule for rule in (NONE, AVERAGE, REDUCED, GOAL)}
"""Every rule, by its name."""


def get(name: str) -> OutcomeRule:
    """The rule of this name; raises InputError for an unknown one."""
    try:
        return RULES[name]
    except KeyError:
        raise InputError(f"outcome_rule is {name!r}; expected one of {', '.join(RULES)}") from None
