"""What every policy is."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.tasks import outcomes
from d4rl_automl.tasks.outcomes import OutcomeRule


class Policy(ABC):
    """A deterministic policy: observations and, if it is conditioned, an outcome to actions.

    A format of policies is a subclass, which says how to `predict`; `act` is what plays.
    """

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata
        """What the handle says: method, seed, dataset, task, outcome_rule, observation_size, action_size, …"""

    @property
    def outcome_rule(self) -> OutcomeRule:
        """How the policy is conditioned."""
        return outcomes.get(self.metadata["outcome_rule"])

    @property
    def name(self) -> str:
        """Method and training seed, as in the policy's file name."""
        return f"{self.metadata['method']}-s{self.metadata['seed']}"

    def act(self, observations: ArrayLike, outcome: ArrayLike | None = None) -> NDArray[np.float32]:
        """Actions (N, a) float32 within [-1, 1].

        `observations` (N, d); `outcome` (N, k) as `outcome_rule` tells, None for a policy
        that is unconditional. Both of any float dtype. Raises InputError for a wrong
        shape, and where an action comes out as NaN or infinite.
        """
        observations = self._rows("observations", observations, self.metadata["observation_size"])
        outcome_size = self.outcome_rule.width
        if outcome_size == 0:
            if outcome is not None:
                raise InputError(f"policy {self.name}: it takes no outcome (its outcome rule is none); pass None")
        else:
            if outcome is None:
                raise InputError(f"policy {self.name}: it needs an outcome of {outcome_size} column(s), found none")
            outcome = self._rows("outcome", outcome, outcome_size)
            if len(outcome) != len(observations):
                raise InputError(f"policy {self.name}: {len(outcome)} outcomes for {len(observations)} observations")
        actions = np.asarray(self.predict(observations, outcome), np.float32)
        finite = np.isfinite(actions)
        if not finite.all():
            bad = ~finite.all(axis=1)
            where = ", ".join(f"ac{i} ({n})" for i, n in enumerate((~finite).sum(axis=0)) if n)
            given = observations[bad] if outcome is None else np.column_stack([observations, outcome])[bad]
            advice = (
                "train the policy again and look at its log"
                if np.isfinite(given).all(axis=1).any()
                else "what it was given is not finite itself: look at where that comes from"
            )
            raise InputError(
                f"policy {self.name}: {bad.sum()} of {len(actions)} actions hold NaN or infinity, in {where}, the "
                f"first for observation {observations[bad][0].tolist()}; {advice}"
            )
        return actions.clip(-1.0, 1.0)

    def _rows(self, what: str, value: ArrayLike, width: int) -> NDArray[np.float32]:
        rows = np.asarray(value, np.float32)
        if rows.ndim != 2 or rows.shape[1] != width:
            raise InputError(f"policy {self.name}: {what} have shape {rows.shape}, expected (N, {width})")
        return rows

    @abstractmethod
    def predict(self, observations: NDArray[np.float32], outcome: NDArray[np.float32] | None) -> NDArray[np.floating]:
        """Actions (N, a), finite or not, clipped or not, for inputs of checked shape: `act` without its checks."""
