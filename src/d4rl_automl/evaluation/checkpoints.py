"""A policy at points of its fit, played with few episodes: is its end the best of it?"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from d4rl_automl.core import parquet, tables
from d4rl_automl.evaluation.rollout import rollout
from d4rl_automl.evaluation.targets import chosen_fractions
from d4rl_automl.policies.loading import read_metadata

log = logging.getLogger(__name__)


def play(
    policies: Sequence[str | Path],
    target: str | Path,
    *,
    simulator: str,
    episodes: int,
    seed: int,
    processes: int,
    output: str | Path,
) -> None:
    """Play ONNX files of `snapshots.Snapshots`, of one policy, and write Parquet: `tables.CHECKPOINT_COLUMNS`.

    `target`: JSON of `targets.choose_file`; all are commanded the fraction that was chosen for the policy itself. All
    meet the same initial states, which are neither those that it was chosen on nor those that are reported. The
    others as `rollout` has them. The metadata (key `d4rl_automl`) have the task, and which weights are kept.

    Raises InputError as `rollout`, and for a target of another dataset, simulator or method.
    """
    parts = []
    for path in policies:
        policy = read_metadata(path)
        fraction = chosen_fractions([target], policy["dataset"], simulator, [policy["method"]])[policy["method"]]
        played = rollout(
            path,
            [] if fraction is None else [fraction],
            episodes=episodes,
            seed=seed,
            simulator=simulator,
            purpose="checkpoints",
            processes=processes,
        )
        update = policy["training"]["update"]
        log.info("update %d: mean normalised score %.1f", update, np.mean(played["normalised_score"]))
        played = played.append_column("update", pa.array([update] * played.num_rows, pa.int64()))
        parts.append(played.select(tables.CHECKPOINT_COLUMNS))
    facts = {"task": policy["task"], "keeps": policy["training"]["keeps"], "rollout_seed": seed}
    parquet.write(pa.concat_tables(parts), output, facts)
