"""Tables of scores: what every policy of a run reached, by the target that it was commanded."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from d4rl_automl import tasks
from d4rl_automl.core import files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import intervals
from d4rl_automl.evaluation.targets import commanded

TARGET_RULES = {
    "selected": "the target chosen on separate selection episodes",
    "fixed": "fraction 1.0, the expert's return",
    "all": "all commanded targets together",
}
"""How the target behind a score was picked; an unconditional method scores the same by all three."""

GROUP = ["provider", "suite", "simulator", "target"]
"""What statistics never put together: datasets of two providers or suites, simulators, and target rules."""
SCORE_COLUMNS = ("dataset", "provider", "suite", "method", "seed", "simulator", "target", "normalised")
"""The columns of a score table that statistics and figures read."""
SUCCESS_COLUMNS = ("success_rate", "success_low", "success_high", "median_steps_to_goal", "mean_distance_left")
"""Those that are empty but where a task has a goal."""
COMPARISON = [*GROUP, "method", "against", "datasets", "seeds"]
COMPARISON += ["probability", "low", "high", "no_interval"]
"""The columns of `compare`."""


def score_table(
    rollouts: pd.DataFrame,
    choices: Iterable[Mapping[str, Any]],
    providers: Mapping[str, str],
) -> pd.DataFrame:
    """One row per dataset, method, training seed, simulator and target rule.

    `rollouts`: report episodes (`tables.read_rollouts(paths, "report")`); `choices`: what
    `targets.choose` gave for every dataset, method and simulator; `providers`: of each
    dataset, in the order of the table. Columns: mean_return and std_return (over episodes,
    divisor n), mean_length (steps), terminated (share of episodes, 0 to 1), normalised (mean
    normalised score), diverged (count). Where the task has a goal: success_rate (share of
    episodes, 0 to 1) with success_low and success_high (`intervals.success_interval`), median_steps_to_goal
    (of the successes, empty without any) and mean_distance_left (of all, in metres). Where fraction
    1.0 was not commanded, the rule "fixed" has no row, and the log says so. Raises InputError for
    other than report episodes, a target that is missing or was not commanded, and a dataset without
    provider.
    """
    if set(rollouts["purpose"]) != {"report"}:
        raise InputError("column purpose: scores are made of report episodes only; pass the report tables")
    chosen = {(entry["dataset"], entry["method"], entry["simulator"]): entry["fraction"] for entry in choices}
    rows = []
    for key, group in rollouts.groupby(["dataset", "method", "training_seed", "simulator"], sort=False):
        dataset, method, seed, simulator = map(str, key)
        if dataset not in providers:
            raise InputError(f"rollouts: the dataset {dataset!r} is none of {', '.join(providers)}")
        if (dataset, method, simulator) not in chosen:
            raise InputError(f"targets: none was chosen for {dataset}, {method}, {simulator}; choose it first")
        task = tables.one_value(group, "task")
        for rule, fraction, episodes in _by_rule(group, chosen[dataset, method, simulator]):
            if episodes.empty and rule == "fixed":
                logging.warning("%s, %s: fraction 1.0 was not commanded; no score at a fixed target", dataset, method)
                continue
            if episodes.empty:
                raise InputError(f"rollouts: {dataset}, {method}, seed {seed}: no episode at the chosen {fraction}")
            rows.append(
                {
                    "dataset": dataset,
                    "provider": providers[dataset],
                    "suite": tasks.get(task).suite,
                    "method": method,
                    "kind": tables.one_value(group, "kind"),
                    "seed": int(seed),
                    "simulator": simulator,
                    "target": rule,
                    "fraction": fraction,
                    "episodes": len(episodes),
                    "mean_return": episodes["return"].mean(),
                    "std_return": episodes["return"].std(ddof=0),
                    "mean_length": episodes["length"].mean(),
                    "terminated": episodes["terminated"].mean(),
                    "normalised": episodes["normalised_score"].mean(),
                    "diverged": int(episodes["diverged"].sum()),
                    **_success(episodes),
                }
            )
    return in_order(pd.DataFrame(rows), list(providers))


def _success(episodes: pd.DataFrame) -> dict[str, float]:
    """`SUCCESS_COLUMNS` of some episodes of one task."""
    if episodes["success"].isna().all():
        return dict.fromkeys(SUCCESS_COLUMNS, np.nan)
    reached = episodes["success"].to_numpy(bool)
    low, high = intervals.success_interval(int(reached.sum()), len(reached))
    steps = episodes["length"].to_numpy(np.float64)[reached]
    values = (reached.mean(), low, high, np.median(steps) if len(steps) else np.nan, episodes["distance_left"].mean())
    return dict(zip(SUCCESS_COLUMNS, map(float, values), strict=True))


def in_order(table: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """A table of scores in an order that is not the alphabet's: datasets as given, methods as they first come."""
    order = {"dataset": [*datasets], "target": [*TARGET_RULES], "method": [*dict.fromkeys(table["method"])]}
    return table.sort_values(
        ["dataset", "simulator", "target", "method", "seed"],
        key=lambda column: column.map(order[str(column.name)].index) if column.name in order else column,
        ignore_index=True,
    )


def _by_rule(group: pd.DataFrame, chosen: float | None) -> Iterator[tuple[str, float | None, pd.DataFrame]]:
    """(target rule, fraction, episodes) of one policy."""
    if group["fraction"].isna().all():
        for rule in TARGET_RULES:
            yield rule, None, group
        return
    for rule, fraction in (("selected", chosen), ("fixed", 1.0)):
        yield rule, fraction, commanded(group, fraction)
    yield "all", None, group


def read_scores(path: str | Path, provider: str, simulator: str, suite: str | None = None) -> pd.DataFrame:
    """The rows of a score table that are of one provider, simulator and suite (by default of every suite).

    Raises InputError where there is none.
    """
    table = tables.read_csv(path, SCORE_COLUMNS)
    kept = table[(table["provider"] == provider) & (table["simulator"] == simulator)]
    if suite is not None:
        kept = kept[kept["suite"] == suite]
    if kept.empty:
        what = f"provider {provider!r}" + (f" and suite {suite!r}" if suite else "")
        raise InputError(f"{path}: there is no score of {what} in the simulator {simulator!r}")
    return kept


def score_dataset(
    rollouts: Sequence[str | Path],
    targets: Sequence[str | Path],
    card: str | Path,
    output: str | Path,
    *,
    teachers: Sequence[str | Path] = (),
    taught: Mapping[str, str] | None = None,
) -> None:
    """Write the table of scores of one dataset as CSV: `score_table` of its report episodes and chosen targets.

    `teachers`: the metrics of its teachers (CSV, `teachers.evaluation`); `taught`: the teacher of every method that has
    one. Two more columns: doubts has those of the dataset's card, as one text in every row; teacher_doubts those of the
    row's teacher, trained with the row's seed. Raises InputError for a card of another dataset.
    """
    chosen = [tables.read_json(path, ("dataset", "method", "simulator", "fraction")) for path in targets]
    played = tables.read_rollouts(rollouts, "report")
    described = tables.read_json(card, ("dataset", "provider", "doubts"))
    dataset = tables.one_value(played, "dataset")
    if described["dataset"] != dataset:
        raise InputError(f"{card}: is of dataset {described['dataset']!r}, but the rollouts are of {dataset!r}")
    scored = score_table(played, chosen, {dataset: described["provider"]})
    doubtful = _of_teachers(teachers)
    of_method = taught or {}
    scored = scored.assign(
        doubts=" ".join(described["doubts"]),
        teacher_doubts=[
            doubtful.get((of_method.get(method, ""), seed), "")
            for method, seed in zip(scored["method"], scored["seed"], strict=True)
        ],
    )
    with files.whole(output) as part:
        scored.to_csv(part, index=False)


def _of_teachers(metrics: Sequence[str | Path]) -> dict[tuple[str, int], str]:
    """What is doubtful about teachers, by name and training seed."""
    found: dict[tuple[str, int], list[str]] = {}
    for path in metrics:
        table = tables.read_csv(path, ("teacher", "seed", "dimension", "doubts"))
        for row in table.dropna(subset="doubts").to_dict("records"):
            said = found.setdefault((str(row["teacher"]), int(row["seed"])), [])
            said.append(f"ac{row['dimension']}: {row['doubts']}")
    return {key: f"Teacher {key[0]}, {' '.join(each)}" for key, each in found.items()}
