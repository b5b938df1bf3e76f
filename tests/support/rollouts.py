"""Policies of files played as the rollout rule plays them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from d4rl_automl.evaluation.rollout import Play, rollout_file
from tests.support.policies import dataset_of


def play_file(handle: Path, output: Path, **changes: Any) -> pa.Table:
    play = Play(changes.pop("purpose", "report"), changes.pop("episodes", 5), output)
    play_files(handle, [play], **changes)
    return pq.read_table(output)


def play_files(handle: Path, plays: Sequence[Play], **changes: Any) -> None:
    settings: dict[str, Any] = {"simulator": "d4rl", "fractions": [0.3, 1.2], "seed": 0, "processes": 1} | changes
    rollout_file(handle, dataset_of(json.loads(handle.read_text())["task"]), plays, **settings)
