"""AutoGluon predictors, one per action dimension, as a policy."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
import torch
from autogluon.tabular import TabularPredictor
from numpy.typing import NDArray

from d4rl_automl.core import directories
from d4rl_automl.core.errors import InputError
from d4rl_automl.policies import action_transform
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.features import features
from d4rl_automl.tasks.outcomes import OutcomeRule


class Predictors:
    """Deployed predictors in memory, in the order of the action dimensions.

    What was trained on a GPU predicts on it where this process sees one: jobs that only predict see none
    (`core.processes.hide_gpus`).
    """

    def __init__(self, deployed: Sequence[str | Path], rule: OutcomeRule, chain: bool, threads: int) -> None:
        """`rule`: by which they are conditioned. `chain`: whether each predictor reads the earlier action dimensions.
        `threads`: of a prediction.

        Raises InputError, before anything is loaded, where one of the directories `deployed` is not as it was made.
        """
        for directory in deployed:
            directories.check(directory)
        self._rule, self._chain, self._threads = rule, chain, threads
        self.predictors = [TabularPredictor.load(str(directory), verbosity=0) for directory in deployed]
        for predictor in self.predictors:
            predictor.persist(max_memory=None)
        # Only now are the libraries that bring their own OpenMP loaded.
        self._pools = threadpoolctl.ThreadpoolController()

    @contextlib.contextmanager
    def limited(self) -> Iterator[None]:
        """For who asks the `predictors` themselves: their libraries use no more threads than given, as in `act`."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with self._pools.limit(limits=self._threads):
                yield
        finally:
            torch.set_num_threads(before)

    def act(self, observations: NDArray[np.float32], outcome: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, a) actions in [-1, 1] for `observations` (N, d) and `outcome` (N, k), dimension after dimension."""
        actions = np.zeros((len(observations), len(self.predictors)), np.float32)
        table = features(observations, outcome, actions, self._rule)
        width = observations.shape[1] + outcome.shape[1]
        with self.limited():
            for i, predictor in enumerate(self.predictors):
                predicted = predictor.predict(table.iloc[:, : width + i * self._chain], as_pandas=False)
                actions[:, i] = action_transform.backward(predicted)
                table.isetitem(width + i, actions[:, i])
        return actions


class AutoGluonPolicy(Policy):
    """A teacher, or AutoGluon's own students, as a policy; its handle points at the deployed directories."""

    def __init__(self, path: Path, metadata: dict[str, Any], threads: int) -> None:
        """As `loading.Loader`; InputError where a directory is not as it was made, or not the handle's."""
        deployed = [path.parent / directory for directory in metadata["directories"]]
        for directory, expected in zip(deployed, metadata["directory_sha256"], strict=True):
            if directories.recorded(directory) != expected:
                raise InputError(
                    f"{path}: directory_sha256: expected {expected}, but {directory} is another one since. It holds "
                    "pickles, which are loaded only from the run that made them; delete the handle and run snakemake "
                    "again"
                )
        super().__init__(metadata)
        self.predictors = Predictors(deployed, self.outcome_rule, metadata["chain"], threads)

    def predict(self, observations: NDArray[np.float32], outcome: NDArray[np.float32] | None) -> NDArray[np.float32]:
        assert outcome is not None, "a teacher is conditioned on an outcome"
        return self.predictors.act(observations, outcome)
