"""The training itself. Runs where sbx is: test_behaviour.py starts it there."""

import csv

import numpy as np
import pytest

pytest.importorskip("sbx", reason="sbx is in an environment of its own (envs/behaviour/install.sh)")

from d4rl_automl.behaviour import training_worker
from d4rl_automl.behaviour.policies import TanhGaussian
from d4rl_automl.behaviour.training import EndlessEpisodes
from d4rl_automl.core.files import sha256
from d4rl_automl.simulators.batch import BatchSimulator

PPO = {
    "algorithm": "PPO",
    "seed": 3,
    "steps": 128,
    "checkpoint_steps": 64,
    "curve_episodes": 2,
    "medium_score": 40,
    "environments": 4,
    "learning_rate": {"start": 3e-3, "end": 1e-3, "steps": 512},
    "policy": {"net_arch": {"pi": [16, 8], "vf": [16, 8]}, "ortho_init": True, "log_std_init": -0.5},
    "arguments": {"n_steps": 32, "batch_size": 32, "n_epochs": 2, "gamma": 0.99},
}
SAC = {
    **PPO,
    "algorithm": "SAC",
    "policy": {"net_arch": {"pi": [16, 8], "qf": [16, 16]}},
    "arguments": {"batch_size": 16, "learning_starts": 16, "train_freq": 8, "gradient_steps": 4},
}
SETTINGS = {"PPO": PPO, "SAC": SAC}


@pytest.mark.parametrize("squash", [True, False])
def test_environment_steps_the_simulator(squash):
    size = 3
    environment = training_worker.SimulatorVecEnv("hopper", size, 7, squash)
    endless = EndlessEpisodes("hopper", size, 7)
    np.testing.assert_array_equal(environment.reset(), endless.reset().astype(np.float32))
    generator, ends = np.random.default_rng(0), 0
    for _ in range(100):
        actions = generator.uniform(-1, 1, (size, 3)).astype(np.float32) * (3 if squash else 1)
        observations, rewards, ended, infos = environment.step(actions)
        following, expected, terminated, _, reached = endless.step(np.tanh(actions) if squash else actions)
        np.testing.assert_array_equal(observations, following.astype(np.float32))
        np.testing.assert_array_equal(rewards, expected.astype(np.float32))
        np.testing.assert_array_equal(ended, terminated)
        for i in range(size):
            if not ended[i]:
                assert infos[i] == {}
                continue
            ends += 1
            assert infos[i]["TimeLimit.truncated"] is False
            np.testing.assert_array_equal(infos[i]["terminal_observation"], reached[i].astype(np.float32))
    assert ends > size


def test_the_time_limit_is_told_from_a_fall():
    environment = training_worker.SimulatorVecEnv("halfcheetah", 2, 0, squash=False)
    simulator = BatchSimulator("halfcheetah", 2)
    environment.reset()
    simulator.set_state(environment.episodes.simulator.qpos, environment.episodes.simulator.qvel)
    actions = np.zeros((2, 6), np.float32)
    for step in range(1, 1001):
        observations, _, ended, infos = environment.step(actions)
        last = simulator.step(actions)[0].astype(np.float32)
        assert ended.tolist() == [step == 1000] * 2
    assert [info["TimeLimit.truncated"] for info in infos] == [True, True]
    np.testing.assert_array_equal([info["terminal_observation"] for info in infos], last)
    assert (observations != last).any(axis=1).all()


@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_the_exported_policy_is_the_trained_one(tmp_path, algorithm):
    model = training_worker.make_model("hopper", SETTINGS[algorithm])
    model.learn(512)
    training_worker.export(model, tmp_path / "policy.npz")
    policy = TanhGaussian(tmp_path / "policy.npz", "hopper", 1.0)
    simulator = BatchSimulator("hopper", 50)
    simulator.reset(range(50))
    generator = np.random.default_rng(0)
    for _ in range(5):
        observations = simulator.step(generator.uniform(-1, 1, (50, 3)))[0].astype(np.float32)
    seen = observations
    if algorithm == "PPO":
        assert model.get_vec_normalize_env().obs_rms.count > 500
        seen = model.get_vec_normalize_env().normalize_obs(observations)
    expected, _ = model.predict(seen, deterministic=True)
    actions, _ = policy.act(observations, np.zeros((50, 3), np.float32))
    np.testing.assert_allclose(actions, np.tanh(expected) if algorithm == "PPO" else expected, atol=1e-5)
    # With noise: the density of what it does is the model's density of the same.
    chance = policy.draw(generator, 50)
    actions, log_probabilities = policy.act(observations, chance)
    distribution = model.policy.actor_state.apply_fn(model.policy.actor_state.params, seen)
    raw = np.arctanh(actions.astype(np.float64))
    if algorithm == "PPO":
        log_density = np.asarray(distribution.log_prob(raw)) - np.log1p(-(actions.astype(np.float64) ** 2)).sum(axis=1)
    else:
        log_density = np.asarray(distribution.log_prob(actions))
    inside = (np.abs(actions) < 0.999).all(axis=1)
    assert inside.sum() > 25
    np.testing.assert_allclose(log_probabilities[inside], log_density[inside], atol=5e-3)


@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_the_same_seed_trains_the_same_policies(tmp_path, algorithm):
    for run in ("first", "second"):
        training_worker.train("hopper", SETTINGS[algorithm], tmp_path / run)
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == ["00000004.npz", "00000064.npz", "00000128.npz", "curve.csv"]
    for name in names:
        assert sha256(tmp_path / "first" / name) == sha256(tmp_path / "second" / name)
    with (tmp_path / "first" / "curve.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["environment_steps"] for row in rows] == ["4", "64", "128"]
    assert len({sha256(tmp_path / "first" / row["policy"]) for row in rows}) == 3
