"""AutoGluon teachers played in one batch of all targets and episodes.

Three are fitted to embedded data, once: "LightGBM", with the thousands of trees that the presets grow where nothing
bounds them; "capped", three models with bounded trees; "networks", neural networks alone, exported as one ONNX graph.

The first two are compared with their own `predict`, called for all action dimensions with ready tables of 2,000 states
of the same rollout, or of one; one process a core, one thread each. Every process plays all 2,000 environments in one
batch, as a rollout job does: half as many rows cost AutoGluon two thirds of the time. A rollout also steps the physics:
"of both" takes predict and physics one after the other. The third is compared with physics, as rollout.py does.
"""

import contextlib
import functools
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
import numpy as np

from d4rl_automl import policy, tasks
from d4rl_automl.methods import teacher as teacher_method

TEACHERS: dict[str, dict[str, Any]] = {
    "LightGBM": {
        "preset": "medium",
        "rows": 20_000,
        "hyperparameters": {"GBM": {"num_boost_round": 3_000, "learning_rate": 0.01, "extra_trees": True}},
    },
    "capped": {
        "preset": "medium",
        "rows": 20_000,
        "hyperparameters": {
            "NN_TORCH": {"num_epochs": 5, "batch_size": 2048, "hidden_size": 256, "num_layers": 3},
            "CAT": {"iterations": 300, "depth": 8, "learning_rate": 0.1},
            "XGB": {"n_estimators": 100, "learning_rate": 0.1},
        },
    },
    "networks": {
        "preset": "medium",
        "rows": 20_000,
        "hyperparameters": {
            "NN_TORCH": [
                {"num_epochs": 5, "batch_size": 2048, "hidden_size": width, "num_layers": 3} for width in (128, 256)
            ],
        },
    },
}
"""Settings of each, as in the config's `teachers`."""
EXPORTED = ("networks",)
SHORT = common.Window(5, 5)
"""Where a step of 2,000 environments takes seconds."""
KEPT = 50
"""Steps of a rollout whose states predict is timed on, at most."""


def prepared_teacher(task: str, name: str) -> Path:
    """The handle of one of `TEACHERS`."""
    folder = common.PREPARED / task / f"{name}-s0"
    output = folder / "policy.json"
    if output.exists():
        return output
    # AutoGluon takes seconds to import, and only this needs its training half.
    from d4rl_automl.teacher import train_dimension  # noqa: PLC0415

    data = common.prepared_transitions(task)
    settings = common.settings(task, "teachers", TEACHERS[name])
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
            settings={"name": name, "kind": "teacher", "teacher": settings["name"], "export": name in EXPORTED},
            seed=0,
            device="cpu",
            threads=1,
            output=str(output),
            teacher=settings,
            deployed=deployed,
        )
    return output


@contextlib.contextmanager
def printed_to(log: Path) -> Iterator[None]:
    """Standard output and error go to a file: AutoGluon's lines would bury the tables."""
    kept = [os.dup(1), os.dup(2)]
    with log.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        for descriptor, before in zip((1, 2), kept, strict=True):
            os.dup2(before, descriptor)
            os.close(before)


def measured(index: int, handle: str, environments: int, window: common.Window, seconds: float) -> Any:
    """For `common.Processes`: the rollout, physics alone, and the predictors alone."""
    policies = {"teacher": handle}
    runs = common.rollouts_and_floors(index, policies, environments, window, common.load_policy)
    del runs["inference teacher"], runs["physics as loaded teacher"]
    loaded: Any = policy.load(handle)
    predictors, chain = loaded._predictors.predictors, loaded.metadata["chain"]
    from d4rl_automl.features import features  # noqa: PLC0415

    # Trees answer faster for states that are alike: predict gets those of the rollout.
    states: list[Any] = []

    def keep(step: int, observations: Any, outcome: Any) -> None:
        if step == min(window.steps or KEPT, KEPT):
            raise common.Enough
        states.append((np.array(observations, np.float32), np.array(outcome, np.float32)))

    common.watch(loaded, environments, index, window, on_act=keep)
    observations, outcomes = map(np.concatenate, zip(*states, strict=True))
    actions = loaded.act(observations, outcomes)
    tables = [features(observations, outcomes, actions[:, : i * chain]) for i in range(len(predictors))]

    def predict(rows: int, stopwatch: common.Stopwatch) -> None:
        starts = itertools.cycle(range(0, len(observations) - rows + 1, rows))
        calls = 0
        stopwatch.start()
        enough = time.perf_counter() + seconds
        while not calls or time.perf_counter() < enough:
            first = next(starts)
            for predictor, table in zip(predictors, tables, strict=True):
                predictor.predict(table[first : first + rows], as_pandas=False)
            calls += 1
        stopwatch.stop(calls * rows)

    return runs | {
        "predict": functools.partial(predict, common.BATCH),
        "one row": functools.partial(predict, 1),
    }


def against_predict(
    name: str, handle: Path, environments: int, window: common.Window, *, seconds: float, repeats: int
) -> dict[str, Any]:
    arguments = (str(handle), environments, window, seconds)
    with common.Processes(common.CORES, 1, measured, *arguments) as processes:
        found = common.in_turns({run: functools.partial(processes.run, run) for run in processes.names}, repeats)
    loop, physics = "rollout teacher", "physics, batch teacher"
    run = found[loop]
    return {
        "task": json.loads(handle.read_text())["task"],
        "policy": name,
        "physics": round(found[physics].rate),
        "predict": round(found["predict"].rate),
        "one row": round(found["one row"].rate),
        "rollout": round(run.rate),
        "of predict": found.ratio(loop, "predict"),
        "of both": found.ratio(loop, physics, "predict"),
        "times one row": found.ratio(loop, "one row"),
        "cpu, of both": found.cpu_ratio(loop, physics, "predict"),
        "inference within": round(run.parts["inference"] / run.cpu, 3),
        "runs": found.facts(),
    }


def main() -> None:
    parser = common.parser(__doc__)
    common.add_window(parser)
    parser.add_argument("--policy", type=Path, help="handle of a teacher of your own that AutoGluon plays, instead")
    parser.add_argument("--seconds", type=float, help="of a run of predict; default: 10, or 1 with --quick")
    parser.set_defaults(tasks=["hopper"])
    arguments = parser.parse_args()
    window, environments, repeats = common.window(arguments), arguments.environments, common.repeats(arguments)
    seconds = arguments.seconds or (1 if arguments.quick else 10)
    if arguments.policy:
        rows = [against_predict("own", arguments.policy, environments, window, seconds=seconds, repeats=repeats)]
        common.report(arguments, rows, {"of predict (of both, where physics takes its share)": ">= 0.8"})
        return
    rows, exported = [], []
    for task in arguments.tasks:
        for name, shown in (("LightGBM", SHORT), ("capped", window)):
            handle = prepared_teacher(task, name)
            rows.append(against_predict(name, handle, environments, shown, seconds=seconds, repeats=repeats))
        policies = {name: str(prepared_teacher(task, name)) for name in EXPORTED}
        exported += common.against_floors(
            task, policies, environments, window, repeats=repeats, load=common.load_policy
        )
    common.show(exported)
    targets = {
        "of predict (of both, where physics takes its share)": ">= 0.8",
        "exported, of physics": ">= 0.5",
    }
    common.report(arguments, rows, targets, exported=exported)


if __name__ == "__main__":
    main()
