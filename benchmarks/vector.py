"""The vector environment against physics alone, and beside EnvPool's Gymnasium-v4 tasks of the same robots.

A batch of random actions is given for each step. Of one process with one thread: after each step of the environments
that moved, mj_step does it over in a compiled loop (support/physics.c), from the same states with the same controls, to
the same positions; then EnvPool makes a step. The same with a thread a core is compared with EnvPool alone. Only steps
that moved a robot count: those that reset an environment do not, on any side.

EnvPool's physics is not D4RL's: its tasks are made after Gymnasium's v4 environments. Where it is not installed
(pip install envpool), its columns are left out.

Then a single environment against Gymnasium's own, v4 with its wrappers and random actions, in turns.
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from support import floors, reporting, watching
from support.processes import CORES, Clock, Run, in_turns
from support.watching import Window

from d4rl_automl import tasks
from d4rl_automl.gym import environment_id
from d4rl_automl.gym.vector import D4RLVectorEnv
from d4rl_automl.simulators import robots
from tests.support.stock import make_environment

SINGLE_STEPS = 2_000
"""Of a turn of a single environment."""

Step = Callable[[NDArray[np.float32]], NDArray[np.bool_]]
"""Makes a step of all environments, and says which of them ended."""


class Moving:
    """Environments side by side, timed; in each step those that ended in the one before are reset instead."""

    def __init__(self, environments: int, step: Step) -> None:
        self.clock, self._step = Clock(), step
        self.moves = np.ones(environments, bool)
        """Those that the next step moves."""

    def step(self, actions: NDArray[np.float32]) -> None:
        self.clock.start()
        ended = self._step(actions)
        self.clock.stop(int(np.count_nonzero(self.moves)))
        self.moves = ~ended


def envpool(task: str, environments: int, threads: int, seed: int) -> Moving:
    """EnvPool's environments of a task's robot."""
    robot = robots.get(task)
    assert isinstance(robot, robots.Runner), f"EnvPool has no environment of {task}"
    pool = importlib.import_module("envpool").make(
        f"{robot.name}-v4", env_type="gymnasium", num_envs=environments, num_threads=threads, seed=seed
    )
    pool.reset()

    def step(actions: NDArray[np.float32]) -> NDArray[np.bool_]:
        _, _, terminated, truncated, _ = pool.step(actions.astype(pool.action_space.dtype))
        ended: NDArray[np.bool_] = terminated | truncated
        return ended

    return Moving(environments, step)


def vector(task: str, environments: int, window: Window, *, threads: int, seed: int, beside: bool) -> dict[str, Clock]:
    """Clocks of the vector environment, of its physics (with one thread) and of EnvPool (`beside`)."""
    ours = D4RLVectorEnv(task, environments, threads=threads)
    ours.reset(seed=seed * environments)

    def step(actions: NDArray[np.float32]) -> NDArray[np.bool_]:
        _, _, terminated, truncated, _ = ours.step(actions)
        return terminated | truncated

    measured = {"vector": Moving(environments, step)}
    if beside:
        measured["envpool"] = envpool(task, environments, threads, seed)
    physics, simulator, generator = Clock(), ours.simulator, np.random.default_rng(seed)
    for number in range(window.skipped + window.steps):
        if number == window.skipped:
            for moving in measured.values():
                moving.clock = Clock()
        actions = generator.uniform(-1, 1, (environments, tasks.get(task).action_size)).astype(np.float32)
        ids, states = np.flatnonzero(measured["vector"].moves), simulator.batch.state.copy()
        for moving in measured.values():
            moving.step(actions)
        if number >= window.skipped and threads == 1:
            chunk = floors.Chunk(simulator.model, states[ids], simulator.robot.frame_skip)
            chunk.ids, chunk.controls = [np.arange(len(ids))], [simulator.batch.ctrl[ids]]
            chunk.positions = simulator.qpos[ids]
            floors.replay(chunk, physics)
    return {name: moving.clock for name, moving in measured.items()} | {"physics": physics}


def single(environment: gymnasium.Env[Any, Any]) -> Callable[[], Run]:
    """Runs an environment, with new episodes where it needs them."""
    size = environment.action_space.shape
    assert size is not None
    actions = np.random.default_rng(0).uniform(-1, 1, (SINGLE_STEPS, *size)).astype(np.float32)

    def run() -> Run:
        environment.reset(seed=0)
        clock = Clock()
        clock.start()
        for action in actions:
            _, _, terminated, truncated, _ = environment.step(action)
            if terminated or truncated:
                environment.reset()
        clock.stop(len(actions))
        return Run(clock.units, clock.wall, clock.cpu)

    return run


def measured(task: str, environments: int, window: Window, repeats: int, beside: bool) -> dict[str, Any]:
    """A row of the report."""
    row: dict[str, Any] = {"task": task}
    for threads in dict.fromkeys((1, CORES)):
        turns = [
            vector(task, environments, window, threads=threads, seed=seed, beside=beside) for seed in range(repeats)
        ]
        seconds, cpu = (
            {name: sum(getattr(one[name], what) for one in turns) for name in turns[0]} for what in ("wall", "cpu")
        )
        units = {name: sum(one[name].units for one in turns) for name in turns[0]}
        wall_each = {name: seconds[name] / units[name] for name in units if units[name]}
        label = f", {threads} threads" * (threads > 1)
        row[f"vector steps/s{label}"] = round(1 / wall_each["vector"])
        if threads == 1:
            row["of physics"] = round(wall_each["physics"] / wall_each["vector"], 3)
            row["cpu, of physics"] = round(cpu["physics"] / units["physics"] * units["vector"] / cpu["vector"], 3)
        if beside:
            row[f"times EnvPool{label}"] = round(wall_each["envpool"] / wall_each["vector"], 2)
        row[f"clocks{label}"] = {"seconds": seconds, "cpu": cpu, "units": units}
    turn = in_turns(
        {
            "single": single(gymnasium.make(environment_id(task))),
            "v4": single(make_environment(task)),
        },
        3 * repeats,
    )
    row["single steps/s"] = round(turn["single"].rate)
    row["times Gymnasium's"] = turn.ratio("single", "v4")
    return row


def main() -> None:
    parser = reporting.parser(__doc__, reporting.ROBOTS)
    watching.add_window(parser)
    arguments = parser.parse_args()
    window, repeats = watching.window(arguments), reporting.repeats(arguments)
    beside = importlib.util.find_spec("envpool") is not None
    version = importlib.metadata.version("envpool") if beside else None
    rows = [measured(task, arguments.environments, window, repeats, beside) for task in arguments.tasks]
    print(
        f"EnvPool {version} is installed. Its physics is not D4RL's: its tasks are made after Gymnasium's v4."
        if beside
        else "EnvPool is not installed and was left out: pip install envpool"
    )
    reporting.report(arguments, rows, {"of physics": ">= 0.85"}, envpool=version)


if __name__ == "__main__":
    main()
