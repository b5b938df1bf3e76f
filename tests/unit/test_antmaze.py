"""The ant in its mazes against D4RL's own, recorded by tests/oracle/record_antmaze.py, and as a batch."""

import json

import mujoco
import numpy as np
import pytest

from d4rl_automl import simulators, tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators import batch, maze
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.models import make_model
from d4rl_automl.tasks import antmaze, mazes
from tests.support.project import ROOT
from tests.support.recorded import part

RECORDING = ROOT / "tests/oracle/antmaze210.npz"
MAZES = {"umaze": "antmaze-umaze", "medium": "antmaze-medium-play", "large": "antmaze-large-diverse"}
"""A task in each."""
KINDS = ("free", "walls", "goals", "fallen", "resets", "deep")
NEAR_MACHINE_PRECISION = {"free": 1e-13, "walls": 1e-12, "goals": 1e-13, "fallen": 1e-13, "resets": 1e-13}
"""Medians are below these; recorded are states of up to 40 m, and velocities of up to 40 rad/s."""


@pytest.fixture(scope="module")
def recording():
    with np.load(RECORDING, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def replayed(recording):
    """Per maze, what was recorded, and our errors: of the next state, and whether reward and end differ."""
    return {
        name: (part(recording, name, "steps"), replay(part(recording, name, "steps"), MAZES[name])) for name in MAZES
    }


def replay(steps, task):
    count = len(steps["kind"])
    simulator, rewards, terminated = BatchSimulator(task, count), np.empty(count), np.empty(count, bool)
    simulator.set_state(steps["qpos"], steps["qvel"])
    simulator.goals[:] = steps["goal"]
    for single, dtype in ((True, np.float32), (False, np.float64)):
        ids = np.flatnonzero(steps["single"] == single)
        _, rewards[ids], terminated[ids], _ = simulator.step(steps["action"][ids].astype(dtype), ids)
    assert not simulator.diverged.any()
    errors = np.maximum(
        np.abs(simulator.qpos - steps["next_qpos"]).max(axis=1), np.abs(simulator.qvel - steps["next_qvel"]).max(axis=1)
    )
    return errors, (rewards != steps["reward"]) | (terminated != steps["terminated"])


@pytest.mark.parametrize("kind", KINDS)
def test_single_steps_equal_the_original(replayed, kind):
    """Of every kind but "deep": MuJoCo 2.1.0 reports other contacts there (docs/evidence/simulator.md)."""
    errors = []
    for steps, (found, differing) in replayed.values():
        assert not differing.any()
        errors.append(found[steps["kind"] == KINDS.index(kind)])
        assert len(errors[-1]) >= (40 if kind == "deep" else 170)
    errors = np.concatenate(errors)
    if kind == "deep":
        assert np.median(errors) > 1e-3
        return
    assert len(errors) >= 500
    assert np.median(errors) < NEAR_MACHINE_PRECISION[kind]
    assert np.quantile(errors, 0.99) <= 1e-6


def test_what_is_not_exact_is_the_solvers_tolerance_or_a_limb_in_a_wall(replayed, monkeypatch):
    """MuJoCo's solver stops at 1e-8, a later version elsewhere than 2.1.0; where it does not, all steps are exact."""
    for steps, (errors, _) in replayed.values():
        deep = steps["kind"] == KINDS.index("deep")
        upright = (steps["upright"] > 0.5) & ~deep
        assert (errors[upright] <= 1e-9).mean() >= 0.99
        assert errors[upright].max() <= 1e-6
        assert errors[~deep].max() <= 1e-5
        # No step of these hangs on the last bit of the state.
        assert steps["twin_error"].max() < 1e-9

    def unstopped(*arguments):
        model = make_model(*arguments)
        model.opt.tolerance = 0.0
        return model

    monkeypatch.setattr(batch, "make_model", unstopped)
    for name, (steps, _) in replayed.items():
        errors, _ = replay(steps, MAZES[name])
        assert errors[steps["kind"] != KINDS.index("deep")].max() <= 1e-12


def test_the_model_is_the_originals(recording):
    for name, task in MAZES.items():
        model = make_model(task)
        for field, expected in part(recording, name, "model").items():
            found = getattr(model, field)
            if field == "geom_margin":
                found = found * 2  # Which current MuJoCo adds up.
            if field in {"geom_contype", "geom_conaffinity"} and name == "large":
                found = np.where(np.arange(model.ngeom) == 0, 1, found)  # The floor, whose contacts are listed.
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-16, err_msg=field)
        assert (model.opt.timestep, model.opt.integrator) == (0.02, mujoco.mjtIntegrator.mjINT_RK4)


@pytest.mark.parametrize("name", MAZES)
def test_starts_and_goals_are_distributed_as_the_originals(recording, name):
    """The statistic of Kolmogorov and Smirnov of 10,000 resets, against quantiles of D4RL's own."""
    levels = json.loads(str(recording["metadata"]))["levels"]
    resets, count = part(recording, name, "resets"), 10_000
    simulator = BatchSimulator(MAZES[name], count)
    found = {"states": simulator.reset(range(count)), "goals": simulator.goals}
    for what, values in found.items():
        for column, expected in zip(values.T, resets[what].T, strict=True):
            below = np.interp(np.sort(column), expected, levels)
            ranks = np.arange(count + 1) / count
            assert max(np.abs(below - ranks[:-1]).max(), np.abs(below - ranks[1:]).max()) < 0.02


def test_the_recording_holds_what_it_should(recording):
    assert RECORDING.stat().st_size <= 1_000_000
    metadata = json.loads(str(recording["metadata"]))
    assert (metadata["d4rl"], metadata["gym"], metadata["mujoco-py"]) == ("1.1", "0.23.1", "2.1.2.14")
    assert (tuple(metadata["kinds"]), metadata["resets"]) == (KINDS, 100_000)
    for name in MAZES:
        steps = part(recording, name, "steps")
        of = {kind: steps["kind"] == index for index, kind in enumerate(KINDS)}
        assert steps["terminated"][of["goals"]].all()
        assert not steps["terminated"][of["free"]].any()
        assert (steps["depth"][of["walls"]] > 0).all()
        assert (steps["upright"][of["fallen"]] < 0.5).all()
        assert np.abs(np.linalg.norm(steps["qpos"][of["resets"], 3:7], axis=1) - 1).max() > 0.05
        assert 0.3 < steps["single"].mean() < 0.7
        assert np.abs(steps["action"]).max() > 1.1


@pytest.mark.parametrize("robot", [maze.UMAZE, maze.MEDIUM, maze.LARGE])
def test_listed_contacts_are_those_that_mujoco_finds(robot, monkeypatch):
    """Beside walls, within them, in the air: the same contacts and steps, to the bit."""
    task = next(task.name for task in antmaze.TASKS if task.maze is robot.maze)
    ours = make_model(task)
    monkeypatch.setattr(maze.AntMaze, "is_searched", lambda *_: True)
    reference = make_model(task)
    reference.opt.disableflags = 0
    limbs, walls = 13, len(robot.maze.walls)
    assert ours.npair == limbs + (0 if robot is maze.LARGE else limbs * walls)
    assert reference.npair == 0
    generator, touched = np.random.default_rng(0), 0
    free = robot.maze.cells(mazes.FREE)
    for number in range(60):
        qpos = ours.qpos0 + generator.uniform(-1, 1, 15)
        qpos[:2] += robot.maze.centre(free[number % len(free)]) + generator.uniform(-1, 1, 2)
        qvel, ctrl, found = generator.normal(0, 3, 14), generator.uniform(-30, 30, 8), []
        for model in (ours, reference):
            data = mujoco.MjData(model)
            data.qpos[:], data.qvel[:], data.ctrl[:] = qpos, qvel, ctrl
            contacts = []
            for _ in range(10):
                mujoco.mj_step(model, data)
                contacts += [data.contact.geom.tolist(), data.contact.dist.tolist(), data.contact.friction.tolist()]
            found.append((data.qpos.tolist(), data.qvel.tolist(), contacts))
        assert found[0] == found[1]
        touched += any(geoms for geoms in found[0][2][::3] if np.isin(geoms, range(1, walls + 1)).any())
    assert touched > 10


def test_an_episode_depends_on_its_seed_alone():
    """Not on the size of the batch, the place in it, the threads, or the episode before; nor does its goal."""
    actions = np.random.default_rng(3).uniform(-1, 1, (30, 8)).astype(np.float32)
    played = []
    for task, size, place in (("antmaze-medium-play", 1, 0), ("antmaze-medium-diverse", 5, 3)):
        simulator = BatchSimulator(task, size, threads=size)
        for _ in range(2):
            first = simulator.reset([2**62 - 1], [place])
            steps = [simulator.step(action[None], [place])[0] for action in actions]
            played.append([first, simulator.goals[place], *steps])
    for other in played[1:]:
        for value, expected in zip(other, played[0], strict=True):
            np.testing.assert_array_equal(value.ravel(), expected.ravel())


def test_goals_lie_beyond_the_middle_of_their_cell():
    for task, centre in (
        ("antmaze-umaze", (0, 8)),
        ("antmaze-medium-play", (20, 20)),
        ("antmaze-large-play", (32, 24)),
    ):
        simulator = BatchSimulator(task, 2000)
        assert np.isnan(simulator.goals).all()
        simulator.reset(range(2000))
        beyond = simulator.goals - centre
        assert beyond.min() >= 0
        assert beyond.max() <= 1.5
        assert beyond.max() > 1.4
    assert BatchSimulator("hopper", 3).goals.shape == (3, 0)


def test_the_goal_ends_an_episode_and_pays_one():
    simulator = BatchSimulator("antmaze-umaze", 4)
    here = simulator.reset(range(4))[:, :2]
    simulator.goals[:] = here + np.array([[0.3, 0.3], [0.6, 0.0], [np.nan, np.nan], [0.0, -0.3]])
    _, rewards, terminated, truncated = simulator.step(np.zeros((4, 8)))
    assert rewards.tolist() == [1, 0, 0, 1]
    assert terminated.tolist() == [True, False, False, True]
    assert not truncated.any()
    with pytest.raises(ValueError, match=r"\[0 3\] have ended"):
        simulator.step(np.zeros((4, 8)))


def test_a_blow_up_is_no_success():
    simulator, untouched = BatchSimulator("antmaze-umaze", 2), BatchSimulator("antmaze-umaze", 2)
    simulator.reset([1, 2])
    untouched.reset([1, 2])
    qvel = simulator.qvel[:1].copy()
    qvel[0, 7] = 1e9
    simulator.set_state(simulator.qpos[:1].copy(), qvel, [0])
    simulator.goals[0] = simulator.qpos[0, :2]
    observations, rewards, terminated, _ = simulator.step(np.zeros((2, 8)))
    assert (rewards.tolist(), terminated.tolist(), simulator.diverged.tolist()) == (
        [0, 0],
        [True, False],
        [True, False],
    )
    np.testing.assert_array_equal(observations[1], untouched.step(np.zeros((2, 8)))[0][1])


def test_time_limits():
    limits = {task.name: task.episode_steps for task in antmaze.TASKS}
    assert {name for name, steps in limits.items() if steps == 700} == {"antmaze-umaze", "antmaze-umaze-diverse"}
    assert set(limits.values()) == {700, 1000}


def test_which_simulators():
    assert simulators.of("antmaze-large-play") == ("d4rl", "mujoco-py")
    assert simulators.of("hopper") == tuple(simulators.SIMULATORS)
    for made in (
        lambda: simulators.make("antmaze-large-play", 1, "gymnasium"),
        lambda: make_model("antmaze-umaze", "gymnasium"),
    ):
        with pytest.raises(
            InputError, match=r"gymnasium-robotics' AntMaze is another one.* its simulators are d4rl, mujoco-py"
        ):
            made()
    assert all(task.name in tasks.SIMULATED for task in antmaze.TASKS)


def test_layouts():
    """Closed all around, and a way from the start to the goal."""
    for layout, walls in ((mazes.UMAZE, 18), (mazes.MEDIUM, 38), (mazes.LARGE, 62)):
        assert len(layout.walls) == walls
        assert layout.centre(layout.start) == (0, 0)
        reached, left = {layout.start}, [layout.start]
        free = set(layout.cells(mazes.FREE, mazes.START, mazes.GOAL))
        while left:
            row, column = left.pop()
            new = {(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)} & free - reached
            reached |= new
            left += new
        assert reached == free
        assert layout.goal in reached
        height, width = len(layout.rows), len(layout.rows[0])
        assert all(0 < row < height - 1 and 0 < column < width - 1 for row, column in free)
