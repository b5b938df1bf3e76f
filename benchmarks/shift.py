"""How far a policy leaves its data when it acts, and whether a student still answers there as its teacher does.

Of a finished run, every policy that is commanded an average reward-to-go plays twenty episodes at fraction 1.0.
"outside" is the share of states with at least one coordinate beyond the 0.1 and 99.9 percentiles of the training
states; "l2" the mean squared difference from the teacher's actions. Both are given on held-out states of the data,
with their recorded outcomes, and on the states that the policy itself visited, with the outcome it was commanded.
`python benchmarks/shift.py --results DIRECTORY`
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support import reporting, watching

from d4rl_automl.core.errors import InputError
from d4rl_automl.core.script import run
from d4rl_automl.data import transitions
from d4rl_automl.policies import loading
from d4rl_automl.policies.base import Policy
from d4rl_automl.tasks.outcomes import AVERAGE

EPISODES = 20
ROWS = 5_000
"""Held-out transitions that count, and states of a rollout, drawn at random, at most."""


def visited(loaded: Policy, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """States (N, d) and commanded outcomes (N, 1) of `EPISODES` episodes at fraction 1.0."""
    kept: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def keep(_number: int, observations: NDArray[np.float32], outcome: NDArray[np.float32] | None) -> None:
        assert outcome is not None, "the policy is commanded an average reward-to-go"
        kept.append((observations, outcome))

    watching.watch(loaded, "d4rl", (1.0,), EPISODES, seed, keep)
    states, outcomes = map(np.concatenate, zip(*kept, strict=True))
    drawn = np.random.default_rng(seed).permutation(len(states))[:ROWS]
    return states[drawn], outcomes[drawn]


def shifts(folder: Path) -> Iterator[dict[str, Any]]:
    """One row per policy of one dataset and seed that has a teacher there; none where there is no teacher."""
    handles = {path: json.loads(path.read_text()) for path in sorted((folder / "policies").glob("*.json"))}
    for path, facts in handles.items():
        if facts["kind"] != "teacher":
            continue
        teacher, seed = loading.load_policy(path), facts["seed"]
        table = folder / "transitions.parquet"
        low, high = np.percentile(transitions.read(table, limit=100_000, seed=0).observations, (0.1, 99.9), axis=0)
        test = transitions.read(table, ("test",), limit=ROWS, seed=0)
        held_out = (test.observations, test.rtg[:, None])
        taught = teacher.act(*held_out)
        for other, own in handles.items():
            if (
                own["seed"] != seed
                or own["outcome_rule"] != AVERAGE.name
                or (own["kind"] == "teacher" and other != path)
            ):
                continue
            loaded = loading.load_policy(other)
            states, outcomes = visited(loaded, seed)
            yield {
                "dataset": folder.name,
                "teacher": facts["method"],
                "method": own["method"],
                "outside_held_out": _outside(test.observations, low, high),
                "outside_own": _outside(states, low, high),
                "l2_held_out": _difference(loaded.act(*held_out), taught),
                "l2_own": _difference(loaded.act(states, outcomes), teacher.act(states, outcomes)),
            }


def _outside(states: NDArray[np.float32], low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    return round(float(((states < low) | (states > high)).any(axis=1).mean()), 3)


def _difference(actions: NDArray[np.float32], taught: NDArray[np.float32]) -> float:
    return round(float(np.mean((actions.astype(np.float64) - taught) ** 2)), 5)


def main() -> None:
    arguments = reporting.parser_of_results(__doc__).parse_args()
    folders = sorted(path.parent for path in arguments.results.absolute().glob("*/policies"))
    rows = [row for folder in folders for row in shifts(folder)]
    if not rows:
        raise InputError(f"{arguments.results}: found no teacher; --results names the results of a finished run")
    reporting.show(rows)
    reporting.write(arguments.output, {"results": str(arguments.results), "rows": rows})


if __name__ == "__main__":
    run(main)
