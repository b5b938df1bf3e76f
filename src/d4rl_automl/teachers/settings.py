"""What the config says of a teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from d4rl_automl import tasks
from d4rl_automl.settings.kinds import Datasets, Hyperparameters, Rows, TimeLimit
from d4rl_automl.settings.models import Flag, Integer, Model, Name
from d4rl_automl.tasks.outcomes import AVERAGE, GOAL, OutcomeRule, RecordedRows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OUTCOME, GOAL_OUTCOME = AVERAGE, GOAL
"""What teachers, and all that learn from them, are conditioned on: in tasks without a goal, and in those with one."""


def outcome_for(task: str) -> OutcomeRule:
    """What a teacher is conditioned on in a task."""
    return OUTCOME if tasks.get(task).goal is None else GOAL_OUTCOME


def recorded(rows: RecordedRows, generator: np.random.Generator) -> NDArray[np.float32]:
    """The outcomes (N, k) of recorded rows, as a teacher is conditioned; those that are drawn, by the generator."""
    outcome = outcome_for(rows.metadata["task"]).recorded(rows, generator)
    assert outcome is not None, "a teacher is conditioned on an outcome"
    return outcome


HELD_OUT = ("validation", "test")
"""Splits without which there is no teacher: models are chosen on the one, and their loss is reported on the other."""


def _refuse_extreme(preset: Any) -> Any:
    if preset == "extreme":
        raise PydanticCustomError(
            "extreme",
            "medium, good, high or best; extreme begins with pre-trained models (Nori, TabICL, TabDPT), whose packages "
            "are not installed and whose weights AutoGluon takes from the Hugging Face hub: nothing here pins or "
            "checks them. Its other models, GBM, CAT and REALMLP, can be named in hyperparameters",
        )
    return preset


class TeacherSettings(Model):
    """AutoGluon, one predictor per action dimension."""

    name: Name
    preset: Annotated[Literal["medium", "good", "high", "best"], BeforeValidator(_refuse_extreme)]
    """AutoGluon's quality preset, without its forests (RF, XT), which are fitted where `hyperparameters` name them."""
    rows: Rows = 100_000
    time_limit: TimeLimit = 600
    threads: Annotated[Integer, Field(ge=1)] = 4
    """Processor threads of a training job. threads × time_limit is the budget of an action dimension: a job that is
    given fewer threads, as with --cores 2, gets so much more time."""
    chain: Flag = True
    """Earlier action dimensions are inputs to the later ones."""
    goal_draws: Annotated[Integer, Field(ge=1)] = 4
    """Goals that are drawn for each transition, of the positions that its episode came to later: so many times as many
    rows. Of no effect in tasks without a goal."""
    hyperparameters: Hyperparameters = None
    datasets: Datasets = None

    @property
    def budget(self) -> float:
        """Core seconds per action dimension."""
        return self.threads * self.time_limit

    def seconds(self, threads: int, time_limit: float | None = None) -> float:
        """What `time_limit` (by default the teacher's own) comes to in a job of so many `threads`."""
        limit = self.time_limit if time_limit is None else time_limit
        return limit * max(1.0, self.threads / threads)
