"""What stands in a teacher's directories, and the table that its predictors read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from d4rl_automl.core import directories, tables
from d4rl_automl.teachers.settings import TeacherSettings

TRAINING_FILE = "training.json"
"""In a predictor's directories: fit_seconds (wall time) and train_rows of that dimension, and of `teacher` the config's
settings."""


def features(
    observations: NDArray[np.float32], outcome: NDArray[np.float32], actions: NDArray[np.float32]
) -> pd.DataFrame:
    """Float32 columns ob0…, rtg, ac0….

    `observations` (N, d), `outcome` (N, 1) average reward-to-go, `actions` (N, k) of the earlier
    dimensions, where k may be 0.
    """
    names = [f"ob{i}" for i in range(observations.shape[1])] + ["rtg"] + [f"ac{i}" for i in range(actions.shape[1])]
    return pd.DataFrame(np.concatenate([observations, outcome, actions], axis=1, dtype=np.float32), columns=names)


def training_of(directory: str | Path) -> dict[str, Any]:
    """What `TRAINING_FILE` says in a predictor's directory.

    Raises InputError where the directory is not as it was recorded: to delete that file alone would mend nothing.
    """
    directories.check(directory)
    return tables.read_json(Path(directory) / TRAINING_FILE, ("fit_seconds", "train_rows", "teacher"))


def taught_by(directory: str | Path) -> TeacherSettings:
    """The settings of the teacher that a directory is of, or was distilled from. InputError as `training_of`."""
    return TeacherSettings.model_validate(training_of(directory)["teacher"])
