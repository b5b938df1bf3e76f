"""Predictors as a policy: a handle that points at their directories, or at one ONNX graph of them."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from d4rl_automl.core import directories, tables
from d4rl_automl.core.files import sha256
from d4rl_automl.data.transitions import read
from d4rl_automl.policies import handle
from d4rl_automl.settings.kinds import MethodSettings
from d4rl_automl.teachers.facts import training_of
from d4rl_automl.teachers.settings import outcome_for, recorded

CHECKED_ROWS = 2000
"""Test rows at most on which an exported graph is compared with AutoGluon."""

log = logging.getLogger(__name__)


def make_policy(
    deployed: Sequence[str | Path],
    settings: MethodSettings,
    seed: int,
    *,
    transitions: str | Path,
    threads: int,
    output: str | Path,
) -> None:
    """Write the handle of a teacher, or of its distilled predictors.

    Arguments
        deployed: the directories for acting, in the order of the action dimensions. Their SHA-256 goes into the
            handle. Its fit_seconds are the sum over the dimensions, and so are its teacher_seconds, what the teacher of
            distilled directories took.
        settings: the method's entry of the config. Where it is `exported` the policy is an ONNX file beside the handle
            (`teachers.export`), compared with AutoGluon on `CHECKED_ROWS` test rows.
        seed: the training seed.
        transitions: the dataset's transitions table.
        output: the handle, {method}-s{seed}.json.

    Raises InputError where what is exported is no network, and where a directory is not as it was recorded.
    """
    dataset = tables.read_parquet_metadata(transitions, handle.DATASET_FACTS)
    trainings = [training_of(directory) for directory in deployed]
    teacher = trainings[0]["teacher"]
    metadata = handle.describe(settings, seed, dataset, outcome_for(dataset["task"]))
    training = {"settings": settings.shaping(), "teacher": teacher, "rows": trainings[0]["train_rows"]}
    played = {
        "directories": [Path(os.path.relpath(directory, Path(output).parent)).as_posix() for directory in deployed],
        "directory_sha256": [directories.recorded(directory) for directory in deployed],
        "chain": teacher["chain"],
    }
    if settings.exported:
        metadata |= {"format": "onnx", "training": {**training, **played}}
        metadata |= _export(
            deployed, teacher["chain"], metadata, transitions=transitions, threads=threads, output=Path(output)
        )
    else:
        metadata |= {"format": "autogluon", **played, "training": training}
    metadata["training"] |= {
        "fit_seconds": round(sum(training["fit_seconds"] for training in trainings), 3),
        "teacher_seconds": round(sum(training.get("teacher_seconds", 0) for training in trainings), 3),
    }
    handle.write_handle(output, metadata)


def _export(
    deployed: Sequence[str | Path],
    chain: bool,
    metadata: dict[str, Any],
    *,
    transitions: str | Path,
    threads: int,
    output: Path,
) -> dict[str, Any]:
    """Write the graph, and return what the handle says of it."""
    # Here, because AutoGluon takes seconds to import and a handle that only points at directories does without.
    from d4rl_automl.policies.autogluon import Predictors  # noqa: PLC0415
    from d4rl_automl.teachers import export  # noqa: PLC0415

    file = output.with_suffix(".onnx")
    rows = read(transitions, splits=("test",), limit=CHECKED_ROWS, seed=0)
    predictors = Predictors(deployed, outcome_for(metadata["task"]), chain, threads)
    outcomes = recorded(rows, np.random.default_rng(0))
    difference = export.export(predictors, file, metadata, rows.observations, outcomes)
    log.info("%s: differs from AutoGluon by at most %.1e on %d test rows", file, difference, len(rows.rtg))
    training = metadata["training"] | {"largest_difference": difference, "checked_rows": len(rows.rtg)}
    return {"file": file.name, "sha256": sha256(file), "training": training}
