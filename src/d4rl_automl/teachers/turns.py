"""The time of an AutoGluon fit: shared among its families of models, watched, and told where it did not suffice.

A family is what AutoGluon has one key for: GBM, CAT, XGB, NN_TORCH and so on.
"""

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from autogluon.core.callbacks import AbstractCallback
from autogluon.core.models import AbstractModel
from autogluon.tabular.registry import ag_model_registry

OVER = 1.1
"""Times its limit that a fit may take before it is told which model took it."""

SHARE = "ag.max_time_limit_ratio"
"""AutoGluon's key for the share of the time left that a model may take."""

log = logging.getLogger(__name__)


class Turn(NamedTuple):
    """One model that AutoGluon came to."""

    model: str
    family: str
    left: float
    """Seconds that were left to it."""
    seconds: float
    """What it took."""
    fitted: bool


class Turns(AbstractCallback):
    """A callback of a fit, which keeps the turn of every model: AutoGluon itself forgets those that it skips."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Turn] = []
        self.ended = time.perf_counter()
        """When the last model was done; a preset that refits does it after that."""
        self._begun: tuple[str, str, float, float] = ("", "", 0.0, self.ended)

    def _before_model_fit(
        self, trainer: Any, model: AbstractModel, time_limit: float | None = None, stack_name: str = "", level: int = 1
    ) -> tuple[bool, bool]:
        left = float("inf") if time_limit is None else float(time_limit)
        self._begun = (model.name, family(model), left, time.perf_counter())
        return False, False

    def _after_model_fit(self, trainer: Any, model_names: list[str], stack_name: str = "", level: int = 1) -> bool:
        name, key, left, started = self._begun
        self.ended = time.perf_counter()
        self.taken.append(Turn(name, key, left, self.ended - started, bool(model_names)))
        return False


def family(model: AbstractModel) -> str:
    """AutoGluon's key of a model; of a bagged one, that of the models in it."""
    kind = getattr(model, "_child_type", None) or type(model)
    return str(kind.ag_key)


def shared(hyperparameters: Mapping[str, list[dict[str, Any]]], bagged: bool) -> dict[str, list[dict[str, Any]]]:
    """A copy in which no family can take the time of those after it.

    By itself AutoGluon lets every model take all that is left, and a boosted model on one thread does. Here each model,
    in AutoGluon's order, may take an equal part of the time that is left to it and to those up to the first model of
    the last family (`SHARE`); what it does not need goes to the others. That last one, and whatever comes after it, may
    take all. A share that an entry already has is kept.
    """
    result = {name: [dict(entry) for entry in entries] for name, entries in hyperparameters.items()}
    classes = ag_model_registry.key_to_cls_map()
    entries = [(name, entry) for name, own in result.items() for entry in own]
    priority = {
        id(entry): entry.get("ag_args", {}).get("priority", classes[name].get_ag_priority("regression"))
        for name, entry in entries
    }
    ordered = sorted(entries, key=lambda one: -priority[id(one[1])])
    names = [name for name, _ in ordered]
    last = max(names.index(name) for name in result)
    for place, (_, entry) in enumerate(ordered[:last]):
        share = 1 / (last + 1 - place)
        if bagged:
            # Of all folds together: as a model's own key it would hold for each fold.
            entry["ag_args_ensemble"] = {SHARE: share, **entry.get("ag_args_ensemble", {})}
        else:
            entry.setdefault(SHARE, share)
    return result


def tried(board: pd.DataFrame, turns: Sequence[Turn], failures: pd.DataFrame) -> pd.DataFrame:
    """A leaderboard with what became of every model that AutoGluon came to.

    Its columns family and status are new, and so are the rows, at the end and without scores, of models that were not
    fitted: their status says why.
    """
    families = {turn.model: turn.family for turn in turns}
    table = board.assign(
        family=[families.get(name.removesuffix("_FULL"), "") for name in board["model"]], status="fitted"
    )
    unfitted = [
        {"model": turn.model, "family": turn.family, "status": _why(turn, failures)}
        for turn in turns
        if not turn.fitted
    ]
    return pd.concat([table, pd.DataFrame(unfitted)], ignore_index=True) if unfitted else table


def doubts(turns: Sequence[Turn], families: Iterable[str], failures: pd.DataFrame, *, budget: str) -> list[str]:
    """What is doubtful about a fit that left out some of its `families`, told with the cause and the `budget`."""
    fitted = {turn.family for turn in turns if turn.fitted}
    causes: dict[str, list[str]] = {}
    for key in families:
        if key not in fitted:
            # The first failure is a model's own; what came after it may only have found the time gone.
            own = [_why(turn, failures) for turn in turns if turn.family == key]
            causes.setdefault(own[0] if own else "AutoGluon left it out, see its log", []).append(key)
    return [
        f"AutoGluon fitted no model of {_listed(keys)} with {budget}: {cause}" for cause, keys in sorted(causes.items())
    ]


def over(turns: Sequence[Turn], *, seconds: float, limit: float, refit: float) -> list[str]:
    """The sentence that says which model broke the limit of a fit, if one did.

    `seconds`: of the fit in all; `refit`: of that, after the last model's turn.
    """
    if seconds <= OVER * limit:
        return []
    # Of what came after the limit only its own time is a model's fault.
    beyond = {turn: turn.seconds - max(turn.left, 0.0) for turn in turns}
    worst = max(turns, key=beyond.__getitem__)
    if refit > beyond[worst]:
        cause = f"to fit the models anew to all rows took {refit:.0f} s"
    else:
        cause = f"{worst.model} took {worst.seconds:.0f} s where {max(worst.left, 0.0):.0f} s were left to it"
    return [f"the fit took {seconds:.0f} s of {limit:.0f} s: {cause}"]


def _why(turn: Turn, failures: pd.DataFrame) -> str:
    own = failures[failures["model"] == turn.model] if len(failures) else failures
    if len(own):
        failure = own.iloc[-1]
        if failure.exc_type not in OUT_OF_TIME:
            return f"failed ({failure.exc_type}: {str(failure.exc_str)[:200]})"
    return "no time was left" if turn.left <= 0 or not len(own) else "it would have taken too long"


OUT_OF_TIME = {"TimeLimitExceeded", "InsufficientTime"}
"""How AutoGluon names the failure of a model that would have taken too long."""


def _listed(names: Collection[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last
