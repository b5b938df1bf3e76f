"""What a teacher loses on held-out episodes when it acts."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from d4rl_automl.core import files
from d4rl_automl.policies.autogluon import Predictors
from d4rl_automl.teachers.facts import taught_by
from d4rl_automl.teachers.settings import outcome_for, recorded
from d4rl_automl.teachers.training import test_rows

PREDICTION_ROWS = 10_000
"""Rows of predictions.parquet at most."""

log = logging.getLogger(__name__)


def evaluate(
    *,
    transitions: str | Path,
    deployed: Sequence[str | Path],
    metrics_in: Sequence[str | Path],
    threads: int,
    metrics: str | Path,
    predictions: str | Path,
) -> None:
    """Merge the metrics of every dimension, and measure the teacher as it acts.

    Arguments
        deployed: the deployed directories, in the order of the action dimensions.
        metrics_in: the metrics of `train_dimension`, in the same order.
        metrics: output, CSV of `metrics_in` with acting_mse and acting_rmse: on the same test
            rows, in action units, with the teacher's own earlier actions.
        predictions: output, Parquet of float32 columns ac0… (recorded) and predicted_ac0…
            (as acting), up to `PREDICTION_ROWS` test rows, the same for every training seed.
    """
    test = test_rows(transitions)
    predictors = Predictors(deployed, outcome_for(test.metadata["task"]), taught_by(deployed[0]).chain, threads)
    predicted = predictors.act(test.observations, recorded(test, np.random.default_rng(0)))

    acting_mse = np.mean((predicted.astype(np.float64) - test.actions) ** 2, axis=0)
    table = pd.concat([pd.read_csv(path) for path in metrics_in], ignore_index=True)
    table = table.assign(acting_mse=acting_mse, acting_rmse=np.sqrt(acting_mse))
    log.info("\n%s", table.to_string())

    count = len(predicted)
    rows = np.sort(np.random.default_rng(0).permutation(count)[:PREDICTION_ROWS])
    columns = {f"ac{i}": test.actions[rows, i] for i in range(len(deployed))}
    columns |= {f"predicted_ac{i}": predicted[rows, i] for i in range(len(deployed))}
    with files.whole(metrics) as metrics_part, files.whole(predictions) as predictions_part:
        table.to_csv(metrics_part, index=False)
        pd.DataFrame(columns).to_parquet(predictions_part, index=False, write_page_checksum=True)
