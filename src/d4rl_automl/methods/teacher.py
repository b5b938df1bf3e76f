"""The teacher itself as a policy: a handle that points at its deployed directories."""

import json
import os
from pathlib import Path
from typing import Any

from d4rl_automl import policy, tables, tasks
from d4rl_automl.features import TRAINING_FILE
from d4rl_automl.files import sha256


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
    """
    dataset = tables.read_parquet_metadata(transitions, ("dataset", "task", "sha256"))
    task = tasks.get(dataset["task"])
    trainings = [json.loads((Path(directory) / TRAINING_FILE).read_text()) for directory in deployed]
    policy.write_handle(
        output,
        {
            "method": settings["name"],
            "kind": settings["kind"],
            "seed": seed,
            "dataset": dataset["dataset"],
            "task": task.name,
            "dataset_sha256": dataset["sha256"],
            "outcome_rule": "constant",
            "observation_size": task.observation_size,
            "action_size": task.action_size,
            "format": "autogluon",
            "directories": [Path(os.path.relpath(directory, Path(output).parent)).as_posix() for directory in deployed],
            "directory_sha256": [sha256(directory) for directory in deployed],
            "chain": teacher["chain"],
            "training": {
                "settings": settings,
                "teacher": teacher,
                "rows": trainings[0]["train_rows"],
                "fit_seconds": round(sum(training["fit_seconds"] for training in trainings), 3),
                "teacher_seconds": round(sum(training.get("teacher_seconds", 0) for training in trainings), 3),
            },
        },
    )
