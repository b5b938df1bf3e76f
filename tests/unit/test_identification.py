"""Which simulator made a file, against those that did: mujoco-py, Gymnasium v4 and v5, on old and current MuJoCo."""

import functools
import json
import re

import numpy as np
import pytest

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import admission, recordings, replay
from d4rl_automl.data.identification import identify_simulator
from d4rl_automl.simulators import SIMULATORS, robots
from d4rl_automl.simulators.batch import BatchSimulator
from tests.support.datasets import store
from tests.support.project import ROOT
from tests.support.recorded import RECORDING, part
from tests.support.stock import make_environment

ALL_TASKS = ["halfcheetah", "hopper", "walker2d"]
FLOATS = ("observations", "next_observations", "rewards")
OLD = ROOT / "tests/oracle/gymnasium_mujoco316.npz"


@functools.cache
def of_gymnasium(task, version, rows=400):
    """Episodes in Gymnasium's own environment, with actions so small that few velocities are clipped."""
    environment, generator = make_environment(task, version), np.random.default_rng(version)
    played, ended = [], True
    while len(played) < rows:
        if ended:
            observation, _ = environment.reset(seed=len(played))
        action = generator.uniform(-0.3, 0.3, environment.action_space.shape).astype(np.float32)
        following, reward, fell, out_of_time, _ = environment.step(action)
        played.append((observation, action, reward, following, fell, out_of_time))
        observation, ended = following, fell or out_of_time
    names = ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")
    return finished(dict(zip(names, map(np.array, zip(*played, strict=True)), strict=True)))


@functools.cache
def of_d4rl(task):
    """The steps that were recorded of D4RL's own environment in states along episodes, each an episode of its own."""
    with np.load(RECORDING) as recording:
        kinds = json.loads(str(recording["metadata"]))["kinds"]
        steps = part(recording, task, "steps")
    along = np.isin(steps["kind"], [kinds.index(name) for name in ("random", "smooth", "policy", "float32")])
    steps = {name: values[along] for name, values in steps.items()}
    observe = robots.get(task).observe
    return {
        "observations": observe(steps["qpos"], steps["qvel"]),
        "actions": steps["action"],
        "rewards": steps["reward"],
        "next_observations": observe(steps["next_qpos"], steps["next_qvel"]),
        "terminals": steps["terminated"],
        "timeouts": ~steps["terminated"],
    }


@functools.cache
def of_old_gymnasium(version):
    with np.load(OLD) as recorded:
        prefix = f"Hopper-v{version}/"
        names = [name for name in recorded.files if name.startswith(prefix)]
        return finished({name.removeprefix(prefix): recorded[name] for name in names})


def finished(content):
    """The recording is stopped as if by a time limit."""
    content["timeouts"][-1] = not content["terminals"][-1]
    return content


MAKERS = {
    "d4rl": of_d4rl,
    "v4": lambda task: of_gymnasium(task, 4),
    "v5": lambda task: of_gymnasium(task, 5),
}
# What each is found to be: the class, and the simulators that are no other by steps and rewards.
ALL_V4 = ["gymnasium", "gymnasium-old-margins"]
ALL_V5 = ["gymnasium-v5", "gymnasium-v5-old-margins"]
EXPECTED = {
    ("halfcheetah", "v4"): ("gymnasium", ["gymnasium", "gymnasium-v5", *ALL_V4[1:], *ALL_V5[1:]]),
    ("halfcheetah", "v5"): ("gymnasium", ["gymnasium", "gymnasium-v5", *ALL_V4[1:], *ALL_V5[1:]]),
    ("hopper", "v4"): ("gymnasium", ["gymnasium"]),
    ("hopper", "v5"): ("gymnasium", ["gymnasium-v5"]),
    ("walker2d", "v4"): ("gymnasium", ALL_V4),
    ("walker2d", "v5"): ("gymnasium-v5", ALL_V5),
    **{(task, "d4rl"): ("d4rl", ["d4rl", "mujoco-py"]) for task in ALL_TASKS},
}


def saved(path, content, dtype=np.float32):
    return store(path, {name: v.astype(dtype) if name in FLOATS else v for name, v in content.items()})


def identified(path, content, task="hopper", **options):
    saved(path / "raw.hdf5", content, **options)
    return identify_simulator(path / "raw.hdf5", task)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("task", "maker"), EXPECTED)
def test_the_simulator_that_made_it_is_found(tmp_path, task, maker, dtype):
    found = identified(tmp_path, MAKERS[maker](task), task, dtype=dtype)
    assert (found["verdict"], found["simulators"], found["task"]) == (*EXPECTED[task, maker], task)
    assert found["stored"] == np.dtype(dtype).name
    assert not admission.doubts(found, found["simulators"])
    repeated = {one["simulator"]: one["repeated"] for one in found["evidence"]}
    assert repeated.keys() == replay.classes(task).keys()
    # Everything by the one, and every other is far from it.
    assert repeated.pop(found["verdict"]) >= 0.995
    assert max(repeated.values()) < 0.9
    (error,) = (one["error"] for one in found["evidence"] if one["simulator"] == found["verdict"])
    assert error["median"] < (2e-6 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("version", [4, 5])
def test_the_hoppers_mujoco_is_found_too(tmp_path, version):
    assert OLD.stat().st_size <= 100_000
    found = identified(tmp_path, of_old_gymnasium(version))
    simulator = {4: "gymnasium-old-margins", 5: "gymnasium-v5-old-margins"}[version]
    assert (found["verdict"], found["simulators"]) == ("gymnasium-old-margins", [simulator])
    assert found["about"] == "Gymnasium v4 or v5 on MuJoCo 2.1.2 to 3.4"
    assert f"pay is v{version}'s" in found["reason"]
    # Played there, it is what it was.
    recorded = of_old_gymnasium(version)
    played = BatchSimulator("hopper", 1, simulator)
    seeds = np.flatnonzero(np.append(True, (recorded["terminals"] | recorded["timeouts"])[:-1]))
    for episode, first in enumerate(seeds[:3]):
        np.testing.assert_array_equal(played.reset([episode])[0], recorded["observations"][first])
        for row in range(first, first + 5):
            observation, reward, *_ = played.step(recorded["actions"][[row]])
            np.testing.assert_allclose(observation[0], recorded["next_observations"][row], rtol=0, atol=1e-9)
            np.testing.assert_allclose(reward[0], recorded["rewards"][row], rtol=0, atol=1e-9)


def test_what_can_be_told_apart():
    assert {task: list(replay.classes(task)) for task in ALL_TASKS} == {
        "halfcheetah": ["d4rl", "gymnasium"],
        "hopper": ["d4rl", "gymnasium", "gymnasium-old-margins"],
        "walker2d": ["d4rl", "gymnasium", "gymnasium-v5"],
    }
    assert replay.about("halfcheetah", "gymnasium") == "Gymnasium v4 or v5 on any MuJoCo since 2.1.2"
    assert replay.about("walker2d", "gymnasium-v5") == "Gymnasium v5 on any MuJoCo since 2.1.2"
    assert replay.about("hopper", "d4rl") == "D4RL's environments on MuJoCo 2.1.0"
    for task in ALL_TASKS:
        every = [name for names in replay.classes(task).values() for name in names]
        assert sorted([*every, "mujoco-py"]) == sorted(SIMULATORS)


@pytest.mark.parametrize(("task", "other"), [("walker2d", "halfcheetah"), ("halfcheetah", "walker2d")])
def test_another_tasks_steps_are_told(tmp_path, task, other):
    for asked in (other, None):
        found = identified(tmp_path, of_gymnasium(task, 4), asked)
        assert (found["verdict"], found["task"], found["asked_task"]) == ("gymnasium", task, asked)
    (doubt,) = admission.doubts(found | {"asked_task": other}, ["d4rl"])
    assert f"{task}'s, not {other}'s" in doubt


def moved(content, rows):
    """Rewards, actions and flags so many rows further down than they belong."""
    return content | {name: np.roll(content[name], rows, axis=0) for name in ("actions", "rewards", "terminals")}


@pytest.mark.parametrize(("rows", "shift", "row"), [(1, 1, "after"), (-1, -1, "before")])
def test_shifted_actions_are_told(tmp_path, rows, shift, row):
    content = moved(of_gymnasium("hopper", 4), rows)
    found = identified(tmp_path, content | {"timeouts": np.arange(400) == 399})
    assert (found["verdict"], found["task"], found["shift"], found["simulators"]) == ("none", None, shift, [])
    assert f"with that of the row {row}: the actions are shifted by a row" in found["reason"]
    (doubt,) = admission.doubts(found, ["d4rl"])
    assert found["reason"] in doubt


@pytest.mark.parametrize(("task", "scale"), [("hopper", 200.0), ("walker2d", 0.37), ("halfcheetah", 12.34567)])
def test_the_scale_of_actions_is_found(tmp_path, task, scale):
    content = of_d4rl(task)
    content = content | {"actions": np.clip(content["actions"], -1, 1) * scale}
    found = identified(tmp_path, content, task)
    assert (found["verdict"], found["scale_actions"]) == ("none", pytest.approx(scale, rel=1e-5))
    assert f"are divided by {found['scale_actions']:g}" in found["reason"]


def test_rows_of_several_simulators_are_told(tmp_path):
    parts = of_gymnasium("hopper", 4), of_old_gymnasium(4)
    found = identified(tmp_path, {name: np.concatenate([one[name] for one in parts]) for name in parts[0]})
    assert found["verdict"] == "none"
    assert "its 620 rows are of several simulators" in found["reason"]
    assert all(name in found["reason"] for name in ("gymnasium (", "gymnasium-old-margins ("))


def test_noise_is_of_no_simulator(tmp_path):
    generator = np.random.default_rng(0)
    content = of_gymnasium("hopper", 4)
    found = identified(tmp_path, content | {"actions": generator.uniform(-1, 1, (400, 3))})
    assert (found["verdict"], found["shift"], found["scale_actions"]) == ("none", None, None)
    assert "comes nearest, which repeats 0.0% of" in found["reason"]
    assert "No simulator known here repeats its steps" in admission.doubts(found, ["d4rl"])[0]


def test_the_order_of_rows_does_not_matter_where_next_observations_are(tmp_path):
    """Those of several environments in turns, or shuffled."""
    content = of_gymnasium("hopper", 5)
    order = np.random.default_rng(0).permutation(400)
    found = identified(tmp_path, {name: values[order] for name, values in content.items()})
    assert found["simulators"] == ["gymnasium-v5"]


def test_the_next_row_serves_within_episodes_where_next_observations_are_absent(tmp_path):
    content = of_gymnasium("walker2d", 5)
    del (kept := dict(content))["next_observations"]
    found = identified(tmp_path, kept, "walker2d")
    assert found["verdict"] == "gymnasium-v5"
    assert found["sampled"] == 400 - (content["terminals"] | content["timeouts"]).sum()


def falling(rows):
    """Hoppers high in the air, where no margin matters."""
    simulator = BatchSimulator("hopper", rows, "gymnasium")
    generator = np.random.default_rng(0)
    qpos = simulator.model.qpos0 + generator.uniform(-0.1, 0.1, (rows, 6))
    qpos[:, 1] = 3
    actions = generator.uniform(-0.3, 0.3, (rows, 3))
    observations = simulator.set_state(qpos, generator.uniform(-1, 1, (rows, 6)))
    following, rewards, fell, _ = simulator.step(actions)
    content = {"observations": observations, "actions": actions, "next_observations": following, "rewards": rewards}
    return content | {"terminals": fell, "timeouts": ~fell}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: falling(300), r"gymnasium \(.*\) and gymnasium-old-margins \(.*\) do the same in the 300 rows"),
        (lambda: {name: v[-150:] for name, v in of_gymnasium("hopper", 4).items()}, "150 of 150 rows can be replayed"),
        (lambda: {n: v.astype(np.float16) if n == "observations" else v for n, v in of_gymnasium("hopper", 4).items()},
         "observations stored as float16 are too coarse"),
        (lambda: of_gymnasium("hopper", 4) | {"observations": of_gymnasium("hopper", 4)["observations"].round(4)},
         "observations rounded to 4 decimals are too coarse"),
    ],
    ids=["alike", "few", "float16", "rounded"],
)  # fmt: skip
def test_what_cannot_be_told_is_said_to_be_so(tmp_path, content, reason):
    path = store(tmp_path / "raw.hdf5", content())
    found = identify_simulator(path, "hopper")
    assert (found["verdict"], found["task"], found["simulators"]) == ("not known", None, [])
    assert re.search(reason, found["reason"]), found["reason"]
    assert not admission.doubts(found, ["d4rl"])


def test_what_has_no_simulator_is_not_known(tmp_path, monkeypatch):
    content = {"observations": np.zeros((40, 29), np.float32), "actions": np.zeros((40, 8), np.float32)}
    content |= {"rewards": np.zeros(40, np.float32), "terminals": np.zeros(40, bool), "timeouts": np.arange(40) == 39}
    monkeypatch.setattr(replay, "_tasks", lambda sizes: ())
    found = identify_simulator(store(tmp_path / "raw.hdf5", content), "antmaze-umaze")
    assert (found["verdict"], found["evidence"]) == ("not known", [])
    assert "the steps of task antmaze-umaze cannot be replayed" in found["reason"]


def test_a_sample_is_drawn_by_its_seed(tmp_path):
    path = saved(tmp_path / "raw.hdf5", of_gymnasium("halfcheetah", 4))
    with recordings.reading(path, "halfcheetah") as reader:
        first, again, other = (replay.identify(reader, "halfcheetah", rows=250, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert (first["sampled"], first["rows"]) == (250, 400)
    assert first["evidence"] != other["evidence"]


def test_doubts_name_where_it_is_played_otherwise(tmp_path):
    found = identified(tmp_path, of_gymnasium("hopper", 5))
    assert admission.doubts(found, ["gymnasium-v5"]) == []
    (elsewhere,) = admission.doubts(found, ["d4rl", "gymnasium-v5"])
    assert "made in gymnasium (Gymnasium v4 or v5 on MuJoCo 3.5 or later), and policies are played in d4rl" in elsewhere
    assert "simulators: [gymnasium-v5]" in elsewhere
    (otherwise,) = admission.doubts(found, ["gymnasium"])
    assert "the step in which the robot falls pays another reward" in otherwise


def test_other_rewards_are_a_doubt(tmp_path):
    content = of_gymnasium("walker2d", 4)
    found = identified(tmp_path, content | {"rewards": content["rewards"] * 0.1}, "walker2d")
    assert found["verdict"] == "gymnasium"
    (doubt,) = admission.doubts(found, ["gymnasium"])
    assert doubt.startswith("Its rewards are not those of walker2d")


def admitted(folder, content, task, **told):
    """What the rules make of a file."""
    path = saved(folder / "raw.hdf5", content)
    said = {"dataset": "mine", "provider": "file", "task": task, "sha256": files.sha256(path)} | told
    files.write_json(folder / "raw.json", said)
    admission.admit(path, folder / "raw.json", folder / "admitted.json")
    admission.write(path, folder / "raw.json", folder / "simulator.json")
    return admission.read(folder / "simulator.json")


def test_a_file_of_another_task_is_refused(tmp_path):
    """Both have 17 observed entries and 6 actions."""
    content = of_gymnasium("walker2d", 4)
    with pytest.raises(InputError, match=r"mine.hdf5: is given as task halfcheetah, .* write task: walker2d"):
        admitted(tmp_path, content, "halfcheetah", path="/data/mine.hdf5")
    assert not (tmp_path / "admitted.json").exists()
    assert admission.doubts(admitted(tmp_path, content, "walker2d"), ["gymnasium"]) == []
    # D4RL's own files go on, by whatever provider.
    found = admitted(tmp_path, content, "halfcheetah", published=True)
    assert (found["task"], len(admission.doubts(found, ["gymnasium"]))) == ("walker2d", 1)
    assert json.loads((tmp_path / "admitted.json").read_text())["verdict"] == "gymnasium"


def test_a_file_of_scaled_actions_is_refused_until_it_says_so(tmp_path):
    content = of_gymnasium("hopper", 4)
    content = content | {"actions": content["actions"] * np.float32(200)}
    with pytest.raises(InputError, match=r"raw.hdf5: its actions .* write scale_actions: 200 in the dataset's entry"):
        admitted(tmp_path, content, "hopper")
    found = admitted(tmp_path, content, "hopper", findings={"continuity": "holds", "scale_actions": 200.0})
    assert (found["verdict"], admission.doubts(found, ["gymnasium"])) == ("gymnasium", [])


def test_a_shifted_file_goes_on_with_a_doubt(tmp_path):
    content = moved(of_gymnasium("hopper", 4), 1) | {"timeouts": np.arange(400) == 399}
    (doubt,) = admission.doubts(admitted(tmp_path, content, "hopper"), ["d4rl"])
    assert "shifted by a row" in doubt
