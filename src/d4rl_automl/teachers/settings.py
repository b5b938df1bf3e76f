"""What the config says of a teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

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


class TeacherSettings(Model):
    """AutoGluon, one predictor per action dimension."""

    name: Name
    preset: Literal["medium", "good", "high", "best"]
    """AutoGluon's quality preset."""
    rows: Rows = 100_000
    time_limit: TimeLimit = 600
    chain: Flag = True
    """Earlier action dimensions are inputs to the later ones."""
    goal_draws: Annotated[Integer, Field(ge=1)] = 4
    """Goals that are drawn for each transition, of the positions that its episode came to later: so many times as many
    rows. Of no effect in tasks without a goal."""
    hyperparameters: Hyperparameters = None
    datasets: Datasets = None
