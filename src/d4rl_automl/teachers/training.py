"""The teacher: AutoGluon predictors, one per action dimension.

Each predictor regresses y = atanh(0.995 a) (`action_transform`) on the observation, the outcome
(`settings.outcome_for`) and, in a chain, the earlier action dimensions.
"""

import json
import logging
import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from autogluon.core.metrics import make_scorer
from autogluon.tabular import TabularPredictor
from autogluon.tabular.configs.hyperparameter_configs import get_hyperparameter_config
from autogluon.tabular.configs.presets_configs import tabular_presets_dict
from autogluon.tabular.registry import ag_model_registry
from numpy.typing import NDArray

from d4rl_automl.core import directories, doubts, files
from d4rl_automl.core.device import Device, resolve
from d4rl_automl.core.errors import InputError, MachineError, machine_error
from d4rl_automl.data.transitions import Transitions, read
from d4rl_automl.policies import action_transform
from d4rl_automl.policies.features import features
from d4rl_automl.settings.kinds import FASTER_ON_GPU
from d4rl_automl.teachers import turns
from d4rl_automl.teachers.facts import TRAINING_FILE
from d4rl_automl.teachers.settings import TeacherSettings, outcome_for, recorded

TARGET = "target"
"""Column of the transformed action."""

VALIDATION_SHARE = 0.1
"""Validation rows at most, as a share of `rows`: every epoch of a network and every ensemble weight reads them."""

TEST_ROWS = 50_000
"""Test rows at most: enough for the loss to three digits, and every model of the leaderboard predicts them."""

EXCLUDED_MODELS = ("KNN", "FASTAI", "RF", "XT")
"""Of the presets' models. KNN is slow to predict and has about three times the error of the others on these data;
fastai is not installed; forests take longer to fit than all others together, past their limit, are slow to play, and
got no weight where they were tried (docs/methods.md)."""

MOVED = 16
"""Of `as_numbers`: some in every fold of a bagging preset, and too few for a tree to tell them apart by."""

_NOTHING_TRAINED = "No models were trained"
_NO_TIME_LEFT = "Not enough time left to train models"
FOLD = "fold"
"""Column of the training rows that says on which side of a bagging preset's folds they are."""

FOLDS = 8
"""Of a bagging preset: as many as AutoGluon takes from 80 rows on."""

REFIT = 1.2
"""Folds whose time is kept for the models that a preset fits anew to all rows: as AutoGluon reckons it elsewhere."""

log = logging.getLogger(__name__)


def train_dimension(
    *,
    transitions: str | Path,
    dimension: int,
    settings: TeacherSettings,
    seed: int,
    device: str,
    threads: int,
    predictor: str | Path,
    deployed: str | Path,
    metrics: str | Path,
    leaderboard: str | Path,
) -> None:
    """Fit one action dimension with AutoGluon.

    Arguments
        transitions: transitions.parquet.
        dimension: the action dimension, from 0.
        settings: the teacher's entry of the config; of `rows` training rows are drawn with `seed`, and of goals
            `goal_draws` for each.
        seed: of the drawn rows and goals, the folds and every model that has a seed.
        device: cpu, auto or cuda.
        predictor: output, the trained directory, and beside it its SHA-256 (`directories.record`).
        deployed: output, a copy of it with no more than the best model needs to predict, and its SHA-256.
        threads: of this job. The fit has `settings.seconds(threads)`, the same budget whatever the threads.
        metrics: output, CSV with one row. mse and rmse are in action units, on test
            episodes, with the recorded earlier actions; fit_seconds is wall time; budget is in core seconds; doubts
            are sentences, such as which family of models was left out, and why.
        leaderboard: output, AutoGluon's CSV of every model, scored on test episodes:
            score_* is minus the RMSE of the transformed action, rmse_action is in action units; family and status as
            `turns.tried`.

    Validation episodes choose models and ensemble weights. A bagging preset (good, high,
    best) cross-validates within the training rows besides, in folds of whole episodes.

    Raises InputError where no model could be fitted, for want of time or for what AutoGluon
    says, the dimension does not exist, or the hyperparameters name a model that AutoGluon does
    not have; MachineError where a model failed for want of disk or memory.
    """
    hardware = resolve(device)
    train, validation = training_data(transitions, dimension, settings, seed)
    test = test_rows(transitions)
    test_frame = frame(test, dimension, settings.chain)
    preset = _preset(settings)
    bagged = preset["auto_stack"]
    hyperparameters: Mapping[str, Any] = settings.hyperparameters or preset_hyperparameters(settings.preset)
    hyperparameters = placed(suited(with_seed(hyperparameters, seed), train), device, hardware)
    limit = settings.seconds(threads)
    folds = train[FOLD].nunique() if bagged else 0
    watched = turns.Turns()

    with (
        files.whole(predictor) as predictor_part,
        files.whole(deployed) as deployed_part,
        files.whole(metrics) as metrics_part,
        files.whole(leaderboard) as leaderboard_part,
    ):
        fitted = TabularPredictor(
            TARGET,
            problem_type="regression",
            path=str(predictor_part),
            groups=FOLD if bagged else None,
            learner_kwargs={"random_state": seed},
        )
        started = time.perf_counter()
        try:
            fitted.fit(
                train,
                tuning_data=validation,
                use_bag_holdout=bagged,
                presets=f"{settings.preset}_quality",
                hyperparameters=turns.shared(hyperparameters, bagged),
                # One process: ray's workers would escape the threads that the rule was given.
                ag_args_ensemble={"fold_fitting_strategy": "sequential_local"},
                time_limit=limit * folds / (folds + REFIT) if preset.get("refit_full") else limit,
                num_cpus=threads,
                num_gpus=hardware.num_gpus,
                callbacks=[watched],
            )
        except (AssertionError, RuntimeError) as error:
            whose = f"teacher {settings.name!r}"
            if _NO_TIME_LEFT in str(error):
                raise _too_short(whose, settings.time_limit, len(train)) from None
            if _NOTHING_TRAINED not in str(error):
                raise
            # As on its own threads.
            seconds = (time.perf_counter() - started) * settings.time_limit / limit
            raise nothing_fitted(whose, fitted, settings.time_limit, seconds=seconds, rows=len(train)) from None
        ended = time.perf_counter()
        fit_seconds = ended - started
        refuse_gaps(fitted)
        failures = fitted.model_failures()
        doubtful = turns.doubts(watched.taken, hyperparameters, failures, budget=_told(settings, threads))
        doubtful += turns.over(watched.taken, seconds=fit_seconds, limit=limit, refit=ended - watched.ended)
        doubts.tell(doubts.of_teacher(test.metadata["dataset"], settings.name, seed, dimension), doubtful)

        board = fitted.leaderboard(test_frame, extra_metrics=[_rmse_action])
        # Scorers count upwards; an error is easier to read as it is.
        board["rmse_action"] = -board["rmse_action"]
        turns.tried(board, watched.taken, failures).to_csv(leaderboard_part, index=False)

        # The board has predicted the test rows with every model; a large ensemble takes a while to do it again.
        rmse = float(board.set_index("model").loc[fitted.model_best, "rmse_action"])
        row = {
            "dataset": test.metadata["dataset"],
            "teacher": settings.name,
            "seed": seed,
            "dimension": dimension,
            "preset": settings.preset,
            "chain": settings.chain,
            "device": hardware.name,
            "threads": threads,
            "budget": settings.budget,
            "train_rows": len(train),
            "fit_seconds": round(fit_seconds, 3),
            "best_model": fitted.model_best,
            "mse": rmse**2,
            "rmse": rmse,
            "doubts": " ".join(f"{doubt}." for doubt in doubtful),
        }
        pd.DataFrame([row]).to_csv(metrics_part, index=False)
        training = {"fit_seconds": row["fit_seconds"], "train_rows": len(train), "teacher": settings.shaping()}
        deploy(fitted, deployed_part, fitted.model_best, training)
        shutil.copy(deployed_part / TRAINING_FILE, predictor_part)
        log.info("%s", row)
    directories.record(predictor)
    directories.record(deployed)


def deploy(predictor: TabularPredictor, path: str | Path, model: str, training: Mapping[str, Any]) -> None:
    """Copy to `path` what `model` needs to predict, with the facts of its `training` as `TRAINING_FILE`."""
    predictor.clone_for_deployment(str(path), model=model)
    (Path(path) / TRAINING_FILE).write_text(json.dumps(training) + "\n", encoding="utf-8")


def test_rows(path: str | Path) -> Transitions:
    """The rows that a loss is reported on, up to `TEST_ROWS`: the same for every training seed."""
    return read(path, splits=("test",), limit=TEST_ROWS, seed=0)


def training_data(
    path: str | Path, dimension: int, settings: TeacherSettings, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation rows of one dimension, as the settings of the teacher draw them, and their goals.

    Of a bagging preset the training rows have the column `FOLD`. Raises InputError for a dimension that the dataset
    does not have, and where such a preset finds fewer than two episodes.
    """
    rows = settings.rows
    limit = None if rows is None else max(1, round(rows * VALIDATION_SHARE))
    train = read(path, splits=("train",), limit=rows, seed=seed)
    validation = read(path, splits=("validation",), limit=limit, seed=seed)
    size = train.actions.shape[1]
    if dimension not in range(size):
        raise InputError(f"{path}: dimension: found {dimension}; the dataset has the action dimensions 0 to {size - 1}")
    made = [
        frame(part, dimension, settings.chain, seed=seed, draws=settings.goal_draws) for part in (train, validation)
    ]
    rows_of_training = as_numbers(made[0])
    if _preset(settings)["auto_stack"]:
        numbers = np.unique(train.episodes)
        if len(numbers) < 2:
            raise InputError(
                f"{path}: teacher {settings.name!r}: preset: found {settings.preset!r}, which cross-validates between "
                f"episodes, for rows of {len(numbers)} training episode; take preset medium, or more rows"
            )
        times = len(rows_of_training) // len(train.episodes)
        rows_of_training[FOLD] = np.tile(folds_of(train.episodes, seed), times)
    return rows_of_training, made[1]


def folds_of(episodes: NDArray[np.int32], seed: int) -> NDArray[np.int64]:
    """The fold (N,) of each row by its episode (N,): `FOLDS` of about as many rows, or fewer, one for each episode.

    The largest episode first, each goes to the fold with the fewest rows; the seed decides between equals.
    """
    _, own, sizes = np.unique(episodes, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(sizes))
    filled = np.zeros(min(FOLDS, len(sizes)), np.int64)
    fold = np.empty(len(sizes), np.int64)
    for episode in order[np.argsort(-sizes[order], kind="stable")]:
        fold[episode] = np.argmin(filled)
        filled[fold[episode]] += sizes[episode]
    return fold[own]


def frame(data: Transitions, dimension: int, chain: bool, *, seed: int = 0, draws: int = 1) -> pd.DataFrame:
    """Features ob0…, the outcome's and, in a chain, ac0…ac{dimension-1} (float32), and the target (float64).

    Where the outcome is drawn, by `seed` and alike for every dimension, all rows come `draws` times.
    """
    rule, generator = outcome_for(data.metadata["task"]), np.random.default_rng(seed)
    target, earlier = action_transform.forward(data.actions[:, dimension]), data.actions[:, : dimension * chain]
    parts = [
        features(data.observations, recorded(data, generator), earlier, rule).assign(**{TARGET: target})
        for _ in range(draws if rule.drawn else 1)
    ]
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def as_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """A `frame` without features of two values: in about `MOVED` rows one of them is moved by its last digit.

    AutoGluon, and its networks again, take two values for two categories, and any other number for neither or for the
    first: the actions that the teacher of a bang-bang policy chooses before, and outcomes that are commanded.
    """
    for name in table.columns.drop(TARGET):
        column = table[name].to_numpy(copy=True)
        # Nearly all have more, which a few rows tell.
        values = np.unique(column[:1000])
        if len(values) > 2 or len(values := np.unique(column)) != 2:
            continue
        usual, other = values if np.mean(column == values[0]) >= 0.5 else values[::-1]
        rows = np.flatnonzero(column == usual)
        column[rows[1 :: max(2, len(rows) // MOVED)]] = np.nextafter(usual, other)
        table[name] = column
    return table


def _preset(settings: TeacherSettings) -> Mapping[str, Any]:
    """AutoGluon's arguments of a teacher's preset; auto_stack is whether it bags."""
    return tabular_presets_dict[f"{settings.preset}_quality"]


def _told(settings: TeacherSettings, threads: int) -> str:
    return f"{settings.seconds(threads):.0f} s on {threads} thread{'s' * (threads > 1)}"


def preset_hyperparameters(preset: str) -> dict[str, Any]:
    """The models of a preset (medium, good, high, best) and their hyperparameters, as AutoGluon has them.

    `EXCLUDED_MODELS` are not among them.
    """
    models = get_hyperparameter_config(tabular_presets_dict[f"{preset}_quality"].get("hyperparameters", "default"))
    return {name: entries for name, entries in models.items() if name not in EXCLUDED_MODELS}


def with_seed(hyperparameters: Mapping[str, Any], seed: int, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A copy with the model's own seed parameter in every entry: AutoGluon has no seed for all models.

    A seed that an entry already has is kept. `extra` goes into every entry.
    """
    classes = ag_model_registry.key_to_cls_map()
    result = {}
    for name, entries in hyperparameters.items():
        if name not in classes:
            raise InputError(f"hyperparameters: found the model {name!r}; allowed: {', '.join(sorted(classes))}")
        seed_name = classes[name].seed_name
        common = {**(extra or {}), **({seed_name: seed} if seed_name else {})}
        result[name] = [{**common, **entry} for entry in (entries if isinstance(entries, list) else [entries])]
    return result


def suited(hyperparameters: Mapping[str, list[dict[str, Any]]], train: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Hyperparameters, as `with_seed` gives them, that fit the training rows.

    Where the target or every feature has one value, a constant is all that there is to learn, and several of
    AutoGluon's models fail: its constant model alone is fitted then. A network whose batches were larger than
    the rows that it is fitted to, all or those of the folds but one, would see none of them: it gets batches of that
    size. The log tells both.
    """
    features = train.drop(columns=[TARGET, FOLD], errors="ignore").to_numpy()
    least_rows = len(train) - (train[FOLD].value_counts().max() if FOLD in train else 0)
    if train[TARGET].nunique() == 1 or (features == features[0]).all():
        log.warning(
            "the action or all that it could depend on never changes in %d rows: a constant is fitted", len(train)
        )
        # AutoGluon drops features of one value, and has no model without a feature.
        return {"DUMMY": [{"ag_args_fit": {"drop_unique": False}}]}
    result = {}
    for name, entries in hyperparameters.items():
        result[name] = [dict(entry) for entry in entries]
        for entry in result[name]:
            size = entry.get("batch_size")
            if name == "NN_TORCH" and isinstance(size, int) and size > least_rows:
                log.warning("%s: batch_size: found %d for %d rows: it is %d", name, size, len(train), least_rows)
                entry["batch_size"] = least_rows
    return result


def placed(
    hyperparameters: Mapping[str, list[dict[str, Any]]], device: str, hardware: Device
) -> dict[str, list[dict[str, Any]]]:
    """Hyperparameters, as `with_seed` gives them, that say how many GPUs each model gets.

    With `device` auto only those that are faster on one; an entry's own number is kept. `hardware` is what `device`
    was resolved to.
    """
    result = {}
    for name, entries in hyperparameters.items():
        gpus = hardware.num_gpus if device == "cuda" or name in FASTER_ON_GPU else 0
        result[name] = [
            {**entry, "ag_args_fit": {"num_gpus": gpus, **entry.get("ag_args_fit", {})}} for entry in entries
        ]
    return result


def nothing_fitted(
    whose: str,
    predictor: TabularPredictor,
    time_limit: float,
    *,
    seconds: float,
    rows: int,
    before: Collection[str] = (),
) -> InputError:
    """The error for a fit that left no model, with the cause where AutoGluon tells it.

    `whose`: the teacher or method; `seconds`: what the fit took; `before`: models that had failed in an earlier fit of
    this predictor. Raises MachineError where a model failed for want of disk or memory.
    """
    refuse_gaps(predictor)
    failures = [failure for failure in predictor.model_failures().itertuples() if failure.model not in before]
    # What it skips because the time is up is no failure to AutoGluon.
    if {failure.exc_type for failure in failures} <= turns.OUT_OF_TIME and (failures or seconds > 0.9 * time_limit):
        return _too_short(whose, time_limit, rows)
    if not failures:
        return InputError(
            f"{whose}: AutoGluon fitted no model to {rows} rows after {seconds:.0f} of {time_limit} s, and names no "
            "failure; its lines in the log say what it skipped"
        )
    told = ", ".join(f"{failure.model} ({failure.exc_type}: {str(failure.exc_str)[:200]})" for failure in failures)
    return InputError(
        f"{whose}: AutoGluon could fit no model to {rows} rows: {told}; mend what it says, its log has the whole, or "
        "give hyperparameters of other models"
    )


def _too_short(whose: str, time_limit: float, rows: int) -> InputError:
    return InputError(
        f"{whose}: time_limit: found {time_limit} s, which is too short to fit any model to {rows} rows; raise "
        "time_limit, lower the teacher's rows, or give hyperparameters that cap the models"
    )


def refuse_gaps(predictor: TabularPredictor) -> None:
    """Raise MachineError if a model failed for want of disk or memory: AutoGluon would do without it.

    A model that AutoGluon did not begin, because it expects the memory not to suffice, is in its log.
    """
    for failure in predictor.model_failures().itertuples():
        kind = MemoryError if failure.exc_type in ("MemoryError", "_ArrayMemoryError") else RuntimeError
        error = machine_error(kind(failure.exc_str))
        if error is not None:
            raise MachineError(f"model {failure.model}: {error}")


def _rmse_in_action_units(target: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    error = action_transform.backward(np.asarray(target)) - action_transform.backward(np.asarray(predicted))
    return float(np.sqrt(np.mean(error**2)))


_rmse_action = make_scorer("rmse_action", _rmse_in_action_units, optimum=0, greater_is_better=False)
