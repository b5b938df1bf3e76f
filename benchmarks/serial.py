"""Rollouts against the loop that rvs and CORL use: one Gymnasium environment, one torch call per step.

The same student (two layers of 256) in the same physics (the stock v4 environments, which they play). The loop runs
alone, as they run it, and once per core; ours runs 2,000 environments, one process a core.
"""

import functools
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import gymnasium
import mujoco
import numpy as np
import onnx
import torch
from support import prepared, processes, reporting, watching

from d4rl_automl import tasks
from d4rl_automl.policies.loading import load_policy, read_metadata
from d4rl_automl.simulators import robots

OUTCOME_FRACTION = 1.0


class Actor(torch.nn.Module):
    """The exported network in torch, acting as CORL's policies do. The graph is a chain of these operators."""

    OPERATORS: ClassVar[dict[str, Callable[..., torch.Tensor]]] = {
        "Sub": torch.sub,
        "Mul": torch.mul,
        "Div": torch.div,
        "Gemm": torch.nn.functional.linear,
        "Relu": torch.relu,
        "Tanh": torch.tanh,
        "Clip": torch.clamp,
    }

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = onnx.load(path).graph
        arrays = {node.name: torch.from_numpy(onnx.numpy_helper.to_array(node).copy()) for node in graph.initializer}
        # Observation and outcome come joined already.
        nodes = [node for node in graph.node if node.op_type != "Concat"]
        self.chain = [(self.OPERATORS[node.op_type], [arrays[name] for name in node.input[1:]]) for node in nodes]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for operator, constants in self.chain:
            x = operator(x, *constants)
        return x

    @torch.no_grad()
    def act(self, observation: np.ndarray) -> np.ndarray:
        return self(torch.tensor(observation.reshape(1, -1), dtype=torch.float32)).cpu().numpy().flatten()


def serial(index: int, handle: str, seconds: float) -> dict[str, processes.Measured]:
    """For `processes.Processes`: episodes of one environment for so many seconds."""
    torch.set_num_threads(1)
    metadata = read_metadata(handle)
    task, robot = tasks.get(metadata["task"]), robots.get(metadata["task"])
    assert isinstance(robot, robots.Runner)
    actor = Actor(Path(handle).with_suffix(".onnx"))
    log = mujoco.MjLogConfig.get()
    # Of a deprecated attribute in Gymnasium's file.
    log.logto_console = False
    log.set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        environment = gymnasium.make(f"{robot.name}-v4")
    target = np.float32(task.target(OUTCOME_FRACTION))
    observations = np.random.default_rng(0).normal(size=(100, task.observation_size)).astype(np.float32)
    ours = load_policy(handle).act(observations, np.full((100, 1), target))
    theirs = np.stack([actor.act(np.append(observation, target)) for observation in observations])
    np.testing.assert_allclose(theirs, ours, atol=1e-5)

    def play(stopwatch: processes.Stopwatch) -> None:
        steps, seed = 0, index
        stopwatch.start()
        enough = time.perf_counter() + seconds
        while time.perf_counter() < enough:
            observation, _ = environment.reset(seed=seed)
            seed += processes.CORES
            ended = False
            while not ended and (steps % 100 or time.perf_counter() < enough):
                observation, _, terminated, truncated, _ = environment.step(actor.act(np.append(observation, target)))
                ended = terminated or truncated
                steps += 1
        stopwatch.stop(steps)

    return {"serial": play}


def main() -> None:
    parser = reporting.parser(__doc__, reporting.ROBOTS)
    watching.add_window(parser)
    parser.add_argument("--seconds", type=float, help="of a run of the loop; default: 10, or 2 with --quick")
    arguments = parser.parse_args()
    seconds = arguments.seconds or (2 if arguments.quick else 10)
    asked = watching.window(arguments)
    window = watching.Window(asked.skipped, asked.steps, "gymnasium", (OUTCOME_FRACTION,))
    rows = []
    for task in arguments.tasks:
        handle = str(prepared.student(task))
        with (
            processes.Processes(1, 1, serial, handle, seconds) as alone,
            processes.Processes(processes.CORES, 1, serial, handle, seconds) as each,
            processes.Processes(
                processes.CORES,
                1,
                watching.rollouts,
                {"2x256": handle},
                arguments.environments // processes.CORES,
                window,
                load_policy,
                {},
            ) as batched,
        ):
            found = processes.in_turns(
                {
                    "loop": functools.partial(alone.run, "serial"),
                    "loops": functools.partial(each.run, "serial"),
                    "rollout": functools.partial(batched.run, "2x256"),
                },
                reporting.repeats(arguments),
            )
        rows.append(
            {
                "task": task,
                "one loop": round(found["loop"].rate),
                "a loop per core": round(found["loops"].rate),
                "rollout": round(found["rollout"].rate),
                "times one loop": found.ratio("rollout", "loop"),
                "times a loop per core": found.ratio("rollout", "loops"),
                "cpu us/step, loop": round(found["loop"].microseconds, 1),
                "cpu us/step, rollout": round(found["rollout"].microseconds, 1),
                "runs": found.facts(),
            }
        )
    reporting.report(arguments, rows, {"times one loop": ">= 4"})


if __name__ == "__main__":
    main()
