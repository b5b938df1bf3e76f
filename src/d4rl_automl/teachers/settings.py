"""What the config says of a teacher."""

from typing import Literal

from d4rl_automl.settings.kinds import Datasets, Hyperparameters, Rows, TimeLimit
from d4rl_automl.settings.models import Flag, Model, Name

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
    hyperparameters: Hyperparameters = None
    datasets: Datasets = None
