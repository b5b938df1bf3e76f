"""The `d4rl` variant against D4RL's own environments on MuJoCo 2.1.0, recorded by tests/oracle/record.py.

Where D4RL's simulator does not agree with itself when a state is moved by 1e-15, or an initial
state by 1e-8 (its twins), there is no one answer to compare with: such steps and episodes are
told apart by what was recorded of the original, never by our own error.
"""

import json

import numpy as np
import pytest

from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.tasks import gym
from tests.support.recorded import RECORDING, is_determined, is_exact, is_kind, part

ALL_TASKS = [task.name for task in gym.TASKS]
DETERMINED = {"halfcheetah": 2, "hopper": 6, "walker2d": 6}
"""Of eight recorded episodes, those whose return hardly changes (0.01) if the initial state moves by 1e-8."""


def step_errors(recording, task, variant):
    """Largest difference of the next state, of the reward, and whether the termination differs, per step."""
    steps = part(recording, task, "steps")
    count = len(steps["kind"])
    simulator, rewards, terminated = BatchSimulator(task, count, variant), np.empty(count), np.empty(count, bool)
    simulator.set_state(steps["qpos"], steps["qvel"])
    single = is_kind(recording, steps, "float32")
    for chosen, dtype in ((single, np.float32), (~single, np.float64)):
        ids = np.flatnonzero(chosen)
        _, rewards[ids], terminated[ids], _ = simulator.step(steps["action"][ids].astype(dtype), ids)
    assert not simulator.diverged.any()
    errors = np.maximum(
        np.abs(simulator.qpos - steps["next_qpos"]).max(axis=1), np.abs(simulator.qvel - steps["next_qvel"]).max(axis=1)
    )
    return errors, np.abs(rewards - steps["reward"]), terminated != steps["terminated"]


def replay(episodes, task, variant):
    """Our rewards (E, 1000), zero after the end, lengths and terminations of the recorded episodes."""
    count = len(episodes["qpos"])
    simulator = BatchSimulator(task, count, variant)
    simulator.set_state(episodes["qpos"], episodes["qvel"])
    rewards, terminated, running, step = np.zeros(episodes["rewards"].shape), np.zeros(count, bool), np.arange(count), 0
    while len(running):
        _, rewards[running, step], terminated[running], truncated = simulator.step(
            episodes["actions"][running, step], running
        )
        running, step = running[~(terminated[running] | truncated)], step + 1
    return rewards, simulator.steps, terminated


@pytest.mark.parametrize("task", ALL_TASKS)
def test_single_steps_equal_the_original(recording, task):
    steps = part(recording, task, "steps")
    errors, reward_errors, differing = step_errors(recording, task, "d4rl")
    determined = is_determined(steps)
    assert not differing.any()
    for kind in np.unique(steps["kind"]):
        chosen = determined & (steps["kind"] == kind)
        assert is_exact(errors[chosen])
        assert is_exact(reward_errors[chosen])


@pytest.mark.parametrize("task", ALL_TASKS)
def test_undetermined_steps_are_few_and_self_contacts_of_the_hopper(recording, task):
    """Two limbs of a folded hopper cross, and the direction of their contact is 0/0 (docs/evidence/simulator.md)."""
    steps = part(recording, task, "steps")
    undetermined = ~is_determined(steps)
    if task != "hopper":
        assert not undetermined.any()
        assert not steps["self_contacts"].any()
        return
    folded = is_kind(recording, steps, "folded")
    assert (steps["self_contacts"][folded] > 0).all()
    assert not undetermined[~folded].any()
    assert 0 < undetermined[folded].mean() < 0.01
    # All that differ are among them.
    errors, _, _ = step_errors(recording, task, "d4rl")
    assert not (errors > 1e-6)[~undetermined].any()


@pytest.mark.parametrize("task", ALL_TASKS)
def test_the_stock_simulator_does_not(recording, task):
    """The bounds tell the two variants apart by every kind of step, and by most lengths or returns."""
    steps = part(recording, task, "steps")
    errors, reward_errors, _ = step_errors(recording, task, "gymnasium")
    for kind in np.unique(steps["kind"]):
        assert np.median(errors[steps["kind"] == kind]) > 1e-3
        assert np.median(reward_errors[steps["kind"] == kind]) > 1e-5
    episodes = part(recording, task, "episodes")
    rewards, _, _ = replay(episodes, task, "gymnasium")
    assert (np.abs(rewards.sum(axis=1) - episodes["rewards"].sum(axis=1)) > 1e-2).all()


@pytest.mark.parametrize("task", ALL_TASKS)
def test_whole_episodes_equal_the_original(recording, task):
    """Lengths, and returns about as close as the original's twins'; and all episodes until chaos takes over."""
    episodes = part(recording, task, "episodes")
    rewards, lengths, terminated = replay(episodes, task, "d4rl")
    returns, expected = rewards.sum(axis=1), episodes["rewards"].sum(axis=1)
    spread = np.abs(episodes["twin_returns"] - expected[:, None]).max(axis=1)
    determined = (spread < 1e-2) & (episodes["twin_lengths"] == episodes["length"][:, None]).all(axis=1)
    assert determined.sum() == DETERMINED[task]
    assert (np.abs(returns - expected)[determined] <= 10 * spread[determined]).all()
    np.testing.assert_array_equal(lengths[determined], episodes["length"][determined])
    np.testing.assert_array_equal(terminated[determined], episodes["terminated"][determined])
    np.testing.assert_allclose(rewards[:, :40], episodes["rewards"][:, :40], rtol=0, atol=1e-6)


def test_the_recording_holds_what_it_should(recording):
    """Every kind, steps on and off the floor, falls, actions beyond the bounds; no more than 2 MB."""
    assert RECORDING.stat().st_size <= 2_000_000
    metadata = json.loads(str(recording["metadata"]))
    assert (metadata["d4rl"], metadata["gym"], metadata["mujoco-py"]) == ("1.1", "0.23.1", "2.1.2.14")
    for task in ALL_TASKS:
        steps, episodes = part(recording, task, "steps"), part(recording, task, "episodes")
        kinds = metadata["kinds"] if task == "hopper" else metadata["kinds"][:-1]
        for kind in kinds:
            chosen = is_kind(recording, steps, kind)
            assert chosen.sum() >= 200
            assert 0 < (steps["floor_contacts"][chosen] > 0).mean() < 1
        assert np.abs(steps["action"][is_kind(recording, steps, "beyond")]).max() > 2.9
        assert task == "halfcheetah" or 0 < steps["terminated"].mean() < 1
        assert (episodes["length"] == 1000).any()
