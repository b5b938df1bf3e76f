"""Others' code that docs/examples runs in our environments: what it finds, found again in the simulator alone."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import d4rl_automl
from d4rl_automl.data.datasets import load_dataset
from d4rl_automl.simulators import robots
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.tasks.scores import normalise
from tests.support.datasets import arrays, store

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def run(name, capsys):
    """The variables that an example leaves, after a look at what it prints."""
    left = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    mean = left["mean"] if "mean" in left else left["returns"].mean()
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"return {mean:.2f}")
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


def test_the_page_runs_from_top_to_bottom(tmp_path, monkeypatch):
    """With a file of our own in the place of D4RL's."""
    path, asked = store(tmp_path / "raw.hdf5", arrays()), []

    def load_what_there_is(name, task=None):
        asked.append(name)
        return load_dataset(path, task)

    monkeypatch.setattr(d4rl_automl, "load_dataset", load_what_there_is)
    monkeypatch.setattr("d4rl_automl.data.datasets.load_dataset", load_what_there_is)
    blocks = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / "use-the-simulator.md").read_text(), re.DOTALL)
    variables = {}
    for block in blocks:
        exec(block, variables)
    assert len(blocks) == 5
    assert asked == ["hopper-medium-v2"] * 2
    assert variables["dataset"].keys() == arrays().keys()
    assert len(variables["batch"]["rewards"]) == 50 - 1 - 2
    assert variables["observations"].shape == (0, 11)
    assert variables["envs"].unwrapped.simulator.batch.nthread == 2
    assert variables["score"] == normalise("hopper", 1500.0)
    np.testing.assert_allclose(variables["env"].unwrapped.get_normalized_score(1500.0), variables["score"] / 100)
    # Who does not move falls at once.
    assert 0 < normalise("hopper", variables["returns"]).mean() < 10
