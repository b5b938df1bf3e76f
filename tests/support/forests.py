"""Forests as policies, of XGBoost and of CatBoost."""

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import xgboost

from d4rl_automl.core.files import sha256
from d4rl_automl.policies.formats import FORMATS
from d4rl_automl.policies.handle import write_handle
from d4rl_automl.tasks import outcomes
from tests.support.policies import metadata_of

ENDINGS = {name: FORMATS[name].ending for name in ("xgboost", "catboost")}


def write_forest(
    folder: Path, library: str, outcome_rule: str = "constant", inputs: int | None = None, outputs: int = 3
) -> tuple[Path, Any]:
    """A forest of 20 trees and its handle; returns the handle's path and the model."""
    generator = np.random.default_rng(0)
    rows = generator.normal(0, 1, (1000, inputs or 11 + outcomes.get(outcome_rule).width)).astype(np.float32)
    # Beyond the bounds here and there.
    actions = 2 * np.tanh(rows[:, :outputs])
    file = folder / f"tiny-s3{ENDINGS[library]}"
    model: Any
    if library == "xgboost":
        settings = {"multi_strategy": "multi_output_tree", "nthread": 2}
        model = xgboost.train(settings, xgboost.DMatrix(rows, actions), 20)
    else:
        settings = {
            "loss_function": "MultiRMSE",
            "iterations": 20,
            "learning_rate": 0.5,
            "allow_writing_files": False,
            "verbose": False,
        }
        model = catboost.CatBoost(settings).fit(rows, actions, verbose=False)
    model.save_model(str(file))
    handle = folder / "tiny-s3.json"
    facts = {"format": library, "file": file.name, "sha256": sha256(file)}
    write_handle(handle, metadata_of(outcome_rule=outcome_rule) | facts)
    return handle, model
