"""The teacher itself as a policy: a handle that points at its deployed directories, or at one ONNX graph of them."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from d4rl_automl.core import directories, tables
from d4rl_automl.core.files import sha256
from d4rl_automl.data.transitions import read
from d4rl_automl.policies import handle
from d4rl_automl.tasks.outcomes import AVERAGE
from d4rl_automl.teachers.features import TRAINING_FILE

CHECKED_ROWS = 2000
"""Test rows at most on which an exported graph is compared with AutoGluon."""

log = logging.getLogger(__name__)


def fit(
    *,
    transitions: str,
    settings: dict[str, Any],
    seed: int,
    device: str,
    threads: int,
    output: str,
    teacher: dict[str, Any],
    deployed: list[str],
) -> None:
    """Write the handle. Arguments as in `d4rl_automl.methods`; nothing is fitted any more.

    `teacher` is the teacher's entry of the config, `deployed` are its directories for acting, in the
    order of the action dimensions. Their SHA-256 goes into the handle. The handle's fit_seconds are the
    sum over the dimensions, and so are its teacher_seconds, what the teacher of distilled directories took.

    With the setting `export` the policy is an ONNX file beside the handle (`autogluon_export`), compared with
    AutoGluon on `CHECKED_ROWS` test rows; InputError where the predictors are not networks.
    """
    dataset = tables.read_parquet_metadata(transitions, handle.DATASET_FACTS)
    trainings = [json.loads((Path(directory) / TRAINING_FILE).read_text()) for directory in deployed]
    metadata = handle.describe(settings, seed, dataset, AVERAGE)
    training = {"settings": settings, "teacher": teacher, "rows": trainings[0]["train_rows"]}
    played = {
        "directories": [Path(os.path.relpath(directory, Path(output).parent)).as_posix() for directory in deployed],
        "directory_sha256": [directories.recorded(directory) for directory in deployed],
        "chain": teacher["chain"],
    }
    if settings.get("export"):
        # Here, because AutoGluon takes seconds to import and a handle that only points at directories does without.
        from d4rl_automl.policies.autogluon import Predictors  # noqa: PLC0415
        from d4rl_automl.teachers import export  # noqa: PLC0415

        file = Path(output).with_suffix(".onnx")
        metadata |= {"format": "onnx", "training": {**training, **played}}
        rows = read(transitions, splits=("test",), limit=CHECKED_ROWS, seed=0)
        predictors = Predictors(deployed, teacher["chain"], threads)
        difference = export.export(predictors, file, metadata, rows.observations, rows.rtg[:, None])
        metadata |= {"file": file.name, "sha256": sha256(file)}
        metadata["training"] |= {"largest_difference": difference, "checked_rows": len(rows.rtg)}
        log.info("%s: differs from AutoGluon by at most %.1e on %d test rows", file, difference, len(rows.rtg))
    else:
        metadata |= {"format": "autogluon", **played, "training": training}
    metadata["training"] |= {
        "fit_seconds": round(sum(training["fit_seconds"] for training in trainings), 3),
        "teacher_seconds": round(sum(training.get("teacher_seconds", 0) for training in trainings), 3),
    }
    handle.write_handle(output, metadata)
