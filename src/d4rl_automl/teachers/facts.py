"""What the directories of a teacher's predictors say of how they were trained."""

from pathlib import Path
from typing import Any

from d4rl_automl.core import directories, tables
from d4rl_automl.teachers.settings import TeacherSettings

TRAINING_FILE = "training.json"
"""In a predictor's directories: fit_seconds (wall time) and train_rows of that dimension; teacher, the settings of its
teacher; and, where it was distilled, teacher_seconds, the fit_seconds of what it was distilled from."""


def training_of(directory: str | Path) -> dict[str, Any]:
    """What `TRAINING_FILE` says in a predictor's directory.

    Raises InputError where the directory is not as it was recorded: to delete that file alone would mend nothing.
    """
    directories.check(directory)
    return tables.read_json(Path(directory) / TRAINING_FILE, ("fit_seconds", "train_rows", "teacher"))


def taught_by(directory: str | Path) -> TeacherSettings:
    """The settings of the teacher that a directory is of, or was distilled from. InputError as `training_of`."""
    return TeacherSettings.model_validate(training_of(directory)["teacher"])
