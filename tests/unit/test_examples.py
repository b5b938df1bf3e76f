"""Others' code that docs/examples runs in our environments: what it finds, found again in the simulator alone."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from d4rl_automl.simulators import robots
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.tasks.scores import normalise

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def run(name, capsys):
    """The variables that an example leaves, after a look at what it prints."""
    left = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .startswith(f"return {np.mean(left.get('mean', left.get('returns'))):.2f}")
    )
    return left


def played(act, *, first):
    """Returns (10,) of a hopper that `act` moves: the resets number `first` to `first` + 9 after ``reset(seed=0)``."""
    simulator, (generator,) = BatchSimulator("hopper", 1), robots.seeded([0])
    states = [simulator.robot.initial_states(simulator.model, [generator]) for _ in range(first + 10)]
    returns = np.zeros(10)
    for episode, state in enumerate(states[first:]):
        observations, ended = simulator.set_state(*state), False
        while not ended:
            observations, rewards, terminated, truncated = simulator.step(act(observations))
            returns[episode] += rewards[0]
            ended = terminated[0] or truncated[0]
    return returns


def test_stable_baselines3_evaluates(capsys):
    pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed: pip install stable-baselines3")
    left = run("evaluate_stable_baselines3", capsys)
    returns = played(lambda rows: left["policy"].predict(rows, deterministic=True)[0], first=1)
    np.testing.assert_allclose([left["mean"], left["deviation"]], [returns.mean(), returns.std()], rtol=1e-6)
    np.testing.assert_allclose(left["score"], normalise("hopper", returns.mean()), rtol=1e-6)


def test_d3rlpy_evaluates(capsys):
    pytest.importorskip("d3rlpy", reason="d3rlpy is not installed: docs/use-the-simulator.md says how")
    left = run("evaluate_d3rlpy", capsys)
    returns = played(left["policy"].predict, first=1)
    np.testing.assert_allclose(left["mean"], returns.mean(), rtol=1e-12)
    np.testing.assert_allclose(left["score"], normalise("hopper", returns.mean()), rtol=1e-12)


def test_a_loop_like_corls_evaluates(capsys):
    left = run("evaluate_like_corl", capsys)
    returns = played(lambda rows: left["actor"].act(rows[0], "cpu")[None], first=0)
    np.testing.assert_array_equal(left["returns"], returns)
    np.testing.assert_allclose(left["score"], normalise("hopper", returns.mean()), rtol=1e-12)
