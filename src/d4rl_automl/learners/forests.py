"""Forests fitted to transitions or labels: one multi-output model for all action dimensions, written as policy."""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd
import xgboost
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import sha256, whole
from d4rl_automl.learners import curves, importance
from d4rl_automl.learners.progress import Progress
from d4rl_automl.policies import handle
from d4rl_automl.policies.formats import FORMATS
from d4rl_automl.settings.kinds import ForestSettings, MethodSettings
from d4rl_automl.tasks.outcomes import OutcomeRule


@dataclass(frozen=True)
class Samples:
    """What a forest is fitted to."""

    inputs: NDArray[np.float32]  # (N, k) observation, and outcome if there is one
    actions: NDArray[np.float32]  # (N, a), within [-1, 1]
    weights: NDArray[np.float64] | None = None  # (N,)

    @classmethod
    def of(
        cls,
        observations: NDArray[np.float32],
        outcome: NDArray[np.float32] | None,
        actions: NDArray[np.float32],
        weights: NDArray[np.float64] | None = None,
    ) -> "Samples":
        """Observation (N, d) and outcome (N, k) or None side by side."""
        inputs = observations if outcome is None else np.concatenate([observations, outcome], axis=1)
        return cls(inputs, actions, weights)


@dataclass(frozen=True)
class Forest:
    """A fitted forest."""

    format: str
    """As in a policy's handle: "xgboost" or "catboost"."""
    content: bytes
    """The model's file."""
    importance: NDArray[np.float64]  # (k,) shares of the inputs, which sum to 1
    curve: pd.DataFrame
    """One row per tree: update (its number), training_loss, validation_loss (NaN without validation rows): squared
    error, in action units."""
    seconds: float


def fit_xgboost(train: Samples, validation: Samples, settings: ForestSettings, *, seed: int, threads: int) -> Forest:
    """Fit by the (weighted) squared error in action units; every tree answers for all action dimensions.

    The importance of an input is the share of the loss reduction that the splits on it brought (XGBoost's total gain).
    Validation rows are for the curve alone, and there may be none. InputError if there are no training rows.
    """
    _refuse_empty(train)
    parameters = {
        "objective": "reg:squarederror",
        "multi_strategy": "multi_output_tree",
        "tree_method": "hist",
        "device": "cpu",
        "max_depth": settings.depth,
        "eta": settings.learning_rate,
        "seed": seed,
        "nthread": threads,
    }
    started = time.perf_counter()
    # The bins alone are kept, a quarter of the rows themselves.
    fitted = xgboost.QuantileDMatrix(train.inputs, train.actions, weight=train.weights, nthread=threads)
    watched = [(fitted, "training")]
    if len(validation.actions):
        held_out = xgboost.QuantileDMatrix(
            validation.inputs, validation.actions, weight=validation.weights, nthread=threads, ref=fitted
        )
        watched.append((held_out, "validation"))
    history: dict[str, dict[str, list[float]]] = {}
    model = xgboost.train(
        parameters,
        fitted,
        num_boost_round=settings.trees,
        evals=watched,
        evals_result=history,
        verbose_eval=False,
        callbacks=[_FollowXGBoost(settings.trees)],
    )
    seconds = time.perf_counter() - started
    gain: Mapping[str, Any] = model.get_score(importance_type="total_gain")
    shares = importance.shares([gain.get(f"f{i}", 0.0) for i in range(train.inputs.shape[1])])
    curve = _curve({name: np.square(rounds["rmse"]) for name, rounds in history.items()})
    return Forest("xgboost", bytes(model.save_raw("ubj")), shares, curve, seconds)


def fit_catboost(train: Samples, validation: Samples, settings: ForestSettings, *, seed: int, threads: int) -> Forest:
    """Fit by the squared error in action units (MultiRMSE); every tree answers for all action dimensions.

    The importance of an input is CatBoost's PredictionValuesChange, as a share. InputError as `fit_xgboost`.
    """
    _refuse_empty(train)
    if (train.inputs == train.inputs[0]).all():
        raise InputError(
            f"every input has one and the same value in all {len(train.inputs)} rows: there is nothing that CatBoost "
            "could split; fit to data whose states or outcomes differ"
        )
    model = catboost.CatBoost(
        {
            "loss_function": "MultiRMSE",
            "iterations": settings.trees,
            "depth": settings.depth,
            "learning_rate": settings.learning_rate,
            "random_seed": seed,
            "thread_count": threads,
            "allow_writing_files": False,
            # An action dimension that never changes.
            "allow_const_label": True,
            "use_best_model": False,
            "verbose": False,
        }
    )
    started = time.perf_counter()
    held_out = (validation.inputs, validation.actions) if len(validation.actions) else None
    dimensions = train.actions.shape[1]
    model.fit(train.inputs, train.actions, eval_set=held_out, callbacks=[_FollowCatBoost(settings.trees, dimensions)])
    seconds = time.perf_counter() - started
    names = {"learn": "training", "validation": "validation"}
    curve = _curve(
        {names[of]: _of_multi_rmse(loss["MultiRMSE"], dimensions) for of, loss in model.get_evals_result().items()}
    )
    shares = importance.shares(model.get_feature_importance())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.cbm")
        model.save_model(str(file))
        content = file.read_bytes()
    return Forest("catboost", content, shares, curve, seconds)


def write_policy(
    forest: Forest,
    output: str | Path,
    settings: MethodSettings,
    seed: int,
    *,
    dataset: Mapping[str, Any],
    outcome_rule: OutcomeRule,
    rows: int,
    **facts: Any,
) -> None:
    """Write a forest as policy: the handle `output`, and beside it the model, its curve and its inputs' importance.

    Arguments
        forest: what `fit_xgboost` or `fit_catboost` returned.
        output: {method}-s{seed}.json; its neighbours end in .ubj or .cbm, .curve.csv and .importance.csv.
        settings: the method's entry in the config.
        seed: the training seed.
        dataset: has `handle.DATASET_FACTS`, as the transitions table's metadata do.
        outcome_rule: by which the policy is conditioned.
        rows: it was fitted to.
        facts: what else its handle tells of the training.
    """
    output = Path(output)
    file = output.with_suffix(FORMATS[forest.format].ending)
    with whole(file) as part:
        part.write_bytes(forest.content)
    curves.write(output, forest.curve, "squared error", method=settings.name, seed=seed, dataset=dataset["dataset"])
    features = importance.feature_names(dataset["task"], outcome_rule.columns)
    importance.write(
        output.with_suffix(".importance.csv"),
        dataset=dataset["dataset"],
        model=settings.name,
        seed=seed,
        outputs={"all": dict(zip(features, forest.importance, strict=True))},
    )
    last = forest.curve.iloc[-1]
    handle.write_handle(
        output,
        handle.describe(settings, seed, dataset, outcome_rule)
        | {
            "format": forest.format,
            "file": file.name,
            "sha256": sha256(file),
            "training": {
                "settings": settings.shaping(),
                "rows": rows,
                "validation_loss": None if np.isnan(last.validation_loss) else float(last.validation_loss),
                "fit_seconds": round(forest.seconds, 3),
                **facts,
            },
        },
    )


class _Follow:
    """Logs how far a forest is: its losses after every twentieth of the trees, and after the last."""

    def __init__(self, trees: int) -> None:
        self._trees, self._progress = trees, Progress("tree", trees)

    def tell(self, trees: int, losses: Callable[[], Mapping[str, float]]) -> None:
        if trees % max(1, self._trees // 20) == 0 or trees == self._trees:
            self._progress.evaluated(trees, losses())
        else:
            self._progress.advance(trees)


class _FollowXGBoost(xgboost.callback.TrainingCallback):
    def __init__(self, trees: int) -> None:
        super().__init__()
        self._follow = _Follow(trees)

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        names = {"training": "loss", "validation": "validation"}
        self._follow.tell(epoch + 1, lambda: {names[of]: rounds["rmse"][-1] ** 2 for of, rounds in evals_log.items()})
        return False


class _FollowCatBoost:
    def __init__(self, trees: int, dimensions: int) -> None:
        self._follow, self._dimensions = _Follow(trees), dimensions

    def after_iteration(self, info: Any) -> bool:
        names = {"learn": "loss", "validation": "validation"}
        self._follow.tell(
            info.iteration,
            lambda: {
                names[of]: float(_of_multi_rmse(loss["MultiRMSE"][-1], self._dimensions))
                for of, loss in info.metrics.items()
            },
        )
        return True


def _of_multi_rmse(loss: ArrayLike, dimensions: int) -> NDArray[np.float64]:
    """The squared error: MultiRMSE is the root of the errors' sum over the dimensions."""
    return np.square(loss) / dimensions


def _curve(losses: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    """A forest's curve, from the losses (trees,) in training and, where rows were held out, in validation."""
    trees = len(losses["training"])
    nothing = np.full(trees, np.nan)
    columns = {f"{name}_loss": losses.get(name, nothing) for name in ("training", "validation")}
    return pd.DataFrame({"update": np.arange(1, trees + 1), **columns})


def _refuse_empty(train: Samples) -> None:
    if not len(train.actions):
        raise InputError("there are no training rows to fit a forest to; the split needs more finished episodes")
