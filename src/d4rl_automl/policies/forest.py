"""Forests as policies, played by the library that made them: one model for all action dimensions."""

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import xgboost
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.handle import read_file


class TreePolicy(Policy):
    """A forest reads observation and outcome side by side; what it does for a row does not depend on the other rows."""

    def _check(self, features: int, source: Path) -> None:
        """Raises InputError, naming `source`, for a model of other sizes than its metadata tell."""
        expected = self.metadata["observation_size"] + self.outcome_rule.width
        if features != expected:
            raise InputError(f"{source}: the forest has {features} inputs, its metadata tell {expected}; fit it again")
        actions = self._forest(np.zeros((2, expected), np.float32)).shape
        if actions != (2, self.metadata["action_size"]):
            raise InputError(
                f"{source}: the forest answers {actions[1:]} for a row, its metadata tell "
                f"{self.metadata['action_size']} action dimensions; fit it again"
            )

    def predict(self, observations: NDArray[np.float32], outcome: NDArray[np.float32] | None) -> NDArray[np.floating]:
        return self._forest(observations if outcome is None else np.concatenate((observations, outcome), axis=1))

    def _forest(self, rows: NDArray[np.float32]) -> NDArray[np.floating]:
        """Actions (N, a) for inputs (N, k)."""
        raise NotImplementedError


class XGBoostPolicy(TreePolicy):
    """A model of XGBoost in its binary JSON format (.ubj)."""

    def __init__(self, path: Path, metadata: dict[str, Any], threads: int) -> None:
        """As `loading.Loader`; InputError for what XGBoost cannot load or has other sizes than the metadata."""
        super().__init__(metadata)
        source, content = read_file(path, metadata)
        self._model = xgboost.Booster({"nthread": threads})
        try:
            self._model.load_model(bytearray(content))
        except xgboost.core.XGBoostError as error:
            raise InputError(
                f"{source}: not a model that XGBoost {xgboost.__version__} can load ({error}); play it with the "
                "version that fitted it, or fit it again"
            ) from None
        # What the model was saved with would win otherwise.
        self._model.set_param({"nthread": threads})
        self._check(self._model.num_features(), source)

    def _forest(self, rows: NDArray[np.float32]) -> NDArray[np.floating]:
        return self._model.inplace_predict(rows, validate_features=False)


class CatBoostPolicy(TreePolicy):
    """A model of CatBoost in its own format (.cbm)."""

    def __init__(self, path: Path, metadata: dict[str, Any], threads: int) -> None:
        """As `loading.Loader`; InputError for what CatBoost cannot load or has other sizes than the metadata."""
        super().__init__(metadata)
        source, content = read_file(path, metadata)
        self._threads = threads
        try:
            self._model = catboost.CatBoost().load_model(blob=content)
        except catboost.CatBoostError as error:
            raise InputError(
                f"{source}: not a model that CatBoost {catboost.__version__} can load ({error}); play it with the "
                "version that fitted it, or fit it again"
            ) from None
        self._check(len(self._model.feature_names_), source)

    def _forest(self, rows: NDArray[np.float32]) -> NDArray[np.floating]:
        # Column by column, as CatBoost keeps its features, it copies nothing.
        return self._model.predict(np.asfortranarray(rows), thread_count=self._threads)
