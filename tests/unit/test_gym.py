"""The Gymnasium environments against Gymnasium's own, D4RL's recording, and each other."""

import os
import pickle
import subprocess
import sys
import warnings
from unittest import mock

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.data.datasets import load_dataset
from d4rl_automl.gym import environment_id
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.camera import Camera
from d4rl_automl.simulators.models import make_model
from d4rl_automl.tasks import gym
from d4rl_automl.tasks.scores import normalise
from tests.support.datasets import arrays, store
from tests.support.recorded import is_determined, is_exact, is_kind, part
from tests.support.stock import make_environment

ROBOTS = [task.name for task in gym.TASKS]
MAZE = "antmaze-umaze"
MODES = list(AutoresetMode)


def why_nothing_draws():
    try:
        model = make_model("hopper")
        Camera(model).picture(model.qpos0, np.zeros(model.nv))
    except InputError as error:
        return str(error)
    return ""


NOTHING_DRAWS = why_nothing_draws()
needs_gl = pytest.mark.skipif(bool(NOTHING_DRAWS), reason=NOTHING_DRAWS)


def make(task, **options):
    return gymnasium.make(environment_id(task), **options)


def make_vec(task, count, **options):
    return gymnasium.make_vec(environment_id(task), num_envs=count, **options)


def random_actions(task, steps, count=None, scale=1.0):
    shape = (steps, tasks.get(task).action_size) if count is None else (steps, count, tasks.get(task).action_size)
    return (scale * np.random.default_rng(5).uniform(-1, 1, shape)).astype(np.float32)


@pytest.mark.parametrize(
    "code", ["import d4rl_automl.gym, gymnasium; name = ''", "import gymnasium; name = '{module}:'"]
)
def test_an_import_or_the_name_alone_makes_them(code):
    code = code.format(module="d4rl_automl.gym")
    code += f"\nfor task in {tasks.SIMULATED}:"
    code += "\n    print(gymnasium.make(f'{name}d4rl/{task}-v2').spec.id)"
    code += "\n    print(gymnasium.make_vec(f'{name}d4rl/{task}-v2', num_envs=3).spec.id)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"d4rl/{task}-v2" for task in tasks.SIMULATED for _ in range(2)]
    assert done.stderr == ""


@pytest.mark.parametrize("task", [*ROBOTS, MAZE])
def test_gymnasiums_checker_finds_nothing_but_that_positions_have_no_bounds(task):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        environment = make(task).unwrapped
        check_env(environment, skip_render_check=bool(NOTHING_DRAWS))
    found = [str(warning.message) for warning in caught]
    # As Gymnasium's v4 classes: MuJoCo bounds neither positions nor velocities.
    assert all("A Box observation space m" in message and "infinity" in message for message in found), found
    assert len(found) == 2


@pytest.mark.parametrize(("variant", "version"), [("gymnasium", 4), ("gymnasium-v5", 5)])
@pytest.mark.parametrize("task", ROBOTS)
def test_the_stock_variants_are_gymnasiums_environments_episode_after_episode(task, variant, version):
    """To the bit: spaces, what resets without a seed draw, infos, and ends by a fall and by the time limit."""
    ours, theirs = make(task, variant=variant), make_environment(task, version)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata["render_fps"] == theirs.metadata["render_fps"]
    assert (ours.spec.max_episode_steps, ours.unwrapped.spec.max_episode_steps) == (1000, None)
    np.testing.assert_array_equal(ours.reset(seed=7)[0], theirs.reset(seed=7)[0])
    ends = []
    for action in random_actions(task, 2100, scale=0.3):
        observation, reward, *ended, info = ours.step(action)
        expected, expected_reward, *expected_ends, expected_info = theirs.step(action)
        np.testing.assert_array_equal(observation, expected)
        assert (reward, ended) == (expected_reward, expected_ends)
        assert info == {name: expected_info[name] for name in ("x_position", "x_velocity")}
        if any(ended):
            ends.append(tuple(ended))
            np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])
    assert set(ends) == {(False, True)} if task == "halfcheetah" else (True, False) in ends
    assert len(ends) > 1


@pytest.mark.parametrize("task", ROBOTS)
def test_single_and_vector_equal_d4rls_recorded_transitions(recording, task):
    steps = part(recording, task, "steps")
    kinds = is_kind(recording, steps, "float32")
    environment = make(task).unwrapped
    environment.reset(seed=0)
    for chosen, dtype in ((np.flatnonzero(kinds), np.float32), (np.flatnonzero(~kinds), np.float64)):
        actions = steps["action"][chosen].astype(dtype)
        vector = make_vec(task, len(chosen)).unwrapped
        vector.reset(seed=0)
        vector.simulator.set_state(steps["qpos"][chosen], steps["qvel"][chosen])
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        expected = vector.simulator.robot.observe(steps["next_qpos"][chosen], steps["next_qvel"][chosen])
        determined = is_determined(steps)[chosen]
        assert is_exact(np.abs(observations - expected).max(axis=1)[determined])
        assert is_exact(np.abs(rewards - steps["reward"][chosen])[determined])
        assert is_exact(np.abs(infos["x_position"] - steps["next_qpos"][chosen, 0])[determined])
        np.testing.assert_array_equal(terminated, steps["terminated"][chosen])
        assert not truncated.any()
        for row in range(0, len(chosen), 5):
            environment.set_state(steps["qpos"][chosen[row]], steps["qvel"][chosen[row]])
            observation, *others, info = environment.step(actions[row])
            np.testing.assert_array_equal(observation, observations[row])
            assert others == [rewards[row], terminated[row], False]
            assert info == {name: infos[name][row] for name in ("x_position", "x_velocity")}


@pytest.mark.parametrize("task", [*ROBOTS, MAZE])
def test_vector_is_the_batch_simulator(task):
    """Until the first ends, to the bit, on any number of threads."""
    count, actions = 200, random_actions(task, 12, 200)
    simulator, environments = BatchSimulator(task, count), make_vec(task, count, threads=2)
    observations, infos = environments.reset(seed=40)
    np.testing.assert_array_equal(observations, simulator.reset(np.arange(40, 40 + count)))
    assert infos.keys() == ({"goal", "_goal"} if task == MAZE else set())
    for action in actions:
        *found, _ = environments.step(action)
        expected = simulator.step(action)
        for value, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(value, other)
            assert value.dtype == other.dtype
        if (expected[2] | expected[3]).any():
            break
    assert simulator.steps.min() > 5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task", [*ROBOTS, MAZE])
def test_vector_is_gymnasiums_vector_of_single_environments(task, mode):
    """To the bit, infos included, over falls, time limits, resets and seeds."""
    count, limit = 6, 30
    ours = make_vec(task, count, max_episode_steps=limit, autoreset_mode=mode)
    theirs = make_vec(
        task, count, max_episode_steps=limit, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}
    )
    assert ours.metadata == theirs.metadata
    for space in ("single_observation_space", "single_action_space", "observation_space", "action_space"):
        assert getattr(ours, space) == getattr(theirs, space)

    def same(value, expected):
        assert data_equivalence(value, expected, exact=True), f"{value}\n{expected}"

    def reset(**options):
        found = ours.reset(**options)
        same(found, theirs.reset(**options))
        same(ours.np_random_seed, theirs.np_random_seed)

    reset(seed=3)
    ends = np.zeros(2, int)
    for number, action in enumerate(random_actions(task, 100, count)):
        if number == 50:
            reset(seed=[1, None, 5, None, 2**40, 7])
        if number == 70:
            reset()
        if task == MAZE and number % 20 == 5:
            # The goals of some are where they are.
            for row in range(0, count, 2):
                goal = ours.unwrapped.simulator.qpos[row, :2]
                ours.unwrapped.simulator.goals[row] = goal
                theirs.unwrapped.envs[row].unwrapped.target_goal = goal
        found = ours.step(action)
        same(found, theirs.step(action))
        ends += [found[2].sum(), found[3].sum()]
        ended = found[2] | found[3]
        if mode == AutoresetMode.DISABLED and ended.any():
            reset(options={"reset_mask": ended})
    assert ends[1] > 0
    assert task == "halfcheetah" or ends[0] > 0


def test_the_goal_of_a_maze_is_told_and_can_be_set():
    environment = make(MAZE)
    _, info = environment.reset(seed=3)
    goal = environment.unwrapped.target_goal
    np.testing.assert_array_equal(info["goal"], goal)
    again, there = make(MAZE).reset(seed=3), environment.reset(seed=4)
    np.testing.assert_array_equal(again[1]["goal"], goal)
    assert (there[1]["goal"] != goal).all()
    still = np.zeros(8, np.float32)
    _, reward, *ended, info = environment.step(still)
    assert (reward, ended, info["success"]) == (0.0, [False, False], False)
    environment.unwrapped.target_goal = goal = there[0][:2] + 0.1
    _, reward, *ended, info = environment.step(still)
    assert (reward, ended, info["success"]) == (1.0, [True, False], True)
    np.testing.assert_array_equal(info["goal"], goal)
    hopper = make("hopper").unwrapped
    with pytest.raises(AttributeError, match="'hopper' has no goal"):
        _ = hopper.target_goal
    with pytest.raises(AttributeError, match="'hopper' has no goal"):
        hopper.target_goal = [0, 0]


def test_a_maze_is_in_no_simulator_of_gymnasiums():
    with pytest.raises(
        InputError, match=r"'antmaze-large-play' is not played in the simulator 'gymnasium' \(Gymnasium"
    ):
        make("antmaze-large-play", variant="gymnasium")


def test_all_environments_end_and_are_reset_at_once():
    for mode in MODES[:2]:
        environments = make_vec("halfcheetah", 3, max_episode_steps=2, autoreset_mode=mode.value)
        assert environments.metadata["autoreset_mode"] == mode
        environments.reset(seed=0)
        actions = np.zeros((3, 6), np.float32)
        found = [environments.step(actions) for _ in range(5)]
        truncated = [bool(step[3].all()) for step in found]
        reset = mode == AutoresetMode.NEXT_STEP
        assert truncated == ([False, True, False, False, True] if reset else [False, True, False, True, False])
        assert (found[2][4] == {}) == reset
        assert not reset or not found[2][1].any()


def test_time_limits_of_the_vector():
    actions = np.zeros((2, 6), np.float32)
    for limit, expected in ((None, 1000), (1001, 1001), (-1, None)):
        environments = make_vec("halfcheetah", 2, max_episode_steps=limit)
        environments.reset(seed=0)
        truncated = np.array([environments.step(actions)[3].all() for _ in range(1002)])
        assert np.flatnonzero(truncated).tolist() == ([] if expected is None else [expected - 1])
    with pytest.raises(InputError, match="episode_steps is 0; expected 1 or more"):
        make_vec("hopper", 2, max_episode_steps=0)


def test_a_blow_up_ends_an_episode():
    environment = make("hopper").unwrapped
    environment.reset(seed=0)
    qpos, qvel = environment.simulator.qpos[0].copy(), environment.simulator.qvel[0].copy()
    qvel[2] = 1e9
    before = environment.set_state(qpos, qvel)
    observation, reward, terminated, truncated, info = environment.step(np.zeros(3, np.float32))
    assert (reward, terminated, truncated, info["x_velocity"]) == (0.0, True, False, 0.0)
    np.testing.assert_array_equal(observation, before)
    assert environment.simulator.diverged.tolist() == [True]


def test_refusals():
    with pytest.raises(InputError, match=r"'mujoco' is unknown.*d4rl, gymnasium"):
        make("hopper", variant="mujoco")
    with pytest.raises(InputError, match="autoreset_mode is 'never'; expected one of NextStep, SameStep, Disabled"):
        make_vec("hopper", 2, autoreset_mode="never")
    with pytest.raises(InputError, match="render_mode is 'ascii'; expected None or one of rgb_array"):
        make_vec("hopper", 2, render_mode="ascii")
    single, environments = make("hopper").unwrapped, make_vec("hopper", 2, autoreset_mode="Disabled")
    with pytest.raises(ValueError, match="have ended: reset them"):
        environments.step(np.zeros((2, 3)))
    environments.reset(seed=0)
    single.reset(seed=0)
    for actions in (np.zeros((3, 3)), np.zeros(3), np.zeros((2, 4))):
        with pytest.raises(ValueError, match=r"actions have shape .*, expected \(2, 3\)"):
            environments.step(actions)
    with pytest.raises(ValueError, match="shape"):
        single.step(np.zeros(4))
    with pytest.raises(ValueError, match="NaN"):
        single.step(np.array([0, np.nan, 0]))
    with pytest.raises(ValueError, match="3 seeds for 2 environments"):
        environments.reset(seed=[1, 2, 3])
    for mask in ([True, False], np.zeros(2, bool), np.ones(3, bool), np.ones(2)):
        with pytest.raises(ValueError, match=r"reset_mask.*expected \(2,\) bool"):
            environments.reset(options={"reset_mask": mask})


def test_a_refused_step_changes_nothing():
    """Not even the generators of those that it would have reset."""
    ours, untouched = (make_vec("halfcheetah", 2, max_episode_steps=2) for _ in range(2))
    zeros = np.zeros((2, 6), np.float32)
    for environments in (ours, untouched):
        environments.reset(seed=1)
        environments.step(zeros)
        environments.reset(options={"reset_mask": np.array([True, False])})
        assert environments.step(zeros)[3].tolist() == [False, True]
    with pytest.raises(ValueError, match="NaN"):
        ours.step(zeros * np.nan)
    assert data_equivalence(ours.step(zeros), untouched.step(zeros), exact=True)


def test_without_a_seed_environments_differ_and_can_be_told():
    environments = make_vec("hopper", 3)
    observations, _ = environments.reset()
    assert len({tuple(row) for row in observations}) == 3
    again, _ = make_vec("hopper", 3).reset(seed=list(environments.unwrapped.np_random_seed))
    np.testing.assert_array_equal(again, observations)


@pytest.mark.parametrize("task", [*ROBOTS, MAZE])
def test_scores_are_d4rls_fractions(task):
    reference = tasks.get(task)
    returns = np.array([reference.reference_min, reference.reference_max, 1234.5])
    for environment in (make(task), make_vec(task, 2)):
        found = environment.unwrapped.get_normalized_score(returns)
        np.testing.assert_allclose(found[:2], [0, 1], atol=1e-15)
        np.testing.assert_allclose(found, normalise(task, returns) / 100)
        assert environment.unwrapped.get_normalized_score(1234.5) == found[2]


def test_a_dataset_by_its_level(tmp_path, monkeypatch):
    """What is in the file, by D4RL's names; which file that is, is asked of the package."""
    content = arrays() | {"metadata/algorithm": "SAC"}
    path = store(tmp_path / "raw.hdf5", content)
    asked = []

    def load_what_there_is(*which):
        asked.append(which)
        return load_dataset(path, which[1])

    monkeypatch.setattr("d4rl_automl.data.datasets.load_dataset", load_what_there_is)
    for environment in (make("hopper"), make_vec("hopper", 2)):
        found = environment.unwrapped.get_dataset("medium-replay")
        assert found.keys() == content.keys()
        for name, values in content.items():
            np.testing.assert_array_equal(found[name], values)
    assert asked == [("hopper-medium-replay-v2", "hopper")] * 2
    monkeypatch.setattr("d4rl_automl.data.datasets.load_dataset", lambda *which: asked.append(which) or mock.Mock())
    make(MAZE).unwrapped.get_dataset()
    assert asked[-1] == ("antmaze-umaze-v2", "antmaze-umaze")


def test_a_level_that_there_is_not():
    with pytest.raises(InputError, match=r"hopper-good-v2: no such file, .*hopper-medium-v2"):
        make("hopper").unwrapped.get_dataset("good")


@needs_gl
@pytest.mark.parametrize("task", ROBOTS)
def test_pictures_are_gymnasiums(task, monkeypatch):
    """Of the same states in the stock variant; they move with the robot, and environments do not disturb each other."""
    options = {"variant": "gymnasium", "render_mode": "rgb_array"}
    ours, vector, actions = make(task, **options), make_vec(task, 2, **options), random_actions(task, 10)
    ours.reset(seed=0)
    vector.reset(seed=[1, 0])
    pictures = [ours.render()]
    other, same = vector.render()
    for action in actions:
        ours.step(action)
    pictures.append(ours.render())
    np.testing.assert_array_equal(same, pictures[0])
    assert (other != same).any()
    assert (pictures[0] != pictures[1]).mean() > 0.01
    for environment in (ours, vector, ours.unwrapped):
        environment.close()
    monkeypatch.setenv("MUJOCO_GL", "egl")
    theirs = make_environment(task, render_mode="rgb_array", camera_name="track")
    theirs.reset(seed=0)
    expected = [theirs.render()]
    for action in actions:
        theirs.step(action)
    # Or it is of the moment before the last step of the physics, as MuJoCo leaves it.
    mujoco.mj_forward(theirs.unwrapped.model, theirs.unwrapped.data)
    expected.append(theirs.render())
    theirs.close()
    for picture, wanted in zip(pictures, expected, strict=True):
        assert (picture.shape, picture.dtype) == ((480, 480, 3), np.uint8)
        np.testing.assert_array_equal(picture, wanted)


LACKING = """
import os
import d4rl_automl as da
assert da.make_model("hopper").nq == 6
import d4rl_automl.gym, gymnasium
environment = gymnasium.make("d4rl/hopper-v2", render_mode="rgb_array")
environment.reset(seed=0)
assert os.environ["MUJOCO_GL"] == "osmesa" and "PYOPENGL_PLATFORM" not in os.environ
try:
    environment.render()
except da.InputError as error:
    print(error)
"""


def test_the_library_that_draws_is_missed_by_pictures_alone(tmp_path):
    """MuJoCo's own import fails where MUJOCO_GL names a library that is not installed."""
    (tmp_path / "OpenGL").mkdir()
    (tmp_path / "OpenGL/__init__.py").write_text("raise AttributeError('no such library')")
    environment = {**os.environ, "MUJOCO_GL": "osmesa", "PYTHONPATH": str(tmp_path)}
    environment.pop("PYOPENGL_PLATFORM", None)
    alone = [sys.executable, "-c", "import mujoco"]
    assert b"no such library" in subprocess.run(alone, env=environment, capture_output=True, check=False).stderr
    done = subprocess.run([sys.executable, "-c", LACKING], env=environment, capture_output=True, text=True, check=True)
    assert "MUJOCO_GL=osmesa draws nothing here (AttributeError: no such library)" in done.stdout
    assert "libosmesa6 for MUJOCO_GL=osmesa" in done.stdout


def test_without_opengl_a_picture_says_what_to_install(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")
    environment = make("hopper", render_mode="rgb_array")
    environment.reset(seed=0)

    def refuse(*_):
        raise RuntimeError("no such library")

    monkeypatch.setattr("gymnasium.envs.mujoco.MujocoRenderer.render", refuse)
    with pytest.raises(
        InputError, match=r"MUJOCO_GL=egl draws nothing here .*no such library.* install Debian's libegl1"
    ):
        environment.render()


def test_no_render_mode_no_picture():
    assert make("hopper").unwrapped.render() is None
    assert make_vec("hopper", 2).unwrapped.render() is None


def test_environments_can_be_pickled():
    """As Gymnasium's: what comes out is made anew."""
    environment = make("walker2d", variant="gymnasium").unwrapped
    copy = pickle.loads(pickle.dumps(environment))
    assert copy.simulator.variant == "gymnasium"
    np.testing.assert_array_equal(copy.reset(seed=3)[0], environment.reset(seed=3)[0])
