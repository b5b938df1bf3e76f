"""Tree policies against physics and inference one after the other: CatBoost (MultiRMSE) and XGBoost
(multi_output_tree), one model for all action dimensions each, fitted to embedded data.

They are played by the libraries that made them, on one thread a process, in the fastest of the ways of the second
table. Floors as in rollout.py; inference is in batches of 2,000 rows.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import xgboost
from numpy.typing import NDArray
from support import floors, prepared, processes, reporting, watching

from d4rl_automl import tasks
from d4rl_automl.data.transitions import read
from d4rl_automl.policies.base import Policy
from d4rl_automl.tasks import outcomes

Rows = NDArray[np.float32]
WAYS: dict[str, dict[str, Callable[[Any, Rows], Any]]] = {
    "catboost": {
        "array": lambda model, rows: model.predict(rows, thread_count=1),
        "array, column by column": lambda model, rows: model.predict(np.asfortranarray(rows), thread_count=1),
        "Pool": lambda model, rows: model.predict(catboost.Pool(rows, thread_count=1), thread_count=1),
        "FeaturesData": lambda model, rows: model.predict(
            catboost.Pool(catboost.FeaturesData(num_feature_data=rows)), thread_count=1
        ),
    },
    "xgboost": {
        "inplace_predict": lambda model, rows: model.inplace_predict(rows, validate_features=False),
        "DMatrix": lambda model, rows: model.predict(xgboost.DMatrix(rows, nthread=1), validate_features=False),
    },
}
FASTEST = {"catboost": "array, column by column", "xgboost": "inplace_predict"}
ENDINGS = {"catboost": "cbm", "xgboost": "ubj"}


class TreePolicy(Policy):
    """A forest that reads the observation and the outcome; `path` tells the library by its ending."""

    def __init__(self, path: Path) -> None:
        super().__init__(json.loads(path.with_suffix(".json").read_text()))
        self.library = {f".{ending}": library for library, ending in ENDINGS.items()}[path.suffix]
        if self.library == "catboost":
            self.model: Any = catboost.CatBoost().load_model(str(path))
        else:
            self.model = xgboost.Booster({"nthread": 1}, model_file=str(path))
        self._way = WAYS[self.library][FASTEST[self.library]]

    def predict(self, observations: Rows, outcome: Rows | None) -> NDArray[np.floating]:
        assert outcome is not None
        return self._way(self.model, np.concatenate((observations, outcome), axis=1))


def prepared_trees(task: str, library: str, trees: int) -> Path:
    output = prepared.PREPARED / task / f"{library}{trees}.{ENDINGS[library]}"
    if output.exists():
        return output
    rows = read(prepared.transitions_of(task))
    inputs = np.column_stack([rows.observations, rows.rtg])
    print(f"fitting {trees} trees of {library} to {task}", file=sys.stderr)
    if library == "catboost":
        model = catboost.CatBoost(
            {"loss_function": "MultiRMSE", "iterations": trees, "depth": 6, "learning_rate": 0.1, "random_seed": 0}
            | {"thread_count": processes.CORES, "allow_writing_files": False, "verbose": False}
        )
        model.fit(inputs, rows.actions)
    else:
        settings = {"multi_strategy": "multi_output_tree", "tree_method": "hist", "max_depth": 6, "eta": 0.1, "seed": 0}
        model = xgboost.train(
            settings | {"nthread": processes.CORES}, xgboost.DMatrix(inputs, rows.actions), num_boost_round=trees
        )
    robot = tasks.get(task)
    metadata = {
        "method": f"{library}{trees}",
        "kind": library,
        "seed": 0,
        "dataset": prepared.entry(task).name,
        "task": task,
        "outcome_rule": outcomes.AVERAGE.name,
        "observation_size": robot.observation_size,
        "action_size": robot.action_size,
    }
    output.with_suffix(".json").write_text(json.dumps(metadata))
    model.save_model(str(output))
    return output


def ways(task: str, path: Path, seconds: float) -> list[dict[str, Any]]:
    """Rows per second of each way to call the forest, one thread, 2,000 rows a call; the fastest of three runs."""
    policy = TreePolicy(path)
    data = read(prepared.transitions_of(task))
    rows = np.column_stack([data.observations, data.rtg])[: floors.BATCH]
    expected = WAYS[policy.library][FASTEST[policy.library]](policy.model, rows)
    rates: dict[str, list[float]] = {}
    for _ in range(3):
        for name, way in WAYS[policy.library].items():
            np.testing.assert_array_equal(way(policy.model, rows), expected)
            calls, cpu, started = 0, time.process_time(), time.perf_counter()
            while time.perf_counter() - started < seconds:
                way(policy.model, rows)
                calls += 1
            rates.setdefault(name, []).append(calls * len(rows) / (time.process_time() - cpu))
    return [
        {"task": task, "policy": path.stem, "way": name, "rows per cpu second": round(max(those))}
        for name, those in rates.items()
    ]


def main() -> None:
    parser = reporting.parser(__doc__, reporting.ROBOTS)
    watching.add_window(parser)
    parser.add_argument("--trees", type=int, help="of each forest; default: 500, or 100 with --quick")
    arguments = parser.parse_args()
    trees = arguments.trees or (100 if arguments.quick else 500)
    window = watching.window(arguments)
    rows, played = [], []
    for task in arguments.tasks:
        paths = {library: prepared_trees(task, library, trees) for library in WAYS}
        for path in paths.values():
            played += ways(task, path, 0.3 if arguments.quick else 1.0)
        policies = {path.stem: str(path) for path in paths.values()}
        rows += watching.against_floors(
            task, policies, arguments.environments, window, repeats=reporting.repeats(arguments), load=TreePolicy
        )
    reporting.show(played)
    reporting.report(arguments, rows, {"of both (back to back)": ">= 0.8"}, ways=played)


if __name__ == "__main__":
    main()
