"""An AutoGluon teacher played in one batch of all targets and episodes, against its own `predict`.

"predict" calls the predictors of all action dimensions with ready tables of 2,000 rows, "one row" with one row;
one process a core, one thread each. Without --policy, a small capped teacher is fitted to embedded data (minutes,
once). A rollout also steps the physics: "of both" takes predict and physics one after the other.
"""

import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

import common
import numpy as np

from d4rl_automl import policy, tasks
from d4rl_automl.methods import teacher as teacher_method

HYPERPARAMETERS = {
    "NN_TORCH": {"num_epochs": 5, "batch_size": 2048, "hidden_size": 256, "num_layers": 3},
    "CAT": {"iterations": 300, "depth": 8, "learning_rate": 0.1},
    "XGB": {"n_estimators": 100, "learning_rate": 0.1},
}


def prepared_teacher(task: str) -> Path:
    """The handle of a teacher of three capped models."""
    output = common.PREPARED / task / "teacher-s0.json"
    if output.exists():
        return output
    # AutoGluon takes seconds to import, and only this needs its training half.
    from d4rl_automl.teacher import train_dimension  # noqa: PLC0415

    data = common.prepared_transitions(task)
    settings = common.settings(task, "teachers", {"hyperparameters": HYPERPARAMETERS, "rows": 20_000})
    folder = common.PREPARED / task / "teacher-s0"
    deployed = []
    for dimension in range(tasks.get(task).action_size):
        print(f"fitting the teacher of {task}, dimension {dimension}", file=sys.stderr)
        deployed.append(str(folder / "deployed" / f"ac{dimension}"))
        train_dimension(
            transitions=data,
            dimension=dimension,
            settings=settings,
            seed=0,
            device="cpu",
            threads=1,
            predictor=folder / f"ac{dimension}",
            deployed=deployed[-1],
            metrics=folder / f"ac{dimension}.csv",
            leaderboard=folder / f"ac{dimension}.leaderboard.csv",
        )
    teacher_method.fit(
        transitions=str(data),
        settings={"name": "teacher", "kind": "teacher", "teacher": settings["name"]},
        seed=0,
        device="cpu",
        threads=1,
        output=str(output),
        teacher=settings,
        deployed=deployed,
    )
    return output


def measured(index: int, handle: str, environments: int, window: common.Window, seconds: float) -> Any:
    """For `common.Processes`: the rollout, physics alone, and the predictors alone."""
    policies = {"teacher": handle}
    runs = common.rollouts_and_floors(index, policies, environments, window, common.load_policy)
    del runs["inference teacher"]
    loaded: Any = policy.load(handle)
    predictors, chain = loaded.predictors.predictors, loaded.metadata["chain"]
    from d4rl_automl.features import features  # noqa: PLC0415

    rng = np.random.default_rng(index)
    robot = tasks.get(loaded.metadata["task"])

    def predict(rows: int, stopwatch: common.Stopwatch) -> None:
        observations = rng.normal(size=(rows, robot.observation_size)).astype(np.float32)
        actions = rng.uniform(-1, 1, (rows, robot.action_size)).astype(np.float32)
        width = robot.observation_size + 1
        tables = [
            features(observations, np.ones((rows, 1), np.float32), actions[:, : i * chain])
            for i in range(robot.action_size)
        ]
        assert all(table.shape[1] == width + i * chain for i, table in enumerate(tables))
        calls = 0
        stopwatch.start()
        enough = time.perf_counter() + seconds
        while not calls or time.perf_counter() < enough:
            for predictor, table in zip(predictors, tables, strict=True):
                predictor.predict(table, as_pandas=False)
            calls += 1
        stopwatch.stop(calls * rows)

    return runs | {
        "predict": functools.partial(predict, common.BATCH),
        "one row": functools.partial(predict, 1),
    }


def main() -> None:
    parser = common.parser(__doc__)
    common.add_window(parser)
    parser.add_argument("--policy", type=Path, help="handle of a teacher of your own; its task is the one measured")
    parser.add_argument("--seconds", type=float, help="of a run of predict; default: 10, or 2 with --quick")
    parser.set_defaults(tasks=["hopper"])
    arguments = parser.parse_args()
    window = common.window(arguments)
    seconds = arguments.seconds or (2 if arguments.quick else 10)
    handles = [arguments.policy] if arguments.policy else [prepared_teacher(task) for task in arguments.tasks]
    rows = []
    for handle in handles:
        with common.Processes(
            common.CORES, 1, measured, str(handle), arguments.environments // common.CORES, window, seconds
        ) as processes:
            runs = {name: functools.partial(processes.run, name) for name in processes.names}
            found = common.in_turns(runs, arguments.repeats)
        loop, physics, predict = found["rollout teacher"], found["physics, batch teacher"], found["predict"]
        rows.append(
            {
                "task": json.loads(handle.read_text())["task"],
                "physics": round(physics.rate),
                "predict": round(predict.rate),
                "one row": round(found["one row"].rate),
                "rollout": round(loop.rate),
                "of predict": round(loop.rate / predict.rate, 3),
                "of both": round(loop.rate / common.back_to_back(physics, predict), 3),
                "times one row": round(loop.rate / found["one row"].rate, 1),
                "cpu, of both": round((physics.microseconds + predict.microseconds) / loop.microseconds, 3),
                "inference within": round(loop.parts["inference"] / loop.cpu, 3),
                "runs": {name: vars(run) for name, run in found.items()},
            }
        )
    common.report(arguments, rows, {"of predict (of both, where physics takes its share)": ">= 0.8"})


if __name__ == "__main__":
    main()
