"""Single steps of D4RL's original simulator against ours and stock Gymnasium's v4, and what each cure does.

Reads tests/oracle/mujoco210.npz. An error is the largest difference of any position or velocity after one step from the
same state with the same action. Steps whose outcome in the original hangs on the last bit of the state are left out,
and counted.
"""

import argparse
import json

import mujoco
import numpy as np
import pandas as pd
from support import ROOT

from d4rl_automl.core.files import write_json
from d4rl_automl.core.script import run
from d4rl_automl.simulators import robots
from d4rl_automl.simulators.models import make_model
from d4rl_automl.tasks import gym

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
    parser.add_argument("--output", default=ROOT / "results/benchmarks/simulator_steps.json")
    arguments = parser.parse_args()
    with np.load(arguments.recording, allow_pickle=False) as arrays:
        recording = dict(arrays)
    table = pd.DataFrame([measure(recording, task.name, model) for task in gym.TASKS for model in MODELS])
    print(table.to_string(index=False))
    write_json(arguments.output, table.to_dict("records"))


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


def shorten(value: float) -> float:
    return float(f"{value:.1e}")


if __name__ == "__main__":
    run(main)
