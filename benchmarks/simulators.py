"""The same policies in D4RL's original simulator, in ours, and in stock Gymnasium: returns, and how much they differ.

The shipped behaviour policies, each by its mean action, play the same initial states in every simulator. "original,
moved" is the original once more with every initial position moved by about 1e-15: what it does to itself is the most
that one can ask of another simulator. Needs the environment of envs/mujoco-py/install.sh.
"""

import argparse
import datetime
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import gymnasium
import matplotlib
import mujoco
import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper
from support import ROOT
from tqdm import tqdm

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.core.script import run
from d4rl_automl.data import recipes
from d4rl_automl.figures import style
from d4rl_automl.policies.onnx import OnnxPolicy
from d4rl_automl.simulators import robots
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.models import prepare_mujoco
from d4rl_automl.simulators.original import OriginalSimulator
from d4rl_automl.tasks import outcomes, scores
from d4rl_automl.tasks.seeds import episode_seeds

matplotlib.use("Agg")
import matplotlib.pyplot as plt

POLICIES = ("halfcheetah-medium", "hopper-medium", "hopper-expert", "walker2d-medium", "walker2d-expert")
ORIGINAL, MOVED = "original", "original, moved"
SIMULATORS = {
    ORIGINAL: "D4RL 1.1, MuJoCo 2.1.0 (mujoco-py)",
    MOVED: "the same, initial positions moved by 1e-15",
    "d4rl": f"ours (d4rl), MuJoCo {mujoco.__version__}",
    "gymnasium": f"Gymnasium v4, MuJoCo {mujoco.__version__}",
    "gymnasium-v5": f"Gymnasium v5, MuJoCo {mujoco.__version__}",
}
LINES = {
    ORIGINAL: {"color": style.INK, "linewidth": 3.2, "alpha": 0.45},
    MOVED: {"color": style.INK, "linewidth": 1.0, "linestyle": (0, (1, 2))},
    "d4rl": {"color": style.COLOURS[0], "linewidth": 1.5},
    "gymnasium": {"color": style.COLOURS[1], "linewidth": 1.5, "linestyle": "--"},
    "gymnasium-v5": {"color": style.COLOURS[2], "linewidth": 1.5, "linestyle": "-."},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100, help="per policy and simulator")
    parser.add_argument("--policies", nargs="+", default=POLICIES, choices=POLICIES)
    parser.add_argument("--output", default=ROOT / "results/benchmarks/simulators.json", help="every return, as JSON")
    parser.add_argument("--figure", default=ROOT / "docs/figures/simulators.png")
    arguments = parser.parse_args()
    prepare_mujoco()
    rows = []
    for name in arguments.policies:
        for simulator in tqdm(SIMULATORS, desc=name, file=sys.stderr):
            rows.append(play(name, simulator, arguments.episodes))
    table = summarise(rows)
    print(table.to_string(index=False))
    facts = {
        "date": datetime.date.today().isoformat(),
        "machine": platform.processor() or platform.machine(),
        "mujoco": mujoco.__version__,
        "gymnasium": gymnasium.__version__,
        "original": OriginalSimulator("hopper", 1).versions,
        "summary": table.to_dict("records"),
        "episodes": rows,
    }
    files.write_json(arguments.output, facts)
    draw(rows, Path(arguments.figure))


def play(name: str, simulator: str, episodes: int) -> dict[str, Any]:
    """One policy in one simulator: the return and the length of each episode, and whether it fell."""
    task = name.split("-", maxsplit=1)[0]
    policy, seeds = load_mean_action(name), episode_seeds(0, name, "report", episodes)
    played: Any
    if simulator in (ORIGINAL, MOVED):
        played = OriginalSimulator(task, episodes)
    else:
        played = BatchSimulator(task, episodes, simulator)
    observations = played.reset(seeds)
    np.testing.assert_array_equal(observations, BatchSimulator(task, episodes).reset(seeds))
    if simulator == MOVED:
        ours = BatchSimulator(task, 1)
        qpos, qvel = ours.robot.initial_states(ours.model, robots.seeded(seeds))
        observations = played.set_state(
            qpos + 1e-15 * np.random.default_rng(0).standard_normal(qpos.shape), qvel, np.arange(episodes)
        )
    returns, fell, running = np.zeros(episodes), np.zeros(episodes, bool), np.arange(episodes)
    while len(running):
        observations, rewards, fell[running], truncated = played.step(policy.act(observations), running)
        returns[running] += rewards
        going = ~(fell[running] | truncated)
        running, observations = running[going], observations[going]
    return {
        "policy": name,
        "simulator": simulator,
        "returns": returns.tolist(),
        "lengths": played.steps.tolist(),
        "fell": fell.tolist(),
    }


def load_mean_action(name: str) -> OnnxPolicy:
    """A behaviour policy without its noise, in the project's ONNX format."""
    path = recipes.BEHAVIOUR / f"{name}.npz"
    with np.load(path, allow_pickle=False) as arrays:
        weights = {key: arrays[key] for key in arrays.files}
    activation = {"tanh": "Tanh", "relu": "Relu"}[str(weights["activation"])]
    nodes, constants, current = [], [], "observation"
    for layer, (weight, bias, function) in enumerate(
        (("w0", "b0", activation), ("w1", "b1", activation), ("w_mu", "b_mu", "Tanh"))
    ):
        constants += [numpy_helper.from_array(weights[key].astype(np.float32), key) for key in (weight, bias)]
        output = "action" if weight == "w_mu" else f"hidden{layer}"
        nodes.append(helper.make_node("Gemm", [current, weight, bias], [f"sum{layer}"]))
        nodes.append(helper.make_node(function, [f"sum{layer}"], [output]))
        current = output
    task = tasks.get(name.split("-", maxsplit=1)[0])
    sizes = {"observation": task.observation_size, "action": task.action_size}
    values = [helper.make_tensor_value_info(key, TensorProto.FLOAT, ["N", width]) for key, width in sizes.items()]
    graph = helper.make_graph(nodes, "policy", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    metadata = {"method": name, "seed": 0, "outcome_rule": outcomes.NONE.name, "task": task.name}
    metadata |= {"observation_size": task.observation_size, "action_size": task.action_size}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{name}.onnx")
        onnx.save(model, file)
        return OnnxPolicy(file, metadata, 1)


def summarise(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Per policy and simulator; differences are of normalised scores, episode by episode, from the original's."""
    table = []
    for row in rows:
        task = row["policy"].split("-")[0]
        original = next(r for r in rows if r["policy"] == row["policy"] and r["simulator"] == ORIGINAL)
        returns = np.array(row["returns"])
        difference = scores.normalise(task, returns) - scores.normalise(task, original["returns"])
        low, middle, high = np.quantile(returns, (0.25, 0.5, 0.75))
        table.append(
            {
                "policy": row["policy"],
                "simulator": row["simulator"],
                "mean": round(returns.mean(), 1),
                "sd": round(returns.std(ddof=1), 1),
                "quartiles": f"{low:.0f} {middle:.0f} {high:.0f}",
                "normalised": round(float(scores.normalise(task, returns.mean())), 2),
                "falls": int(np.sum(row["fell"])),
                "difference": round(difference.mean(), 2),
                "95 % ±": round(1.96 * difference.std(ddof=1) / len(difference) ** 0.5, 2),
                "median |difference|": float(f"{np.median(np.abs(difference)):.2g}"),
            }
        )
    return pd.DataFrame(table)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """The distribution function of the normalised score, a panel for each policy."""
    names = list(dict.fromkeys(row["policy"] for row in rows))
    with style.settings():
        figure, axes = plt.subplots(2, 3, figsize=(10.5, 6), sharey=True, layout="constrained")
        for ax, name in zip(axes.flat, names, strict=False):
            for row in (row for row in rows if row["policy"] == name):
                normalised = scores.normalise(name.split("-")[0], row["returns"])
                ax.ecdf(normalised, label=SIMULATORS[row["simulator"]], **LINES[row["simulator"]])
            ax.set(title=name, xlabel="normalised score of an episode")
            ax.set_ylim(0, 1)
        for ax in axes[:, 0]:
            ax.set_ylabel("share of episodes at or below")
        for ax in axes.flat[len(names) :]:
            ax.set_axis_off()
        handles, labels = axes.flat[0].get_legend_handles_labels()
        axes.flat[-1].legend(handles, labels, loc="center", title=f"{len(rows[0]['returns'])} episodes each")
        with files.whole(path) as part:
            figure.savefig(part, dpi=style.DPI)
        plt.close(figure)


if __name__ == "__main__":
    run(main)
