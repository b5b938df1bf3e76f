"""What a teacher looks at: AutoGluon's permutation importance on held-out transitions."""

import logging
from collections.abc import Sequence
from pathlib import Path

from d4rl_automl.data.transitions import read
from d4rl_automl.learners import importance
from d4rl_automl.policies.autogluon import Predictors
from d4rl_automl.teachers import training
from d4rl_automl.teachers.facts import taught_by
from d4rl_automl.teachers.settings import outcome_for

ROWS = 1_000
"""Test rows at most. Each feature's turn asks the predictor for as many answers, `SHUFFLES` times."""

SHUFFLES = 3
"""Permutations of each feature; the growth of the error is their mean."""

log = logging.getLogger(__name__)


def measure(
    *,
    transitions: str | Path,
    deployed: Sequence[str | Path],
    seed: int,
    threads: int,
    output: str | Path,
) -> None:
    """Shuffle one feature after another, and see how much the error of each action dimension grows.

    Arguments
        transitions: transitions.parquet; its test rows are used, the earlier action dimensions of a chain as recorded.
        deployed: the teacher's deployed directories, in the order of the action dimensions.
        seed: the teacher's training seed.
        threads: threads the predictors may use.
        output: the table (`importance.write`), of the shares of the growth of the root mean squared error.
    """
    test = read(transitions, splits=("test",), limit=ROWS, seed=0)
    teacher = taught_by(deployed[0])
    predictors = Predictors(deployed, outcome_for(test.metadata["task"]), teacher.chain, threads)
    outputs = {}
    for dimension, predictor in enumerate(predictors.predictors):
        frame = training.frame(test, dimension, teacher.chain)
        features = [name for name in frame.columns if name != training.TARGET]
        if not predictor.feature_metadata_in.get_features():
            # None of its features ever changed, and it has none left to shuffle.
            outputs[f"ac{dimension}"] = dict.fromkeys(features, 0.0)
            continue
        with predictors.limited():
            growth = predictor.feature_importance(
                frame, subsample_size=None, num_shuffle_sets=SHUFFLES, include_confidence_band=False, silent=True
            )["importance"]
        # A feature that the predictor does not use is not in AutoGluon's table.
        share = importance.shares(growth.reindex(features, fill_value=0.0))
        outputs[f"ac{dimension}"] = dict(zip(features, share, strict=True))
        log.info("ac%d:\n%s", dimension, growth.to_string())
    importance.write(output, dataset=test.metadata["dataset"], model=teacher.name, seed=seed, outputs=outputs)
