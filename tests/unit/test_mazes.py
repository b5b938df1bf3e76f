"""Ways through mazes, the ant that takes them, and the data that it leaves."""

import json
from collections import deque

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d4rl_automl import identify_simulator, tasks
from d4rl_automl.behaviour import navigation, walking
from d4rl_automl.behaviour.policies import draw_chance
from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import catalogue, collection, recordings
from d4rl_automl.data.recipes import BEHAVIOUR
from d4rl_automl.figures import card as card_figure
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.tasks import mazes
from tests.support.datasets import make_card

MAZES = {"umaze": mazes.UMAZE, "medium": mazes.MEDIUM, "large": mazes.LARGE}
ROWS = 1500
EMBEDDED = [name for name in catalogue.names() if name.startswith("antmaze") and "embedded" in name]


def distances(maze, goal):
    """Steps from every free cell to the goal, by flooding."""
    free = set(maze.cells(mazes.FREE, mazes.START, mazes.GOAL))
    found, reached = {goal: 0}, deque([goal])
    while reached:
        row, column = reached.popleft()
        for cell in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            if cell in free and cell not in found:
                found[cell] = found[row, column] + 1
                reached.append(cell)
    return found


@pytest.mark.parametrize("name", MAZES)
def test_waypoints_lead_to_every_goal_on_a_shortest_way(name):
    maze = MAZES[name]
    ways = navigation.Ways(maze)
    for goal in ways.free:
        steps = distances(maze, goal)
        assert set(steps) == set(ways.free)
        cells = [cell for cell in ways.free if cell != goal]
        here = np.array([maze.centre(cell) for cell in cells])
        following = ways.waypoints(here, np.tile(maze.centre(goal), (len(here), 1)))
        for cell, after in zip(cells, ways.cells(following), strict=True):
            assert steps[ways.free[after]] == steps[cell] - 1


@pytest.mark.parametrize("name", MAZES)
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_who_follows_waypoints_gets_there_and_keeps_clear_of_walls(name, seed):
    """A point that walks straight to one waypoint after the other."""
    maze = MAZES[name]
    ways, generator = navigation.Ways(maze), np.random.default_rng(seed)
    walls = np.array([maze.centre(cell) for cell in maze.walls])
    start, goal = ways.centres(generator.integers(len(ways.free), size=2)) + generator.uniform(-1, 1, (2, 2))
    here, walked = start, 0.0
    while walked < 200 and np.hypot(*(goal - here)) > 0.1:
        way = ways.waypoints(here[None], goal[None])[0] - here
        here = here + 0.1 * way / max(np.hypot(*way), 0.1)
        walked += 0.1
        # From the nearest wall, a square of 4 m.
        assert np.hypot(*np.maximum(np.abs(walls - here) - maze.cell_size / 2, 0).T).min() > 0.6
    assert np.hypot(*(goal - here)) <= 0.1
    assert walked < 4 * distances(maze, ways.free[ways.cells(goal[None])[0]])[ways.free[ways.cells(start[None])[0]]] + 8


@given(st.integers(0, 2**32 - 1), st.floats(-np.pi, np.pi))
def test_what_an_ant_sees_does_not_depend_on_where_it_heads(seed, angle):
    """Turned about the vertical with all that it is in, it sees the same."""
    generator = np.random.default_rng(seed)
    observation = generator.normal(size=(1, 29))
    observation[:, 3:7] /= np.linalg.norm(observation[:, 3:7])
    waypoint = generator.normal(size=(1, 2))
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    turned = observation.copy()
    for columns in ([0, 1], [15, 16]):
        turned[:, columns] = observation[:, columns] @ turn
    w, x, y, z = observation[0, 3:7]
    c, s = np.cos(angle / 2), np.sin(angle / 2)
    turned[0, 3:7] = c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w
    expected, found = walking.features(observation, waypoint), walking.features(turned, waypoint @ turn)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_walking_ant_is_paid_for_the_way_it_makes():
    simulator = BatchSimulator("ant", 8)
    assert simulator.reset(range(8)).shape == (8, 28)
    before = simulator.qpos[:, :2].copy()
    _, rewards, terminated, _ = simulator.step(np.zeros((8, 8), np.float32))
    made = ((simulator.qpos[:, :2] - before) * walking.directions(before)).sum(axis=1) / 0.1
    np.testing.assert_allclose(rewards, np.minimum(made, 1.0), atol=1e-12)
    assert not terminated.any()
    # On its back it has fallen, and pays for it.
    qpos = simulator.qpos.copy()
    qpos[:, 2], qpos[:, 3:7] = 0.4, (0, 1, 0, 0)
    simulator.set_state(qpos, np.zeros_like(simulator.qvel))
    _, rewards, terminated, _ = simulator.step(np.zeros((8, 8), np.float32))
    assert terminated.all()
    assert (rewards < -walking.FALL_COST / 2).all()


def test_the_ground_has_no_dead_ends():
    """Who goes where it tells hardly ever has to turn back: at a corner, or at the very middle, of a square."""
    # Not along a border, where a step may end in the next square.
    here = 8 * np.random.default_rng(0).integers(16, size=(400, 2)) + np.random.default_rng(1).uniform(
        0.3, 7.7, (400, 2)
    )
    back = 0
    for _ in range(400):
        told = walking.directions(here)
        here = here + 0.1 * told
        back += int(((walking.directions(here) * told).sum(axis=1) < 0).sum())
    assert back < 0.005 * 400 * 400


@pytest.mark.parametrize("recipe", navigation.RECIPES)
def test_starts_and_goals_are_those_of_the_recipe(recipe):
    simulator = navigation.Wanderings("antmaze-medium-play", 200, recipe, 3)
    observations = simulator.reset(range(200))
    goals, ways = simulator.commanded.copy(), simulator.ways
    own = np.array(simulator.task.maze.centre(simulator.task.maze.goal))
    assert ((simulator.rewarded - own >= 0) & (simulator.rewarded - own <= 1.5)).all()
    starts = set(ways.cells(observations[:, :2]))
    assert len(starts) == (1 if recipe == "fixed" else len(ways.free))
    assert len(set(ways.cells(goals))) == (len(ways.free) if recipe == "diverse" else 1)
    if recipe != "diverse":
        assert (goals == simulator.rewarded).all()
    # The same seeds, the same episodes, whatever was played before.
    again = navigation.Wanderings("antmaze-medium-play", 200, recipe, 3)
    np.testing.assert_array_equal(again.reset(range(100), np.arange(100, 200)), observations[:100])
    np.testing.assert_array_equal(again.commanded[100:], goals[:100])


def test_an_unknown_recipe_and_a_robot_without_maze_are_refused():
    with pytest.raises(InputError, match=r"recipe 'random' of antmaze-umaze: .* fixed, play, diverse"):
        navigation.Wanderings("antmaze-umaze", 1, "random", 0)
    with pytest.raises(InputError, match="recipe 'fixed' of hopper"):
        navigation.Wanderings("hopper", 1, "fixed", 0)


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maze")
    entry = catalogue.entry(
        {
            "name": "antmaze-umaze-embedded-test",
            "provider": "embedded",
            "task": "antmaze-umaze",
            "recipe": "diverse",
            "transitions": ROWS,
        }
    )
    collection.collect(entry, folder / "raw.hdf5", folder / "raw.json", 2)
    return folder, entry


def test_recorded_mazes_are_as_d4rls(collected):
    folder, _ = collected
    with h5py.File(folder / "raw.hdf5") as file:
        assert {name: file[name].shape[1:] for name in ("observations", "actions", "infos/goal", "infos/qpos")} == {
            "observations": (29,),
            "actions": (8,),
            "infos/goal": (2,),
            "infos/qpos": (15,),
        }
        assert "infos/action_log_probs" not in file
        observations, following = file["observations"][()], file["next_observations"][()]
        ends = np.flatnonzero(file["timeouts"][()])
        # Whatever is reached, an episode goes on until the time limit.
        assert ends.tolist() == [699, 1399]
        inside = np.delete(np.arange(ROWS - 1), ends)
        np.testing.assert_array_equal(following[inside], observations[inside + 1])
        np.testing.assert_array_equal(np.hstack([file["infos/qpos"][()], file["infos/qvel"][()]]), observations)
        goals, rewards, actions = file["infos/goal"][()], file["rewards"][()], file["actions"][()]
        np.testing.assert_array_equal(file["terminals"][()], rewards == 1)
    assert (np.ptp(goals[:700], axis=0) == 0).all()
    assert (np.abs(actions) <= 1).all()
    # Rewards are of the task's goal alone.
    rewarded = navigation.Wanderings("antmaze-umaze", 1, "diverse", 0).rewarded
    np.testing.assert_array_equal(rewards, np.hypot(*(following[:, :2] - rewarded).T) <= 0.5)
    with recordings.reading(folder / "raw.hdf5", "antmaze-umaze") as reader:
        assert np.flatnonzero(reader.truncated).tolist() == [699, 1399]
        assert not reader.terminated.any()


def test_the_card_tells_how_the_collector_did(collected, tmp_path):
    """Of a file as D4RL has them, too: no next observations, states a row late, flags as numbers."""
    folder, _ = collected
    said = json.loads((folder / "raw.json").read_text())
    with h5py.File(folder / "raw.hdf5") as ours, h5py.File(tmp_path / "raw.hdf5", "w") as file:
        for name in ("observations", "actions", "rewards", "timeouts", "infos/goal"):
            file[name] = ours[name][()]
        file["terminals"] = ours["terminals"][()].astype(np.float32)
        for name in ("infos/qpos", "infos/qvel"):
            file[name] = np.roll(ours[name][()], -1, axis=0)
        positions, goals = ours["observations"][:, :2], ours["infos/goal"][()]
    files.write_json(tmp_path / "raw.json", said | {"provider": "d4rl", "sha256": files.sha256(tmp_path / "raw.hdf5")})
    cards = []
    for place in (folder, tmp_path):
        cards.append(make_card(place, {"seed": 0, "validation": 0, "test": 0}))
        card_figure.plot(place / "card.json", place / "episodes.parquet", place / "card")
    expected = []
    for first, last in ((0, 699), (700, 1399)):
        hits = np.flatnonzero(np.hypot(*(positions - goals)[first + 1 : last + 1].T) <= 0.5)
        expected += [int(hits[0]) + 1] if len(hits) else []
    for told in cards:
        assert told["demonstrator"]["episodes"] == 2
        assert told["demonstrator"]["steps_to_goal"] == expected
        assert told["simulator"]["verdict"] == "d4rl"
        # Whatever an episode collects at its goal, none is worth more than one success.
        assert told["normalised_scores"]["max"] in (0, 100)
        assert told["repairs"].get("unmarked_resets", 0) == 0
    assert cards[0]["doubts"] == []
    assert "reached the goal that was commanded" in (folder / "card.md").read_text()
    drawn = pd.read_csv(tmp_path / "card.csv")
    assert (set(drawn["panel"]), drawn["reached"].sum()) == ({"steps_to_goal"}, len(expected))


def test_a_collection_is_repeatable_and_its_maze_is_recognised(collected, tmp_path):
    folder, entry = collected
    collection.collect(entry, tmp_path / "raw.hdf5", tmp_path / "raw.json", 1)
    assert json.loads((tmp_path / "raw.json").read_text()) == json.loads((folder / "raw.json").read_text())
    found = identify_simulator(tmp_path / "raw.hdf5", "antmaze-umaze")
    assert (found["verdict"], found["simulators"]) == ("d4rl", ["d4rl", "mujoco-py"])


def test_the_shipped_ant_reaches_its_goals():
    """Two of three of a few episodes at least; docs/evidence/behaviour-policies.md has the rates."""
    simulator = navigation.Wanderings("antmaze-umaze", 6, "fixed", 0)
    guide = navigation.Guide(BEHAVIOUR / "ant-expert.npz", simulator.task.maze, 0.2)
    chance = draw_chance(guide, np.arange(6), simulator.task.episode_steps)
    observations, reached = simulator.reset(range(6)), np.zeros(6, bool)
    for step in range(450):
        told = np.concatenate([observations, simulator.commanded], axis=1).astype(np.float32)
        observations, rewards, _, _ = simulator.step(guide.act(told, chance[step])[0])
        reached |= rewards > 0
    assert reached.sum() >= 4


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_catalogue_has_a_maze_of_each_kind(name):
    entry = catalogue.entry(name)
    recipe = {"play": "play", "diverse": "diverse"}.get(entry.task.rpartition("-")[2], "fixed")
    assert (entry.recipe, entry.transitions) == (recipe, 1_000_000)
    assert name == f"{entry.task}-embedded-v1"
    assert tasks.get(entry.task).maze is not None


def test_every_maze_has_embedded_data():
    assert len(EMBEDDED) == 6
