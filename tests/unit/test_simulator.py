"""The simulator against Gymnasium's own environments, its independence of batching, and its model cures."""

import dataclasses
import json

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import RESOURCES
from d4rl_automl.simulators import STEPPED_HERE, robots
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.models import make_model
from d4rl_automl.tasks import gym
from tests.support.stock import make_environment, searching_model

ALL_TASKS = [task.name for task in gym.TASKS]
SEEDS = np.array([0, 7, 2**62 - 1, 123_456_789_012])


# The variants that are Gymnasium's own environments, and the version of those.
STOCK = {"gymnasium": 4, "gymnasium-v5": 5}


@pytest.fixture(scope="module", params=STOCK)
def stock(request):
    """A variant, and Gymnasium's environment of every robot that it is to equal."""
    return request.param, {task: make_environment(task, STOCK[request.param]) for task in ALL_TASKS}


@pytest.fixture(scope="module")
def environments():
    return {task: make_environment(task) for task in ALL_TASKS}


def random_actions(task, scale=1.0, count=4):
    shape = (1000, count, tasks.get(task).action_size)
    return (scale * np.random.default_rng(3).uniform(-1, 1, shape)).astype(np.float32)


def play(simulator, seeds, actions, ids=None):
    """Episodes in the given environments with actions (1000, n, a): per episode its first observation and its steps."""
    running = np.arange(len(seeds)) if ids is None else np.asarray(ids)
    column = {environment: k for k, environment in enumerate(running)}
    first = simulator.reset(seeds, running)
    steps = [[] for _ in running]
    for t in range(1000):
        columns = [column[environment] for environment in running]
        observations, rewards, terminated, truncated = simulator.step(actions[t, columns], running)
        for k, row in enumerate(zip(observations, rewards, terminated, truncated, strict=True)):
            steps[columns[k]].append(row)
        running = running[~(terminated | truncated)]
        if not len(running):
            break
    return list(zip(first, steps, strict=True))


def assert_same(some, others):
    """Bit-equal episodes."""
    assert len(some) == len(others)
    for (first, steps), (other_first, other_steps) in zip(some, others, strict=True):
        np.testing.assert_array_equal(first, other_first)
        assert len(steps) == len(other_steps)
        for step, other_step in zip(steps, other_steps, strict=True):
            for value, other_value in zip(step, other_step, strict=True):
                np.testing.assert_array_equal(value, other_value)


@pytest.mark.parametrize("scale", [1.0, 0.2])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_equals_gymnasium(stock, task, scale):
    """Observations, rewards, ends: all equal to the bit, episode by episode."""
    variant, environments = stock
    actions = random_actions(task, scale)
    episodes = play(BatchSimulator(task, len(SEEDS), variant), SEEDS, actions)
    for k, (first, steps) in enumerate(episodes):
        observation, _ = environments[task].reset(seed=int(SEEDS[k]))
        np.testing.assert_array_equal(first, observation)
        for t, (observed, reward, terminated, truncated) in enumerate(steps):
            observation, expected, *ends, _ = environments[task].step(actions[t, k])
            np.testing.assert_array_equal(observed, observation)
            assert (reward, terminated, truncated) == (expected, *ends)
        assert any(ends)


def test_equals_gymnasium_in_closed_loop(stock):
    """A policy feeds differences back into the actions; the actions are float64 here, and so is the control cost."""
    variant, environments = stock
    weights = np.random.default_rng(0).normal(0, 0.3, (17, 6))

    def act(observation):
        return np.tanh((observation[:, None] * weights).sum(0))

    simulator = BatchSimulator("walker2d", 2, variant)
    observations = simulator.reset(SEEDS[:2])
    running, rewards = np.arange(2), {0: [], 1: []}
    while len(running):
        observations, reward, terminated, _ = simulator.step(np.array([act(o) for o in observations]), running)
        for k, environment in enumerate(running):
            rewards[environment].append(reward[k])
        running, observations = running[~terminated], observations[~terminated]
    for k in range(2):
        observation, _ = environments["walker2d"].reset(seed=int(SEEDS[k]))
        terminated, expected = False, []
        while not terminated:
            observation, reward, terminated, *_ = environments["walker2d"].step(act(observation))
            expected.append(reward)
        assert rewards[k] == expected


@pytest.mark.parametrize("task", ALL_TASKS)
def test_actions_are_clipped_before_physics_and_cost(task):
    wild = 3 * random_actions(task)
    assert_same(play(BatchSimulator(task, 4), SEEDS, wild), play(BatchSimulator(task, 4), SEEDS, np.clip(wild, -1, 1)))


@pytest.mark.parametrize("task", ALL_TASKS)
def test_what_an_episode_does_depends_on_nothing_else(task):
    """Not on the size of the batch, the place in it, the threads, or the episode before in the same place."""
    actions = random_actions(task, 0.3)
    alone = [play(BatchSimulator(task, 1), SEEDS[[k]], actions[:, [k]])[0] for k in range(len(SEEDS))]
    for size, threads, ids in ((7, 1, [1, 2, 5, 6]), (2000, 2, [0, 31, 999, 1999]), (4, 2, None)):
        simulator = BatchSimulator(task, size, threads=threads)
        assert_same(play(simulator, SEEDS, actions, ids), alone)
        assert_same(play(simulator, SEEDS[::-1], actions[:, ::-1], ids), alone[::-1])
        assert_same(play(simulator, SEEDS, actions, ids), alone)


@pytest.mark.parametrize("task", ALL_TASKS)
def test_d4rl_variant_has_the_old_inertias_and_half_the_margins(task):
    robot = robots.get(task)
    cured, stock = make_model(task), make_model(task, "gymnasium")
    fields = json.loads((RESOURCES / "mujoco210_inertia.json").read_text())[robot.name]
    assert fields.keys() == {"body_mass", "body_inertia", "body_ipos", "body_iquat"}
    for field, values in fields.items():
        np.testing.assert_array_equal(getattr(cured, field), values)
    np.testing.assert_array_equal(cured.geom_margin, stock.geom_margin / 2)
    # The margins that contacts have: two geoms' sum, as MuJoCo 3.5 and later combine them.
    np.testing.assert_array_equal(cured.pair_margin, 0.001 if task == "hopper" else 0)
    np.testing.assert_array_equal(stock.pair_margin, 0.002 if task == "hopper" else 0)
    for field in ("body_mass", "body_inertia"):
        assert not np.allclose(getattr(cured, field), getattr(stock, field), rtol=1e-3)
    # What mj_setConst derives from the inertias has followed them.
    np.testing.assert_allclose(cured.body_subtreemass[0], np.sum(fields["body_mass"]))
    assert not np.allclose(cured.dof_invweight0, stock.dof_invweight0, rtol=1e-3)
    actions = random_actions(task)
    episodes = {variant: play(BatchSimulator(task, 4, variant), SEEDS, actions) for variant in ("d4rl", "gymnasium")}
    returns = {variant: [sum(step[1] for step in steps) for _, steps in played] for variant, played in episodes.items()}
    assert not np.allclose(returns["d4rl"], returns["gymnasium"], rtol=1e-3)


@pytest.mark.parametrize("variant", STEPPED_HERE)
@pytest.mark.parametrize("task", ALL_TASKS)
def test_listed_contacts_are_those_that_mujoco_finds(task, variant):
    """From states over all joint angles, above and within the floor: the same contacts and steps, to the bit."""
    ours, reference = make_model(task, variant), searching_model(task, variant)
    assert (reference.npair, reference.opt.disableflags) == (0, 0)
    assert ours.npair == {"halfcheetah": 8, "hopper": 7, "walker2d": 7}[task]
    # Or it looks for them as well, to the same end.
    assert not ours.body_contype.any() and not ours.body_conaffinity.any()
    generator = np.random.default_rng(11)
    floor, selves = 0, 0
    for _ in range(300):
        qpos = reference.qpos0 + generator.uniform(-3, 3, reference.nq)
        qpos[1] = reference.qpos0[1] + generator.uniform(-1.5, 0)
        qvel, ctrl = generator.normal(0, 3, reference.nv), generator.uniform(-1, 1, reference.nu)
        found = []
        for model in (ours, reference):
            data = mujoco.MjData(model)
            data.qpos[:], data.qvel[:], data.ctrl[:] = qpos, qvel, ctrl
            pairs, contacts = set(), []
            for _ in range(20):
                mujoco.mj_step(model, data)
                pairs.update(map(tuple, data.contact.geom.tolist()))
                contacts += [data.contact.geom.tolist(), data.contact.dist.tolist(), data.contact.friction.tolist()]
            found.append((data.qpos.tolist(), data.qvel.tolist(), contacts))
        assert found[0] == found[1]
        floor += any(0 in pair for pair in pairs)
        selves += any(0 not in pair for pair in pairs)
    assert floor > 100
    assert selves > 50 if task == "hopper" else selves == 0


def test_stock_variants_are_gymnasiums_models(stock):
    variant, environments = stock
    for task in ALL_TASKS:
        ours, theirs = make_model(task, variant), environments[task].unwrapped.model
        for field in ("body_mass", "body_inertia", "geom_margin", "geom_friction", "dof_damping", "actuator_gear"):
            np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field))


def test_v5_differs_from_v4_in_the_walkers_right_foot_and_in_the_step_of_a_fall():
    for task in ALL_TASKS:
        older, newer = (make_model(task, variant) for variant in STOCK)
        differing = np.flatnonzero((older.geom_friction != newer.geom_friction).any(1))
        assert [newer.geom(i).name for i in differing] == (["foot_geom"] if task == "walker2d" else [])
        simulators = [BatchSimulator(task, 4, variant) for variant in STOCK]
        for simulator in simulators:
            # Upright or fallen beyond every bound.
            qpos = np.tile(simulator.model.qpos0, (4, 1))
            qpos[2:, 2] = 2.0
            simulator.set_state(qpos, np.zeros((4, simulator.model.nv)))
        (_, paid, fell, _), (_, paid_newer, *_) = (
            simulator.step(np.zeros((4, simulator.model.nu))) for simulator in simulators
        )
        assert fell.tolist() == ([False] * 4 if task == "halfcheetah" else [False, False, True, True])
        np.testing.assert_allclose(paid - paid_newer, fell, rtol=0, atol=1e-2 if task == "walker2d" else 1e-12)


def test_before_mujoco_35_margins_were_half():
    """Which is the whole difference of these models; the walker and the cheetah have none."""
    for task in ALL_TASKS:
        older, newer = make_model(task, "gymnasium-old-margins"), make_model(task, "gymnasium")
        np.testing.assert_array_equal(older.pair_margin, newer.pair_margin / 2)
        assert newer.pair_margin.any() == (task == "hopper")
        for field in ("body_mass", "body_inertia", "geom_friction", "dof_invweight0"):
            np.testing.assert_array_equal(getattr(older, field), getattr(newer, field))


@pytest.mark.parametrize("blow_up", [{"qpos": np.nan}, {"qvel": np.inf}, {"qvel": 1e9}])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_blow_up_ends_one_environment_and_leaves_the_others(task, blow_up, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    actions = random_actions(task, 0.3)
    simulator, untouched = BatchSimulator(task, 3), BatchSimulator(task, 3)
    observations = simulator.reset(SEEDS[:3])
    untouched.reset(SEEDS[:3])
    state = {"qpos": simulator.qpos[[1]].copy(), "qvel": simulator.qvel[[1]].copy()}
    for field, value in blow_up.items():
        state[field][0, 2] = value
    simulator.set_state(**state, ids=[1])
    observations, rewards, terminated, truncated = simulator.step(actions[0, :3])
    expected = untouched.step(actions[0, :3])
    assert simulator.diverged.tolist() == terminated.tolist() == [False, True, False]
    assert rewards[1] == 0
    assert not truncated.any()
    for value, other in zip((observations, rewards), expected, strict=False):
        np.testing.assert_array_equal(value[[0, 2]], other[[0, 2]])
    with pytest.raises(ValueError, match=r"\[1\] have ended"):
        simulator.step(actions[1, :3])
    # The place is as good as new for another episode.
    assert_same(play(simulator, SEEDS[:3], actions[:, :3]), play(untouched, SEEDS[:3], actions[:, :3]))
    assert not simulator.diverged.any()
    assert list(tmp_path.iterdir()) == []  # MuJoCo leaves no log file.


def test_truncated_at_the_time_limit():
    simulator = BatchSimulator("halfcheetah", 1)
    simulator.reset([0])
    ends = [simulator.step(np.zeros((1, 6), np.float32))[2:] for _ in range(1000)]
    assert [bool(truncated[0]) for _, truncated in ends] == [False] * 999 + [True]
    assert not any(terminated[0] for terminated, _ in ends)
    with pytest.raises(ValueError, match="have ended"):
        simulator.step(np.zeros((1, 6), np.float32))


def test_set_state_starts_from_the_given_state():
    """Playing on from a state taken out of another simulation, its warm start apart, goes the same way."""
    source = BatchSimulator("hopper", 1)
    source.reset([5])
    actions = random_actions("hopper", 0.1, 1)
    for t in range(5):
        source.step(actions[t])
    simulator = BatchSimulator("hopper", 3)
    observations = simulator.set_state(source.qpos, source.qvel, [1])
    np.testing.assert_array_equal(observations, source.robot.observe(source.qpos, source.qvel))
    np.testing.assert_allclose(simulator.step(actions[5], [1])[0], source.step(actions[5])[0], rtol=0, atol=1e-6)
    assert simulator.steps.tolist() == [0, 1, 0]


def test_timer_callback_is_gone():
    make_model("hopper")
    model = make_model("hopper", "gymnasium")
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data)
    assert data.timer[mujoco.mjtTimer.mjTIMER_STEP].duration == 0


def test_refusals(monkeypatch):
    with pytest.raises(InputError, match=r"'humanoid' is unknown.*halfcheetah, hopper, walker2d"):
        robots.get("humanoid")
    with pytest.raises(InputError, match=r"'antmaze-umaze' is not played in .* 'gymnasium' \(.* d4rl, mujoco-py"):
        BatchSimulator("antmaze-umaze", 1, "gymnasium")
    monkeypatch.setitem(tasks.TASKS, "hopper", dataclasses.replace(tasks.get("hopper"), robot=None))
    with pytest.raises(InputError, match="'hopper' has no simulator; those that have one are halfcheetah"):
        BatchSimulator("hopper", 1)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"'mujoco' is unknown.*d4rl, gymnasium"):
        BatchSimulator("hopper", 2, "mujoco")
    simulator = BatchSimulator("hopper", 2)
    with pytest.raises(ValueError, match="have ended"):
        simulator.step(np.zeros((2, 3)))
    simulator.reset([1, 2])
    with pytest.raises(ValueError, match="shape"):
        simulator.step(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="NaN"):
        simulator.step(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="mask"):
        simulator.step(np.zeros((1, 3)), [False, True])
    with pytest.raises(ValueError, match="3 seeds for 2"):
        simulator.reset([1, 2, 3], [0, 1])


# The thresholds of the classes and their neighbours, and everything else a float can be.
EDGES = [sign * edge for edge in (0.2, 0.7, 0.8, 1.0, 2.0, 10.0, 100.0, np.inf) for sign in (1, -1)]
NUMBERS = st.one_of(
    st.sampled_from(EDGES),
    st.sampled_from([np.nextafter(edge, side) for edge in EDGES for side in (-np.inf, np.inf)]),
    st.floats(),
)


@pytest.mark.parametrize("task", ALL_TASKS)
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_terminations_and_observations_equal_gymnasiums(environments, task, data):
    environment = environments[task].unwrapped
    count = 3
    upright = np.concatenate((environment.init_qpos, environment.init_qvel))
    states = np.tile(upright, (count, 1))
    for row, column, value in data.draw(
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, len(upright) - 1), NUMBERS), max_size=6)
    ):
        states[row, column] = value
    # Height and angle decide most often.
    states[0, 1 + data.draw(st.integers(0, 1))] = data.draw(NUMBERS)
    qpos, qvel = states[:, : environment.model.nq], states[:, environment.model.nq :]
    robot = robots.get(task)
    observations, terminated = robot.observe(qpos, qvel), robot.terminated(qpos, qvel)
    for k in range(count):
        environment.data.qpos[:], environment.data.qvel[:] = qpos[k], qvel[k]
        np.testing.assert_array_equal(observations[k], environment._get_obs())
        # The cheetah's class has no such property: it returns False at every step.
        assert terminated[k] == getattr(environment, "terminated", False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("task", ALL_TASKS)
@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 300))
def test_rewards_equal_gymnasiums(environments, task, dtype, seed, count):
    environment = environments[task].unwrapped
    generator = np.random.default_rng(seed)
    velocity = generator.normal(0, 3, count)
    actions = generator.uniform(-1, 1, (count, tasks.get(task).action_size)).astype(dtype)
    # In a second, from where x is 0.
    after = np.column_stack([velocity, generator.normal(size=(count, 2))])
    moved = {"before": np.zeros((count, 3)), "after": after, "seconds": 1.0}
    fell = generator.random(count) < 0.2 if task != "halfcheetah" else np.zeros(count, bool)
    rewards, newer = (
        robots.get(task).rewards(actions=actions, variant=variant, terminated=fell, **moved) for variant in STOCK
    )
    assert rewards.dtype == newer.dtype == np.float64
    for k in range(count):
        healthy = getattr(environment, "healthy_reward", 0.0)
        assert rewards[k] == (velocity[k] + healthy) - environment.control_cost(actions[k])
        assert newer[k] == (velocity[k] + healthy * (not fell[k])) - environment.control_cost(actions[k])
