"""AutoGluon teachers played in one batch of all targets and episodes.

Three are fitted to embedded data, once: "lightgbm", with the thousands of trees that the presets grow where nothing
bounds them; "capped", three models with bounded trees; "networks", neural networks alone, exported as one ONNX graph.

The first two are compared with their own `predict`, called for all action dimensions with ready tables of 2,000 states
of the same rollout, or of one; one process a core, one thread each. Every process plays all 2,000 environments in one
batch, as a rollout job does. A rollout also steps the physics:
"of both" takes predict and physics one after the other. The third is compared with physics, as rollout.py does.
"""

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from support import floors, prepared, processes, reporting, watching

from d4rl_automl import tasks
from d4rl_automl.methods import teacher as teacher_method
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.tasks.outcomes import AVERAGE
from d4rl_automl.teachers.settings import TeacherSettings

HYPERPARAMETERS: dict[str, dict[str, Any]] = {
    "lightgbm": {"GBM": {"num_boost_round": 3_000, "learning_rate": 0.01, "extra_trees": True}},
    "capped": {
        "NN_TORCH": {"num_epochs": 5, "batch_size": 2048, "hidden_size": 256, "num_layers": 3},
        "CAT": {"iterations": 300, "depth": 8, "learning_rate": 0.1},
        "XGB": {"n_estimators": 100, "learning_rate": 0.1},
    },
    "networks": {
        "NN_TORCH": [
            {"num_epochs": 5, "batch_size": 2048, "hidden_size": width, "num_layers": 3} for width in (128, 256)
        ],
    },
}
"""AutoGluon's, of each teacher."""
EXPORTED = ("networks",)
SHORT = watching.Window(5, 4)
"""Where a step of 2,000 environments takes seconds."""
CALLS = 10
"""Of one row, every few steps."""


def prepared_teacher(task: str, name: str) -> Path:
    """The handle of one of the teachers in `HYPERPARAMETERS`."""
    folder = prepared.PREPARED / task / f"{name}-s0"
    output = folder / "policy.json"
    if output.exists():
        return output
    # AutoGluon takes seconds to import, and only this needs its training half.
    from d4rl_automl.teachers.training import train_dimension  # noqa: PLC0415

    data = prepared.transitions_of(task)
    settings = TeacherSettings(name=name, preset="medium", rows=20_000, hyperparameters=HYPERPARAMETERS[name])
    deployed = [str(folder / "deployed" / f"ac{i}") for i in range(tasks.get(task).action_size)]
    print(f"fitting the teacher {name} of {task}; log: {folder / 'fit.log'}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    with printed_to(folder / "fit.log"):
        for dimension, acting in enumerate(deployed):
            train_dimension(
                transitions=data,
                dimension=dimension,
                settings=settings,
                seed=0,
                device="cpu",
                threads=1,
                predictor=folder / f"ac{dimension}",
                deployed=acting,
                metrics=folder / f"ac{dimension}.csv",
                leaderboard=folder / f"ac{dimension}.leaderboard.csv",
            )
        teacher_method.fit(
            transitions=str(data),
            settings=teacher_method.Settings(name=name, kind="teacher", teacher=name, export=name in EXPORTED),
            seed=0,
            device="cpu",
            threads=1,
            output=str(output),
            deployed=deployed,
        )
    return output


@contextlib.contextmanager
def printed_to(log: Path) -> Iterator[None]:
    """Standard output and error go to a file: AutoGluon's lines would bury the tables."""
    kept = [os.dup(1), os.dup(2)]
    with log.open("w", encoding="utf-8") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        for descriptor, before in zip((1, 2), kept, strict=True):
            os.dup2(before, descriptor)
            os.close(before)


def predict(policy: Policy, chunk: floors.Chunk, timer: processes.Timer) -> None:
    """The predictors alone, in calls of 2,000 rows."""
    ask(policy, chunk, timer, floors.BATCH, math.ceil(chunk.steps / floors.BATCH))


def one_row(policy: Policy, chunk: floors.Chunk, timer: processes.Timer) -> None:
    """The predictors alone, in calls of one row."""
    ask(policy, chunk, timer, 1, CALLS)


def ask(policy: Policy, chunk: floors.Chunk, timer: processes.Timer, rows: int, calls: int) -> None:
    """Times `calls` calls of `rows` states each, with the actions that were played as the columns of a chain."""
    # AutoGluon takes seconds to import, and only the processes that play its teachers need it.
    from d4rl_automl.policies.autogluon import AutoGluonPolicy  # noqa: PLC0415
    from d4rl_automl.policies.features import features  # noqa: PLC0415

    assert isinstance(policy, AutoGluonPolicy)
    predictors, chain = policy.predictors.predictors, policy.metadata["chain"]
    observations, outcomes = chunk.inputs(rows * calls)
    assert outcomes is not None, "a teacher is conditioned on an outcome"
    actions = np.resize(np.concatenate(chunk.controls).astype(np.float32), (rows * calls, len(predictors)))
    tables = [features(observations, outcomes, actions[:, : i * chain], AVERAGE) for i in range(len(predictors))]
    timer.start()
    with policy.predictors.limited():
        for first in range(0, rows * calls, rows):
            for predictor, table in zip(predictors, tables, strict=True):
                predictor.predict(table[first : first + rows], as_pandas=False)
    timer.stop(rows * calls)


FLOORS: dict[str, floors.Floor] = {"physics": floors.physics, "predict": predict, "one row": one_row}


def against_predict(
    name: str, handle: Path, environments: int, window: watching.Window, *, repeats: int
) -> dict[str, Any]:
    found = watching.interleave(
        {name: str(handle)},
        environments * processes.CORES,
        window,
        repeats=repeats,
        load=load_policy,
        floors=FLOORS,
    )
    run, parts = found[name], found[name].parts
    loop, cpu = parts["rollout"], parts["cpu, rollout"]
    return {
        "task": json.loads(handle.read_text(encoding="utf-8"))["task"],
        "policy": name,
        **{what: round(run.units / parts[what] * processes.CORES) for what in (*FLOORS, "rollout")},
        "of predict": round(parts["predict"] / loop, 3),
        "of both": round((parts["physics"] + parts["predict"]) / loop, 3),
        "times one row": round(parts["one row"] / loop, 1),
        "cpu, of both": round((parts["cpu, physics"] + parts["cpu, predict"]) / cpu, 3),
        "inference within": round(parts["inference within"] / cpu, 3),
        "run": vars(run),
    }


def main() -> None:
    parser = reporting.parser(__doc__, reporting.ROBOTS)
    watching.add_window(parser)
    parser.add_argument("--policy", type=Path, help="handle of a teacher of your own that AutoGluon plays, instead")
    parser.set_defaults(tasks=["hopper"])
    arguments = parser.parse_args()
    window, environments, repeats = watching.window(arguments), arguments.environments, reporting.repeats(arguments)
    if arguments.policy:
        rows = [against_predict("own", arguments.policy, environments, window, repeats=repeats)]
        reporting.report(arguments, rows, {"of predict (of both, where physics takes its share)": ">= 0.8"})
        return
    rows, exported = [], []
    for task in arguments.tasks:
        for name, shown in (("lightgbm", SHORT), ("capped", window)):
            handle = prepared_teacher(task, name)
            rows.append(against_predict(name, handle, environments, shown, repeats=repeats))
        policies = {name: str(prepared_teacher(task, name)) for name in EXPORTED}
        exported += watching.against_floors(task, policies, environments, window, repeats=repeats, load=load_policy)
    reporting.show(exported)
    targets = {
        "of predict (of both, where physics takes its share)": ">= 0.8",
        "exported, of physics": ">= 0.5",
    }
    reporting.report(arguments, rows, targets, exported=exported)


if __name__ == "__main__":
    main()
