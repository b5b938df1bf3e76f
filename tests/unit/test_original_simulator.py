"""D4RL's own environment behind our interface; most of it runs only where envs/mujoco-py/install.sh was run."""

import gc
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation.rollout import Play, rollout, rollout_file
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.original import OriginalSimulator
from d4rl_automl.tasks import antmaze, gym
from tests.support.original import needs_original
from tests.support.policies import dataset_of, write_policy
from tests.support.recorded import part

ALL_TASKS = [task.name for task in gym.TASKS]
MAZES = [task.name for task in antmaze.TASKS]


@needs_original
@pytest.mark.parametrize("task", ALL_TASKS)
def test_interleaved_episodes_equal_the_recorded_ones_to_the_bit(recording, task):
    """The recording played each episode through in an environment of its own, and without us."""
    episodes = part(recording, task, "episodes")
    count = len(episodes["qpos"])
    simulator = OriginalSimulator(task, count + 1)
    ids = np.arange(1, count + 1)
    simulator.set_state(episodes["qpos"], episodes["qvel"], ids)
    rewards, terminated, running, step = np.zeros(episodes["rewards"].shape), np.zeros(count, bool), ids, 0
    while len(running):
        rows = running - 1
        _, rewards[rows, step], terminated[rows], truncated = simulator.step(episodes["actions"][rows, step], running)
        running, step = running[~(terminated[rows] | truncated)], step + 1
    np.testing.assert_array_equal(rewards, episodes["rewards"])
    np.testing.assert_array_equal(simulator.steps[ids], episodes["length"])
    np.testing.assert_array_equal(terminated, episodes["terminated"])
    assert not simulator.diverged.any()


@needs_original
@pytest.mark.parametrize("task", [*ALL_TASKS, *MAZES])
def test_resets_as_the_batch_simulator_does(task):
    seeds = np.array([3, 2**62 - 1])
    ours, theirs = BatchSimulator(task, 2), OriginalSimulator(task, 2)
    np.testing.assert_array_equal(theirs.reset(seeds), ours.reset(seeds))
    np.testing.assert_array_equal(theirs.goals, ours.goals)
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (2, ours.task.action_size)).astype(np.float32)
    for value, expected in zip(theirs.step(actions), ours.step(actions), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-9)


@needs_original
def test_a_maze_is_judged_by_the_goal_that_is_set():
    ours, theirs = BatchSimulator("antmaze-large-play", 3), OriginalSimulator("antmaze-large-play", 3)
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 8))
    for simulator in (ours, theirs):
        simulator.reset([1, 2, 3])
        simulator.goals[1] = [0.2, -0.2]
    found, expected = theirs.step(actions[:2], [0, 1]), ours.step(actions[:2], [0, 1])
    for value, other in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(value, other)
    assert found[1].tolist() == [0, 1]
    assert found[2].tolist() == [False, True]


@needs_original
def test_a_rollout_agrees_with_the_d4rl_variant(tmp_path):
    handle = write_policy(tmp_path, "walker2d")
    settings = {"fractions": [0.3, 1.2], "episodes": 3, "seed": 0}
    ours = rollout(load_policy(handle), simulator="d4rl", **settings).to_pandas()
    theirs = rollout(load_policy(handle), simulator="mujoco-py", **settings).to_pandas()
    assert (theirs["simulator"] == "mujoco-py").all()
    same = ["fraction", "target", "episode", "seed", "length", "terminated", "diverged"]
    assert theirs[same].equals(ours[same])
    np.testing.assert_allclose(theirs["return"], ours["return"], rtol=0, atol=1e-4)


@needs_original
def test_a_file_names_the_versions_of_the_original(tmp_path):
    output = tmp_path / "rollout.parquet"
    rollout_file(
        write_policy(tmp_path),
        dataset_of(),
        [Play("report", 2, output)],
        simulator="mujoco-py",
        fractions=[1.0],
        seed=0,
        processes=2,
    )
    facts = json.loads(pq.read_schema(output).metadata[b"d4rl_automl"])
    assert (facts["mujoco"], facts["d4rl"], facts["gym"]) == ("2.1.0", "1.1", "0.23.1")
    assert "gymnasium" not in facts


@needs_original
def test_blow_up_ends_one_episode_and_leaves_the_others():
    simulator, untouched = OriginalSimulator("hopper", 2), OriginalSimulator("hopper", 2)
    simulator.reset([1, 2])
    untouched.reset([1, 2])
    simulator.set_state([[0, 1.25, 0, 0, 0, 0]], [[0, 0, 1e9, 0, 0, 0]], [0])
    actions = np.zeros((2, 3), np.float32)
    observations, rewards, terminated, _ = simulator.step(actions)
    assert simulator.diverged.tolist() == terminated.tolist() == [True, False]
    assert rewards[0] == 0
    np.testing.assert_array_equal(observations[1], untouched.step(actions)[0][1])


@needs_original
def test_the_process_ends_with_the_simulator():
    simulator = OriginalSimulator("hopper", 1)
    process = simulator.process
    assert process.poll() is None
    del simulator
    gc.collect()
    assert process.poll() == 0


@pytest.mark.parametrize("task", ALL_TASKS)
def test_missing_environment_says_how_to_make_it(task, tmp_path, monkeypatch):
    monkeypatch.setenv("D4RL_AUTOML_MUJOCO_PY", str(tmp_path / "python"))
    with pytest.raises(InputError, match=rf"{tmp_path}/python does not exist.*envs/mujoco-py/install\.sh"):
        OriginalSimulator(task, 1)


def test_an_environment_without_d4rl_says_so(monkeypatch):
    monkeypatch.setenv("D4RL_AUTOML_MUJOCO_PY", "/bin/false")
    with pytest.raises(InputError, match="/bin/false cannot make D4RL's environment"):
        OriginalSimulator("hopper", 1)


def test_unknown_simulator(tmp_path):
    with pytest.raises(InputError, match="'mujoco' is unknown; the simulators are d4rl, gymnasium, "):
        rollout(load_policy(write_policy(tmp_path)), [1.0], episodes=1, simulator="mujoco")
