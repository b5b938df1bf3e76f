"""A transitions table whose actions are a known function of state and outcome, for the tests of what learns from it."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

EPISODES, LENGTH = 20, 200


def actions(observations: NDArray[np.float32], outcomes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hopper's three actions: two smooth functions of the state, and the outcome by itself."""
    first, second = np.sin(2 * observations[:, 0]), np.tanh(observations[:, 1] - observations[:, 2])
    return np.column_stack([first, second, outcomes / 2 - 1]).clip(-1, 1).astype(np.float32)


def write_transitions(path: Path, seed: int = 0, episodes: int = EPISODES) -> Path:
    """Of every 5 episodes 3 to train on, 1 each for validation and test; outcomes in [0, 2]."""
    generator = np.random.default_rng(seed)
    rows = episodes * LENGTH
    observations = generator.standard_normal((rows, 11)).astype(np.float32)
    outcomes = generator.uniform(0, 2, rows).astype(np.float32)
    numbers, steps = np.divmod(np.arange(rows, dtype=np.int32), np.int32(LENGTH))
    columns = {f"ob{i}": column for i, column in enumerate(observations.T)}
    columns |= {f"ac{i}": column for i, column in enumerate(actions(observations, outcomes).T)}
    columns |= {"rtg": outcomes, "reward": outcomes, "episode": numbers, "step": steps}
    columns |= {"terminated": steps == LENGTH - 1, "truncated": np.zeros(rows, bool)}
    split = np.repeat(["train", "validation", "test"], np.array([3, 1, 1]) * episodes // 5 * LENGTH)
    table = pa.table({**columns, "split": pa.array(split).dictionary_encode()})
    metadata = {
        "dataset": "hopper-known",
        "provider": "file",
        "task": "hopper",
        "sha256": "ab" * 32,
        "longest_episode": LENGTH,
        "transitions": rows,
        "episodes": episodes,
    }
    pq.write_table(table.replace_schema_metadata({b"d4rl_automl": json.dumps(metadata).encode()}), path)
    return path
