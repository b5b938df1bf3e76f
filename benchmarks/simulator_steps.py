"""Single steps of D4RL's original simulator against ours and stock Gymnasium's v4, and what each cure does.

Reads tests/oracle/mujoco210.npz, and of AntMaze, by the kinds of tests/oracle/record_antmaze.py, antmaze210.npz. An
error is the largest difference of any position or velocity after one step from the same state with the same action.
Steps whose outcome in the original hangs on the last bit of the state are left out, and counted.
"""

import argparse
import json
from unittest import mock

import mujoco
import numpy as np
import pandas as pd
from support import ROOT

from d4rl_automl.core.files import write_json
from d4rl_automl.core.script import run
from d4rl_automl.simulators import batch, robots
from d4rl_automl.simulators.models import make_model
from d4rl_automl.tasks import antmaze, gym

# What the simulators differ by: a variant, and a factor on its contact margins.
MODELS = {
    "stock v4": ("gymnasium", 1.0),
    "half margins alone": ("gymnasium", 0.5),
    "old inertias alone": ("d4rl", 2.0),
    "both: d4rl": ("d4rl", 1.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", default=ROOT / "tests/oracle/mujoco210.npz")
    parser.add_argument("--mazes", default=ROOT / "tests/oracle/antmaze210.npz")
    parser.add_argument("--output", default=ROOT / "results/benchmarks/simulator_steps.json")
    arguments = parser.parse_args()
    with np.load(arguments.recording, allow_pickle=False) as arrays:
        recording = dict(arrays)
    table = pd.DataFrame([measure(recording, task.name, model) for task in gym.TASKS for model in MODELS])
    print(table.to_string(index=False))
    with np.load(arguments.mazes, allow_pickle=False) as arrays:
        mazes = pd.DataFrame(measure_mazes(dict(arrays)))
    print(mazes.to_string(index=False))
    write_json(arguments.output, {"robots": table.to_dict("records"), "antmaze": mazes.to_dict("records")})


def measure(recording: dict[str, np.ndarray], task: str, model: str) -> dict[str, object]:
    steps = {name.split("/")[-1]: values for name, values in recording.items() if name.startswith(f"{task}/steps/")}
    determined = steps["twin_error"] <= 1e-6
    steps = {name: values[determined] for name, values in steps.items()}
    variant, factor = MODELS[model]
    robot = robots.get(task)
    physics = make_model(task, variant)
    physics.pair_margin *= factor
    # The arithmetic of D4RL's action wrapper is the same for all models, in float32 where the action was.
    single = steps["kind"] == json.loads(str(recording["metadata"]))["kinds"].index("float32")
    in_single = (steps["action"].astype(np.float32) + np.float32(1)) - np.float32(1)
    actions = np.where(single[:, None], in_single, (steps["action"] + 1) - 1).clip(-1, 1)
    qpos, qvel = np.empty_like(steps["qpos"]), np.empty_like(steps["qvel"])
    data = mujoco.MjData(physics)
    for row in range(len(qpos)):
        mujoco.mj_resetData(physics, data)
        data.qpos[:], data.qvel[:], data.ctrl[:] = steps["qpos"][row], steps["qvel"][row], actions[row]
        mujoco.mj_step(physics, data, nstep=robot.frame_skip)
        qpos[row], qvel[row] = data.qpos, data.qvel
    seconds = physics.opt.timestep * robot.frame_skip
    rounded, exact = (
        robot.rewards(
            steps["qpos"], qpos, those, terminated=robot.terminated(qpos, qvel), seconds=seconds, variant="d4rl"
        )
        for those in (actions.astype(np.float32), actions)
    )
    rewards = np.where(single, rounded, exact)
    terminated = robot.terminated(qpos, qvel)
    errors = np.maximum(np.abs(qpos - steps["next_qpos"]).max(axis=1), np.abs(qvel - steps["next_qvel"]).max(axis=1))
    return {
        "task": task,
        "model": model,
        "steps": len(errors),
        "left out": int((~determined).sum()),
        "median": shorten(np.median(errors)),
        "99 %": shorten(np.quantile(errors, 0.99)),
        "largest": shorten(errors.max()),
        "within 1e-9": round(float((errors <= 1e-9).mean()), 4),
        "reward, median": shorten(np.median(np.abs(rewards - steps["reward"]))),
        "reward, largest": shorten(np.abs(rewards - steps["reward"]).max()),
        "terminations that differ": int((terminated != steps["terminated"]).sum()),
    }


def measure_mazes(recording: dict[str, np.ndarray]) -> list[dict[str, object]]:
    """A row for each kind of step, of the three mazes together: as the model is, and without the solver's tolerance."""
    kinds = json.loads(str(recording["metadata"]))["kinds"]
    found: dict[str, list[np.ndarray]] = {}
    for task in antmaze.TASKS[::2]:
        assert task.maze is not None
        name = task.name.split("-")[1]
        steps = {key.split("/")[-1]: values for key, values in recording.items() if key.startswith(f"{name}/steps/")}
        for tolerance in (None, 0.0):
            errors, differing = step_mazes(task.name, steps, tolerance)
            for number, kind in enumerate(kinds):
                rows = steps["kind"] == number
                found.setdefault(kind if tolerance is None else f"{kind}, unstopped", []).append(errors[rows])
            assert not differing.any()
    rows = {kind: np.concatenate(errors) for kind, errors in found.items()}
    return [
        {
            "kind": kind,
            "steps": len(rows[kind]),
            "median": shorten(np.median(rows[kind])),
            "99 %": shorten(np.quantile(rows[kind], 0.99)),
            "largest": shorten(rows[kind].max()),
            "within 1e-9": round(float((rows[kind] <= 1e-9).mean()), 4),
            "largest, solver unstopped": shorten(rows[f"{kind}, unstopped"].max()),
        }
        for kind in kinds
    ]


def step_mazes(task: str, steps: dict[str, np.ndarray], tolerance: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the recorded steps of a maze, and whether reward or end differ."""

    def model(*arguments: str) -> mujoco.MjModel:
        made = make_model(*arguments)
        made.opt.tolerance = made.opt.tolerance if tolerance is None else tolerance
        return made

    with mock.patch.object(batch, "make_model", model):
        simulator = batch.BatchSimulator(task, len(steps["kind"]))
    simulator.set_state(steps["qpos"], steps["qvel"])
    simulator.goals[:] = steps["goal"]
    differing = np.zeros(simulator.size, bool)
    for single in (True, False):
        ids = np.flatnonzero(steps["single"] == single)
        actions = steps["action"][ids]
        given = actions.astype(np.float32) if single else actions.astype(np.float64)
        _, rewards, terminated, _ = simulator.step(given, ids)
        differing[ids] = (rewards != steps["reward"][ids]) | (terminated != steps["terminated"][ids])
    qpos, qvel = np.abs(simulator.qpos - steps["next_qpos"]), np.abs(simulator.qvel - steps["next_qvel"])
    return np.maximum(qpos.max(axis=1), qvel.max(axis=1)), differing


def shorten(value: float) -> float:
    return float(f"{value:.1e}")


if __name__ == "__main__":
    run(main)
