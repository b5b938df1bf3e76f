"""The closed loop in a simulator whose episodes end when they are told to, and what the simulators' table says."""

import subprocess
import sys

import numpy as np
import pytest

from d4rl_automl import simulators, tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.simulators import closed_loop
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.original import OriginalSimulator


class Scripted:
    """A seed is the length of its episode, which ends by a fall (even) or by the time limit (odd).

    A step's reward is the action times the number of the step; observations are the seed and the steps made.
    """

    def __init__(self, size):
        self.task, self.size = tasks.get("hopper"), size
        self.steps, self.diverged = np.zeros(size, np.int64), np.zeros(size, bool)
        self.lengths, self.asked = np.zeros(size, np.int64), []

    def reset(self, seeds):
        self.lengths[: len(seeds)] = seeds
        return np.column_stack([seeds, np.zeros(len(seeds))])

    def step(self, actions, ids=None):
        self.asked.append(ids)
        rows = np.arange(self.size) if ids is None else ids
        assert len(actions) == len(rows)
        self.steps[rows] += 1
        ended = self.steps[rows] == self.lengths[rows]
        fell = ended & (self.lengths[rows] % 2 == 0)
        self.diverged[rows] = fell & (self.lengths[rows] == 4)
        return np.column_stack([self.lengths[rows], self.steps[rows]]), actions[:, 0] * self.steps[rows], fell, ended


SEEDS = np.array([3, 1, 4, 2])


def test_who_has_finished_leaves_and_the_others_see_their_own():
    simulator, moments, outcomes = Scripted(4), [], []

    def act(moment):
        assert moment.observations.tolist() == [[SEEDS[i], moment.step] for i in moment.ids]
        # The return so far: 1 + 2 + ... of ten times the number of the episode.
        assert moment.returns.tolist() == [10 * i * moment.step * (moment.step + 1) / 2 for i in moment.ids]
        return 10.0 * moment.ids[:, None]

    def observer(moment, outcome):
        moments.append(moment)
        outcomes.append(outcome)

    played = closed_loop.play(simulator, SEEDS, act, observer)
    assert played.lengths.tolist() == SEEDS.tolist()
    assert played.returns.tolist() == [0, 10, 200, 90]
    assert played.terminated.tolist() == [False, False, True, True]
    assert played.diverged.tolist() == [False, False, True, False]
    assert [moment.step for moment in moments] == [0, 1, 2, 3]
    assert [moment.ids.tolist() for moment in moments] == [[0, 1, 2, 3], [0, 2, 3], [0, 2], [2]]
    assert [outcome.ended.tolist() for outcome in outcomes] == [
        [False, True, False, False],
        [False, False, True],
        [True, False],
        [True],
    ]
    # What an end's action led to is told, too.
    assert outcomes[0].observations.tolist() == [[3, 1], [1, 1], [4, 1], [2, 1]]
    # All of them at once need no index.
    assert simulator.asked[0] is None
    assert [ids.tolist() for ids in simulator.asked[1:]] == [[0, 2, 3], [0, 2], [2]]


def test_a_simulator_may_have_room_for_more():
    simulator = Scripted(9)
    played = closed_loop.play(simulator, SEEDS, lambda moment: np.ones((len(moment.ids), 1)))
    assert played.lengths.tolist() == SEEDS.tolist()
    assert played.returns.shape == played.terminated.shape == played.diverged.shape == (4,)
    assert simulator.asked[0].tolist() == [0, 1, 2, 3]
    # What was played stays as it was when the simulator goes on.
    simulator.steps[:] = 0
    assert played.lengths.tolist() == SEEDS.tolist()
    with pytest.raises(ValueError, match="10 seeds for 9 environments"):
        closed_loop.play(simulator, np.arange(1, 11), lambda moment: None)


def test_simulators_are_made_by_their_names():
    found = {name: variant.maker for name, variant in simulators.SIMULATORS.items()}
    gymnasiums = ["gymnasium", "gymnasium-v5", "gymnasium-old-margins", "gymnasium-v5-old-margins"]
    assert list(found) == ["d4rl", *gymnasiums, "mujoco-py"]
    for name in ("d4rl", *gymnasiums):
        made = simulators.make("hopper", 3, name)
        assert isinstance(made, BatchSimulator)
        assert (made.size, made.variant, made.task.name) == (3, name, "hopper")
        assert made.versions.keys() == {"mujoco", "gymnasium"}
        assert simulators.get(name).module == "d4rl_automl.simulators.batch"
    assert found["mujoco-py"] == f"{OriginalSimulator.__module__}:{OriginalSimulator.__name__}"
    with pytest.raises(InputError, match=r"'mujoco' is unknown; the simulators are d4rl, gymnasium, .*, mujoco-py"):
        simulators.make("hopper", 1, "mujoco")


def test_what_tasks_and_simulators_there_are_is_known_with_the_standard_library_alone():
    code = "import sys; from d4rl_automl import simulators, tasks; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"numpy", "mujoco", "gymnasium", "pandas", "pyarrow", "torch"}
