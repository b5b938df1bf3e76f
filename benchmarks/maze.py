"""AntMaze: rollouts against physics alone, what the walls cost, how contacts are found, and how deep they get.

Of one process with one thread, in every maze, with actions that hold for some steps and so get the ants somewhere:

- of physics: rollouts, of a network of two layers of 256 and the simulator, beside mj_step along the same controls in a
  compiled loop, from the same states to the same positions (support/physics.c), MuJoCo's timer off, in turns. The
  network is asked and its actions are not played: it is untrained, and would stay where it is;
- listed, searched, both: processor time of physics, relative to the simulator's own, if the pairs that may touch are
  in the model's list, if MuJoCo looks for all of them, and if the floor's are listed and the walls looked for. All have
  the same states, to the bit. No walls: the same controls on open ground;
- deep: of the physics steps in which a limb touches a wall, those in which its axis is in it, where MuJoCo 2.1.0 does
  something else than later versions (docs/evidence/simulator.md); deepest in radii of the limb.

With --policy, a policy's handle, that plays its own task instead: its success in the simulator and in D4RL's original
(envs/mujoco-py/install.sh), from the same starts to the same goals, and how deep its contacts get.
"""

import dataclasses
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import mujoco
import mujoco.batch
import numpy as np
from numpy.typing import NDArray
from support import floors, reporting
from support.processes import Clock

from d4rl_automl import tasks
from d4rl_automl.behaviour import navigation
from d4rl_automl.data.recipes import BEHAVIOUR
from d4rl_automl.evaluation import rollout as evaluation
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.simulators import maze
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.models import make_model
from d4rl_automl.tasks import antmaze, mazes
from d4rl_automl.tasks.seeds import episode_seeds
from tests.support.policies import metadata_of, write_policy

MAZES = ("antmaze-umaze", "antmaze-medium-play", "antmaze-large-play")
"""A task in each."""
HELD = 5
"""Steps that a random action is held for."""
Act = Callable[[int, NDArray[np.float64], NDArray[np.int64]], NDArray[Any]]
"""Asked for the actions of a step, by its number, the observations and the numbers of the environments."""


def main() -> None:
    parser = reporting.parser(__doc__, tuple(task.name for task in antmaze.TASKS))
    parser.set_defaults(tasks=MAZES)
    reporting.add_repeats(parser)
    parser.add_argument("--environments", type=int, default=200, help="or episodes of a policy")
    parser.add_argument("--policy", help="the handle of a policy of an AntMaze task")
    parser.add_argument("--guided", action="store_true", help="play the ant that collects, led by waypoints, in both")
    arguments = parser.parse_args()
    if arguments.guided:
        rows = [
            {"task": task} | row for task in arguments.tasks for row in of_policy(Guided(task), arguments.environments)
        ]
        reporting.report(arguments, rows, {})
        return
    if arguments.policy:
        reporting.report(arguments, of_policy(load_policy(arguments.policy), arguments.environments), {})
        return
    rows, steps = [], 20 if arguments.quick else 60
    for task in arguments.tasks:
        row: dict[str, Any] = {"task": task, "walls": len(_maze(task).walls)}
        row |= rollout(task, arguments.environments, steps, reporting.repeats(arguments))
        row |= ways(task, arguments.environments, steps, reporting.repeats(arguments))
        simulator = BatchSimulator(task, arguments.environments)
        row |= depths(simulator, spread(simulator, 0), random(arguments.environments, 0))
        rows.append(row)
    reporting.report(arguments, rows, {"of physics": ">= 0.85"})


class Guided(Policy):
    """The ant that collects embedded data, led to its goal by waypoints, without noise."""

    def __init__(self, task: str) -> None:
        sizes = {"observation_size": 29, "action_size": 8}
        super().__init__(
            {"method": "guided", "seed": 0, "dataset": task, "task": task, "outcome_rule": "goal", "kind": "guided"}
            | sizes
        )
        self._guide = navigation.Guide(BEHAVIOUR / "ant-expert.npz", _maze(task), 0.0)

    def predict(self, observations: NDArray[np.float32], outcome: NDArray[np.float32] | None) -> NDArray[np.floating]:
        assert outcome is not None
        still = np.zeros((len(observations), 8), np.float32)
        return self._guide.act(np.concatenate([observations, outcome], axis=1), still)[0]


def of_policy(policy: Policy, episodes: int) -> list[dict[str, Any]]:
    """A row for each simulator: how many episodes reach their goal, and in how many steps."""
    rows = []
    for name in ("d4rl", "mujoco-py"):
        table = evaluation.rollout(policy, [1.0], episodes=episodes, simulator=name).to_pandas()
        reached = table["return"] > 0
        row = {"simulator": name, "episodes": episodes, "reached": int(reached.sum())}
        rows.append(row | {"median steps": float(table["length"][reached].median())})
    simulator, rule = BatchSimulator(policy.metadata["task"], episodes), policy.outcome_rule
    asked = np.full((episodes, 1), rule.commanded(simulator.task, 1.0)) if rule.of_return else simulator.goals

    def act(step: int, observations: NDArray[np.float64], ids: NDArray[np.int64]) -> NDArray[Any]:
        return policy.act(observations, rule.outcome(asked[ids], np.zeros(len(ids)), step))

    seeds = episode_seeds(0, policy.metadata["dataset"], "report", episodes)
    rows[0] |= depths(simulator, simulator.reset(seeds), act, simulator.task.episode_steps)
    return rows


def random(environments: int, seed: int) -> Act:
    """Uniform actions, each held for some steps."""
    generator = np.random.default_rng(seed)
    held = {0: generator.uniform(-1, 1, (environments, 8)).astype(np.float32)}

    def act(step: int, observations: NDArray[np.float64], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        number = step // HELD
        if number not in held:
            held[number] = generator.uniform(-1, 1, (environments, 8)).astype(np.float32)
        return held[number][ids]

    return act


def spread(simulator: BatchSimulator, seed: int) -> NDArray[np.float64]:
    """Start in all free cells, not in the one, so that walls are met; returns the observations."""
    simulator.reset(range(seed * simulator.size, (seed + 1) * simulator.size))
    layout, generator = _maze(simulator.task.name), np.random.default_rng(seed)
    free = layout.cells(mazes.FREE, mazes.START, mazes.GOAL)
    qpos = simulator.qpos.copy()
    qpos[:, :2] += [layout.centre(free[row % len(free)]) for row in range(simulator.size)]
    qpos[:, :2] += generator.uniform(-0.7, 0.7, (simulator.size, 2))
    # Nothing ends before its time.
    simulator.goals[:] = np.nan
    return simulator.set_state(qpos, simulator.qvel.copy())


def rollout(task: str, environments: int, steps: int, repeats: int) -> dict[str, Any]:
    """A network and the simulator beside the physics, step by step in turns."""
    whole, physics, network = Clock(), Clock(), _network(task)
    for seed in range(repeats):
        simulator, act = BatchSimulator(task, environments), random(environments, seed)
        observations = spread(simulator, seed)
        for step in range(steps):
            states = simulator.batch.state.copy()
            actions = act(step, observations, np.arange(environments))
            whole.start()
            network.act(observations, None)
            observations, *_ = simulator.step(actions)
            whole.stop(environments)
            chunk = floors.Chunk(simulator.model, states, simulator.robot.frame_skip)
            chunk.ids, chunk.controls = [np.arange(environments)], [simulator.batch.ctrl.copy()]
            chunk.positions = simulator.qpos.copy()
            floors.replay(chunk, physics)
    return {
        "steps/s": round(whole.units / whole.wall),
        "of physics": round(physics.wall / whole.wall, 3),
        "cpu, of physics": round(physics.cpu / whole.cpu, 3),
    }


def ways(task: str, environments: int, steps: int, repeats: int) -> dict[str, Any]:
    """Processor time of physics by each way of finding contacts, and without walls, relative to the simulator's own."""
    models = {"ours": make_model(task)}
    with mock.patch.object(maze.AntMaze, "is_searched", lambda *_: False):
        models["listed"] = make_model(task)
    with mock.patch.object(maze.AntMaze, "is_searched", lambda *_: True):
        models["searched"] = make_model(task)
    with mock.patch.object(maze.AntMaze, "is_searched", lambda _, geom: geom.name.startswith("wall")):
        models["both"] = make_model(task)
    robot = maze.AntMaze(dataclasses.replace(_maze(task), rows=(mazes.START,)))
    with mock.patch("d4rl_automl.simulators.robots.get", lambda _: robot):
        models["no walls"] = make_model(task)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for seed in range(repeats):
        simulator, act = BatchSimulator(task, environments), random(environments, seed)
        spread(simulator, seed)
        batches = {name: mujoco.batch.Batch(model, environments, 1) for name, model in models.items()}
        for batch in batches.values():
            batch.state[:] = simulator.batch.state
        for step in range(steps):
            controls = simulator.robot.controls(act(step, simulator.qpos, np.arange(environments)), "d4rl")
            for name, batch in batches.items():
                batch.ctrl[:] = controls
                clock = Clock()
                clock.start()
                batch.step(None, simulator.robot.frame_skip)
                clock.stop()
                seconds[name].append(clock.cpu)
        for name in ("listed", "searched", "both"):
            np.testing.assert_array_equal(batches[name].state, batches["ours"].state)
    found = {name: np.array(values) for name, values in seconds.items()}
    return {
        name: round(float(np.median(values / found["ours"])), 3) for name, values in found.items() if name != "ours"
    }


def depths(simulator: BatchSimulator, observations: NDArray[np.float64], act: Act, steps: int = 60) -> dict[str, Any]:
    """How many physics steps have a limb that touches a wall, and how many one whose axis is in it."""
    model, data = simulator.model, mujoco.MjData(simulator.model)
    made, touching, deep, deepest, running = 0, 0, 0, 0.0, np.arange(simulator.size)
    for step in range(steps):
        actions = act(step, observations, running)
        controls = simulator.robot.controls(actions, simulator.variant)
        # The step is made twice: here, where every step of the physics can be looked at.
        for state, control in zip(simulator.batch.state[running], controls, strict=True):
            mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
            data.ctrl[:] = control
            for _ in range(simulator.robot.frame_skip):
                mujoco.mj_step(model, data)
                depth = _depth(model, data)
                made, touching, deep, deepest = (
                    made + 1,
                    touching + (depth > 0),
                    deep + (depth > 1),
                    max(depth, deepest),
                )
        observations, _, terminated, truncated = simulator.step(actions, running)
        going = ~(terminated | truncated)
        running, observations = running[going], observations[going]
        if not len(running):
            break
    return {"physics steps": made, "touching": touching, "deep": deep, "deepest": round(deepest, 2)}


def _depth(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """The deepest contact of a limb with a wall, over the limb's radius; 0 without one."""
    if not data.ncon:
        return 0.0
    pairs = data.contact.geom
    boxes = model.geom_type[pairs] == mujoco.mjtGeom.mjGEOM_BOX
    walls = boxes.any(axis=1)
    if not walls.any():
        return 0.0
    limbs = np.where(boxes[walls, 0], pairs[walls, 1], pairs[walls, 0])
    return max(0.0, float((-data.contact.dist[walls] / model.geom_size[limbs, 0]).max()))


def _network(task: str) -> Policy:
    metadata = metadata_of(task, "none")
    sizes = [metadata["observation_size"], 256, 256, metadata["action_size"]]
    generator = np.random.default_rng(0)
    layers = [(generator.normal(0, n**-0.5, (n, m)), np.zeros(m)) for n, m in itertools.pairwise(sizes)]
    with tempfile.TemporaryDirectory() as folder:
        return load_policy(
            write_policy(Path(folder), task, "none", [(w.astype(np.float32), b.astype(np.float32)) for w, b in layers])
        )


def _maze(task: str) -> mazes.Maze:
    found = tasks.get(task).maze
    assert found is not None, f"{task} is in no maze"
    return found


if __name__ == "__main__":
    main()
