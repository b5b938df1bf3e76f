"""Everything of the behaviour policies but their training, and that what ships is what its tables say."""

import csv
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from d4rl_automl.behaviour import choosing, policies, training
from d4rl_automl.behaviour.policies import TanhGaussian
from d4rl_automl.behaviour.training import EndlessEpisodes
from d4rl_automl.core import environments
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import sha256
from d4rl_automl.data import recipes
from d4rl_automl.data.recipes import BEHAVIOUR
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.tasks.scores import normalise
from d4rl_automl.tasks.seeds import episode_seeds
from tests.support.stock import reference_environment

ROOT = Path(__file__).parents[2]
TRAINING = yaml.safe_load((BEHAVIOUR / "training.yaml").read_text())
ROBOTS = ["halfcheetah", "hopper", "walker2d"]


def test_endless_episodes_are_the_simulators_own_one_after_the_other():
    size, steps, seed = 3, 120, 5
    generator = np.random.default_rng(0)
    actions = generator.uniform(-1, 1, (steps, size, 3))
    endless = EndlessEpisodes("hopper", size, seed)
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(size)]
    alone = [BatchSimulator("hopper", 1) for _ in range(size)]
    observations = endless.reset()
    expected = np.concatenate([one.reset([int(s.integers(2**62))]) for one, s in zip(alone, streams, strict=True)])
    np.testing.assert_array_equal(observations, expected)
    falls = np.zeros(size, int)
    for step in range(steps):
        following, rewards, terminated, truncated, reached = endless.step(actions[step])
        for i in range(size):
            observation, reward, fell, late = alone[i].step(actions[step, i : i + 1])
            np.testing.assert_array_equal(reached[i], observation[0])
            assert (rewards[i], terminated[i], truncated[i]) == (reward[0], fell[0], late[0])
            if fell[0]:
                falls[i] += 1
                observation = alone[i].reset([int(streams[i].integers(2**62))])
                assert (observation[0] != reached[i]).any()
            np.testing.assert_array_equal(following[i], observation[0])
    assert (falls >= 2).all()


def test_the_time_limit_truncates_and_an_episode_follows():
    endless = EndlessEpisodes("halfcheetah", 1, 0)
    start = endless.reset()
    for step in range(1, 1001):
        following, _, terminated, truncated, reached = endless.step(np.zeros((1, 6)))
        assert not terminated[0]
        assert truncated[0] == (step == 1000)
    assert (following != reached).all()
    assert (following != start).all()
    assert endless.simulator.steps[0] == 0
    assert not endless.step(np.zeros((1, 6)))[3][0]


finite = st.floats(-10, 10)


@given(
    npst.arrays(np.float64, (5, 4), elements=finite),
    npst.arrays(np.float64, 4, elements=finite),
    npst.arrays(np.float64, 5, elements=finite),
    npst.arrays(np.float64, 5, elements=st.floats(0.01, 100)),
    npst.arrays(np.float64, (3, 5), elements=finite),
)
def test_a_folded_layer_does_what_the_layer_did_after_normalising(weights, bias, mean, deviation, observations):
    folded, shift = training.fold_normalisation(weights, bias, mean, deviation)
    expected = (observations - mean) / deviation @ weights + bias
    np.testing.assert_allclose(observations @ folded + shift, expected, atol=1e-8 * (1 + np.abs(folded).max()))


def random_policy(path, task="hopper", activation="relu", seed=0):
    generator = np.random.default_rng(seed)
    sizes = {"w0": (11, 8), "b0": 8, "w1": (8, 7), "b1": 7, "w_mu": (7, 3), "b_mu": 3, "w_ls": (7, 3), "b_ls": 3}
    layers = {name: generator.normal(size=size) for name, size in sizes.items()}
    policies.save(path, layers, activation)
    return layers


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_saved_policy_acts_as_its_layers_say(tmp_path, activation):
    layers = random_policy(tmp_path / "policy.npz", activation=activation)
    observations, chance = np.random.default_rng(1).normal(size=(2, 20, 11))
    chance = chance[:, :3]
    squash = np.tanh if activation == "tanh" else lambda values: np.where(values > 0, values, 0)
    hidden = squash(squash(observations @ layers["w0"] + layers["b0"]) @ layers["w1"] + layers["b1"])
    deviation = np.exp(np.clip(hidden @ layers["w_ls"] + layers["b_ls"], -20, 2))
    expected = np.tanh(hidden @ layers["w_mu"] + layers["b_mu"] + deviation * chance)
    policy = TanhGaussian(tmp_path / "policy.npz", "hopper", 1.0)
    actions, _ = policy.act(observations.astype(np.float32), chance.astype(np.float32))
    np.testing.assert_allclose(actions, expected, atol=2e-4)


@pytest.mark.parametrize("stochastic", [True, False])
@pytest.mark.parametrize("seed", [3, 1, 4])
def test_returns_are_those_of_gymnasiums_own_loop(tmp_path, seed, stochastic):
    random_policy(tmp_path / "policy.npz")
    policy = TanhGaussian(tmp_path / "policy.npz", "hopper", 1.0)
    returns, lengths = choosing.evaluate(policy, "hopper", np.array([seed]), stochastic)
    environment = reference_environment("hopper")
    chance = policy.draw(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,))), 1000)
    observation, _ = environment.reset(seed=seed)
    total, steps, ended = 0.0, 0, False
    while not ended:
        noise = chance[steps] if stochastic else np.zeros(3, np.float32)
        action, _ = policy.act(observation.astype(np.float32)[None], noise[None])
        observation, reward, terminated, truncated, _ = environment.step((action[0] + 1) - 1)
        total, steps, ended = total + reward, steps + 1, terminated or truncated
    assert lengths[0] == steps
    assert returns[0] == pytest.approx(total, rel=1e-6)


def test_episodes_side_by_side_are_those_played_alone(tmp_path):
    random_policy(tmp_path / "policy.npz", activation="tanh")
    policy = TanhGaussian(tmp_path / "policy.npz", "hopper", 1.0)
    seeds = np.arange(20)
    returns, lengths = choosing.evaluate(policy, "hopper", seeds)
    alone = [choosing.evaluate(policy, "hopper", seeds[i : i + 1]) for i in seeds]
    # One row rounds otherwise than twenty.
    assert np.mean([length[0] == lengths[i] for i, (_, length) in enumerate(alone)]) > 0.8
    np.testing.assert_allclose(np.concatenate([one for one, _ in alone]), returns, rtol=0.05)


def curve(scores, spacing=100):
    return [
        {"policy": f"{i}.npz", "environment_steps": str(spacing * i), "stochastic_score": str(score)}
        for i, score in enumerate(scores)
    ]


def test_roles_are_taken_from_the_way_up():
    scores = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 15, 30, 35, 39, 41, 30, 60, 95, 90, 45]
    picked = choosing.roles(curve(scores), medium_score=40)
    assert picked["medium"]["environment_steps"] == "1600"
    assert picked["expert"]["stochastic_score"] == "95"
    steps = [int(picked[f"replay-{number}"]["environment_steps"]) for number in range(1, 8)]
    assert steps == [200, 400, 600, 800, 1000, 1200, 1400]


def test_a_curve_without_the_roles_is_refused():
    with pytest.raises(InputError, match=r"no checkpoint reaches the score 40, the best has 39.0: train longer"):
        choosing.roles(curve([0, 39, 12]), 40)
    with pytest.raises(InputError, match=r"after 300 steps, with fewer than 8 checkpoints on the way"):
        choosing.roles(curve([0, 10, 20, 50, 90]), 40)


def test_chosen_policies_are_a_set_of_recipes_with_levels(tmp_path, monkeypatch):
    monkeypatch.setattr(choosing, "EPISODES", 3)
    training = tmp_path / "training"
    for number in range(12):
        random_policy(training / f"{number}.npz", seed=number)
    rows = curve([0, 1, 2, 3, 4, 5, 6, 7, 45, 46, 99, 98])
    with (training / "curve.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    settings = {"hopper": {"algorithm": "PPO", "seed": 0, "medium_score": 40}}
    choosing.choose({"hopper": training}, settings, tmp_path / "chosen")
    sources = {f"hopper-replay-{i}.npz": i for i in range(1, 8)} | {"hopper-medium.npz": 8, "hopper-expert.npz": 10}
    made = {path.name for path in (tmp_path / "chosen").iterdir()}
    assert made == {*sources, "recipes.csv", "levels.csv"}
    for name, number in sources.items():
        assert sha256(tmp_path / "chosen" / name) == sha256(training / f"{number}.npz")
    with (tmp_path / "chosen" / "levels.csv").open(newline="") as stream:
        levels = {row["policy"]: row for row in csv.DictReader(stream)}
    assert levels.keys() == sources.keys()
    seeds = episode_seeds(0, "hopper-behaviour", "report", 3)
    policy = TanhGaussian(training / "10.npz", "hopper", 1.0)
    returns, _ = choosing.evaluate(policy, "hopper", seeds)
    assert float(levels["hopper-expert.npz"]["return_mean"]) == pytest.approx(returns.mean(), abs=0.05)
    monkeypatch.setattr(recipes, "BEHAVIOUR", tmp_path / "chosen")
    assert {name: len(shares) for name, shares in recipes.recipes("hopper").items()} == {
        "random": 1,
        "medium": 1,
        "medium-replay": 8,
        "medium-expert": 2,
    }
    replay = [source["policy"] for source in recipes.sources("hopper", "medium-replay")]
    assert [sources[name] for name in replay] == [1, 2, 3, 4, 5, 6, 7, 8]

    settings["hopper"]["medium_score"] = 100
    with pytest.raises(InputError, match=r"training: no checkpoint reaches the score 100"):
        choosing.choose({"hopper": training}, settings, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": "many"}, r"training.yaml: hopper: steps is 'many', expected int"),
        ({"algorithm": "DQN"}, r"algorithm is 'DQN', expected PPO or SAC"),
        ({"learning_rate": {"start": 1}}, r"learning_rate is \{'start': 1\}, expected start, end and steps"),
        ({"width": 64}, r"missing or unknown: width"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        training.train("hopper", {**TRAINING["hopper"], **change}, tmp_path / "training")


def test_a_missing_environment_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("D4RL_AUTOML_BEHAVIOUR", str(tmp_path / "python"))
    with pytest.raises(InputError, match=r"python does not exist; .* envs/behaviour/install.sh"):
        training.train("hopper", TRAINING["hopper"], tmp_path / "training")


def test_training_in_its_own_environment():
    """Runs test_behaviour_training.py with the python that can."""
    try:
        python = environments.find_python("behaviour")
    except InputError as error:
        pytest.skip(str(error))
    # Without tests/conftest.py, which takes what the tests of the workflow take.
    alone = ("-q", "-p", "no:cacheprovider", "--confcutdir", "tests/unit")
    command = [python, "-m", "pytest", *alone, "tests/unit/test_behaviour_training.py"]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": "src"}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skipped" not in ran.stdout


# What ships.


def shipped_levels():
    with (BEHAVIOUR / "levels.csv").open(newline="") as stream:
        return {row["policy"]: row for row in csv.DictReader(stream)}


def test_shipped_policies_are_small_plain_arrays_each_with_a_level():
    files = sorted(BEHAVIOUR.glob("*.npz"))
    assert {path.name for path in files} == shipped_levels().keys()
    assert sum(path.stat().st_size for path in BEHAVIOUR.iterdir()) < 2e6
    for path in files:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                assert arrays[name].dtype.kind in "fU"
                if arrays[name].dtype.kind == "f":
                    assert np.isfinite(arrays[name]).all()


def test_shipped_levels_are_what_the_datasets_names_promise():
    levels = {name: float(row["normalised_score"]) for name, row in shipped_levels().items()}
    for robot in ROBOTS:
        assert 30 <= levels[f"{robot}-medium.npz"] <= 50
        assert levels[f"{robot}-expert.npz"] >= 80
        assert recipes.recipes(robot).keys() == {"random", "medium", "medium-replay", "medium-expert"}
        replay = [source["policy"] for source in recipes.sources(robot, "medium-replay")]
        steps = [int(shipped_levels()[policy]["environment_steps"]) for policy in replay]
        assert len(steps) == choosing.REPLAY
        assert steps == sorted(set(steps))
        assert replay[-1] == f"{robot}-medium.npz"
    assert levels["ant-expert.npz"] >= 80
    assert TRAINING.keys() == {*ROBOTS, "ant"}


def test_a_shipped_level_is_what_its_policy_scores():
    row = shipped_levels()["hopper-medium.npz"]
    seeds = episode_seeds(TRAINING["hopper"]["seed"], "hopper-behaviour", "report", int(row["episodes"]))
    returns, lengths = choosing.evaluate(TanhGaussian(BEHAVIOUR / row["policy"], "hopper", 1.0), "hopper", seeds)
    # Another processor rounds otherwise, and a fall comes a step sooner or later.
    error = 3 * float(row["return_std"]) / len(seeds) ** 0.5
    assert returns.mean() == pytest.approx(float(row["return_mean"]), abs=error)
    assert float(row["normalised_score"]) == pytest.approx(normalise("hopper", float(row["return_mean"])), abs=0.06)
    assert lengths.mean() == pytest.approx(float(row["length_mean"]), rel=0.2)
