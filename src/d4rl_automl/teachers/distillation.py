"""AutoGluon's own distillation of a teacher, one action dimension at a time."""

import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from autogluon.tabular import TabularPredictor

from d4rl_automl.core import directories, files
from d4rl_automl.core.device import resolve
from d4rl_automl.teachers import training as teacher
from d4rl_automl.teachers import turns
from d4rl_automl.teachers.facts import training_of
from d4rl_automl.teachers.settings import TeacherSettings

if TYPE_CHECKING:
    from d4rl_automl.methods.autogluon_student import Settings

DISTILLED: dict[str, Any] = {
    "NN_TORCH": {
        "num_epochs": 15,
        "batch_size": 2048,
        "hidden_size": 256,
        "num_layers": 3,
        "learning_rate": 1e-3,
        "dropout_prob": 0.0,
    }
}
"""The student unless the method names another: one small network."""

log = logging.getLogger(__name__)


def distill_dimension(
    *,
    transitions: str | Path,
    predictor: str | Path,
    dimension: int,
    settings: "Settings",
    seed: int,
    device: str,
    threads: int,
    output: str | Path,
) -> None:
    """Distil one trained dimension into a single model with AutoGluon's `distill`.

    Arguments
        predictor: the trained directory; it is copied, because `distill` writes into it.
        settings: the method's entry of the config; its hyperparameters are AutoGluon's, of NN_TORCH, GBM, CAT and
            RF, or else `DISTILLED`.
        output: output, the directory for acting with the best student, and beside it its SHA-256.

    The student sees the teacher's training rows and AutoGluon's augmentation of them
    (spunge), which the teacher labels. Raises InputError where no model could be fitted, for want of time or for what
    AutoGluon says, and where `predictor` is not as it was trained.
    """
    taught = training_of(predictor)
    hardware = resolve(device)
    settings_of_teacher = TeacherSettings.model_validate(taught["teacher"])
    train, validation = teacher.training_data(transitions, dimension, settings_of_teacher, seed)
    # `distill` has no argument for the resources.
    resources = {"ag_args_fit": {"num_cpus": threads}}
    hyperparameters = teacher.with_seed(settings.hyperparameters or DISTILLED, seed, resources)
    limit = settings_of_teacher.seconds(threads, settings.time_limit)
    # What AutoGluon adds to the rows only makes them more.
    hyperparameters = teacher.placed(teacher.suited(hyperparameters, train), device, hardware)
    # Beside the output: a trained directory can be larger than the machine's temporary folder.
    # Its name is of the kind that `whole` deletes when a killed process has left it.
    folder, suffix = Path(output).parent, f".part.{Path(output).name}"
    with files.whole(output) as part, tempfile.TemporaryDirectory(suffix, ".", folder) as directory:
        copy = Path(directory) / "predictor"
        shutil.copytree(predictor, copy)
        student = TabularPredictor.load(str(copy), verbosity=2)
        before = {failure.model for failure in student.model_failures().itertuples()}
        # The augmentation draws from NumPy's global generator.
        np.random.seed(seed)  # noqa: NPY002
        started = time.perf_counter()
        names = student.distill(
            train, tuning_data=validation, time_limit=limit, hyperparameters=turns.shared(hyperparameters, bagged=False)
        )
        seconds = time.perf_counter() - started
        teacher.refuse_gaps(student)
        if not names:
            raise teacher.nothing_fitted(
                f"method {settings.name!r}",
                student,
                settings.time_limit,
                seconds=seconds * settings.time_limit / limit,
                rows=len(train),
                before=before,
            )
        board = student.leaderboard().set_index("model")
        log.info("\n%s", board.to_string())
        if seconds > turns.OVER * limit:
            times = board.loc[names, "fit_time_marginal"]
            log.warning("took %.0f s of %.0f s: %s took %.0f s", seconds, limit, times.idxmax(), times.max())
        training = {
            "fit_seconds": round(seconds, 3),
            "train_rows": len(train),
            "teacher": taught["teacher"],
            "teacher_seconds": taught["fit_seconds"],
        }
        teacher.deploy(student, part, board.loc[names, "score_val"].idxmax(), training)
    directories.record(output)
