"""Rollouts against Gymnasium stepped serially, their independence of processes, and the table they leave."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import mujoco
import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import sha256
from d4rl_automl.evaluation.rollout import PATH_STEPS, SCHEMA, Play, rollout
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.handle import write_handle
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.simulators import maze
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.tasks import scores
from d4rl_automl.tasks.seeds import PURPOSES, episode_seeds
from tests.support.policies import metadata_of, weights_of, write_policy
from tests.support.rollouts import play_file, play_files
from tests.support.stock import make_environment

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("task", "outcome_rule"), [("hopper", "constant"), ("walker2d", "constant"), ("halfcheetah", "none")]
)
def test_equals_gymnasium_stepped_serially(tmp_path, task, outcome_rule):
    """Same policy in ONNX Runtime itself, same initial states, one environment, one step at a time."""
    handle = write_policy(tmp_path, task, outcome_rule)
    fractions = [0.3, 1.2]
    rows = rollout(
        load_policy(handle), fractions, episodes=3, seed=5, simulator="gymnasium", purpose="selection"
    ).to_pylist()
    session = onnxruntime.InferenceSession(str(tmp_path / "tiny-s3.onnx"))
    environment = make_environment(task)
    seeds = episode_seeds(5, f"{task}-some-v1", "selection", 3)
    reference = tasks.get(task)
    expected = []
    for fraction in fractions if outcome_rule == "constant" else [None]:
        command = {}
        if fraction is not None:
            span = reference.reference_max - reference.reference_min
            command = {"outcome": np.array([[(reference.reference_min + fraction * span) / 1000]], np.float32)}
        for episode, seed in enumerate(seeds):
            observation, _ = environment.reset(seed=int(seed))
            total, length, terminated, truncated = 0.0, 0, False, False
            while not (terminated or truncated):
                (actions,) = session.run(None, {"observation": observation[None].astype(np.float32), **command})
                observation, reward, terminated, truncated, _ = environment.step(actions[0])
                total, length = total + reward, length + 1
            expected.append((fraction, episode, int(seed), total, length, terminated))
    keys = ("fraction", "episode", "seed", "return", "length", "terminated")
    assert [tuple(row[key] for key in keys) for row in rows] == expected
    # The two commands are told apart, or the comparison would show nothing about them.
    assert outcome_rule == "none" or expected[0][3] != expected[3][3]


def write_forest(folder, task):
    """A forest that heeds what is left of a command, and the step, as the state; returns its handle's path."""
    metadata = metadata_of(task, "reduced")
    generator = np.random.default_rng(0)
    size = metadata["observation_size"] + 2
    inputs = generator.normal(0, 2, (4000, size)).astype(np.float32)
    inputs[:, -2:] = generator.uniform([0, 0], [4000, 60], (4000, 2))
    deviations = [[0.5]] * (size - 2) + [[2e-3], [0.1]]
    actions = np.sin(inputs @ generator.normal(0, deviations, (size, metadata["action_size"])))
    settings = {"multi_strategy": "multi_output_tree", "max_depth": 6, "nthread": 1}
    model = xgboost.train(settings, xgboost.DMatrix(inputs, actions), 30)
    file = folder / "tiny-s3.ubj"
    model.save_model(file)
    handle = folder / "tiny-s3.json"
    write_handle(handle, metadata | {"format": "xgboost", "file": file.name, "sha256": sha256(file)})
    return handle


@pytest.mark.parametrize("task", ["hopper", "walker2d"])
def test_a_reduced_command_equals_gymnasium_stepped_serially(tmp_path, task):
    """The return that is left to be earned, and the step, asked for one by one."""
    handle = write_forest(tmp_path, task)
    fractions = [0.3, 1.2]
    table = rollout(load_policy(handle), fractions, episodes=3, seed=5, simulator="gymnasium")
    model = xgboost.Booster(model_file=tmp_path / "tiny-s3.ubj")
    environment = make_environment(task)
    reference = tasks.get(task)
    expected, commands = [], []
    for fraction in fractions:
        for seed in episode_seeds(5, f"{task}-some-v1", "report", 3):
            observation, _ = environment.reset(seed=int(seed))
            left = reference.reference_min + fraction * (reference.reference_max - reference.reference_min)
            total, length, terminated, truncated = 0.0, 0, False, False
            while not (terminated or truncated):
                row = np.array([[*observation, left, length]], np.float32)
                action = model.predict(xgboost.DMatrix(row))[0].clip(-1, 1)
                observation, reward, terminated, truncated, _ = environment.step(action)
                total, length, left = total + reward, length + 1, left - reward
            expected.append((fraction, total, length))
            commands.append(left)
    assert [(row["fraction"], row["return"], row["length"]) for row in table.to_pylist()] == expected
    # The two commands are told apart, and so is what is left of them.
    assert expected[0][1] != expected[3][1] and len(set(commands)) == 6
    assert table["target"].to_pylist()[::3] == [tasks.get(task).target(fraction) for fraction in fractions]
    played = play_file(handle, tmp_path / "x.parquet", processes=2)
    assert played.equals(rollout(load_policy(handle), [0.3, 1.2], episodes=5))


def test_a_file_equals_the_table_for_every_number_of_processes(tmp_path):
    handle = write_policy(tmp_path)
    expected = rollout(load_policy(handle), [0.3, 1.2], episodes=5)
    assert expected.schema == SCHEMA
    for processes in (1, 2, 7):
        table = play_file(handle, tmp_path / f"{processes}.parquet", processes=processes)
        assert table.equals(expected)
    # Fewer episodes or targets are a part of more.
    assert play_file(handle, tmp_path / "few.parquet", episodes=2, fractions=[1.2]).equals(expected.slice(5, 2))


def test_the_file_that_is_left(tmp_path):
    handle = write_policy(tmp_path)
    output = tmp_path / "rollouts" / "tiny-s3.d4rl.report.parquet"
    table = play_file(handle, output)
    assert table.schema.equals(SCHEMA)
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    frame = table.to_pandas()
    assert len(frame) == 10
    assert frame[["dataset", "method", "training_seed", "simulator", "purpose"]].drop_duplicates().values.tolist() == [
        ["hopper-some-v1", "tiny", 3, "d4rl", "report"]
    ]
    assert frame["fraction"].tolist() == [0.3] * 5 + [1.2] * 5
    assert frame["target"].tolist() == [tasks.get("hopper").target(0.3)] * 5 + [tasks.get("hopper").target(1.2)] * 5
    assert frame["episode"].tolist() == [0, 1, 2, 3, 4] * 2
    assert frame["seed"].tolist() == episode_seeds(0, "hopper-some-v1", "report", 5).tolist() * 2
    np.testing.assert_array_equal(frame["normalised_score"], scores.normalise("hopper", frame["return"]))
    assert frame["terminated"].all()
    assert not frame["diverged"].any()
    metadata = json.loads(table.schema.metadata[b"d4rl_automl"])
    assert metadata["env_steps"] == frame["length"].sum()
    assert metadata["steps_per_second"] == pytest.approx(metadata["env_steps"] / metadata["seconds"], rel=0.05)
    assert metadata["mujoco"] == mujoco.__version__
    assert metadata["policy_sha256"] == sha256(handle)
    assert metadata["policy"] == json.loads(handle.read_text())
    assert (metadata["simulator"], metadata["purpose"], metadata["rollout_seed"]) == ("d4rl", "report", 0)


GOAL_COLUMNS = ["success", "distance_left", "goal_x", "goal_y", "path_x", "path_y"]


class Flails(Policy):
    """An ant that moves its legs by where they are."""

    def __init__(self):
        super().__init__(metadata_of("antmaze-umaze", "none"))

    def predict(self, observations, outcome):
        return np.sin(3 * observations[:, 7:15] + observations[:, 15:23]).astype(np.float32)


def test_where_episodes_of_a_maze_went_is_what_single_environments_say(monkeypatch):
    """Goals are put where the first two ants are on their ways; the third never gets there."""
    episodes, steps = 3, 700
    seeds = episode_seeds(0, "antmaze-umaze-some-v1", "report", episodes)
    tracks = []
    for seed in seeds:
        simulator = BatchSimulator("antmaze-umaze", 1)
        observation, ended = simulator.reset([seed]), False
        simulator.goals[:] = 100.0
        tracks.append([observation[0, :2]])
        while not ended:
            observation, _, _, (ended,) = simulator.step(Flails().act(observation))
            tracks[-1].append(observation[0, :2])
    goals = np.array([tracks[0][-1] + 0.3, tracks[1][437], [100.0, 100.0]])
    monkeypatch.setattr(maze.UMAZE, "goals", lambda generators: goals)
    table = rollout(Flails(), episodes=episodes)
    assert table.schema == SCHEMA
    for row, track, goal in zip(table.to_pylist(), tracks, goals, strict=True):
        distances = [np.linalg.norm(position - goal) for position in track]
        length = next((step for step, left in enumerate(distances) if left <= 0.5), steps)
        assert (row["length"], row["success"]) == (length, distances[length] <= 0.5)
        assert row["terminated"] == row["success"] == (row["return"] == 1) == (row["normalised_score"] == 100)
        assert row["distance_left"] == pytest.approx(distances[length], abs=1e-12)
        assert [row["goal_x"], row["goal_y"]] == goal.tolist()
        kept = [*range(0, length, PATH_STEPS), length]
        expected = np.array(track, np.float32)[kept]
        np.testing.assert_array_equal(np.column_stack([row["path_x"], row["path_y"]]), expected)
    assert table["success"].to_pylist() == [True, True, False]
    assert max(table["length"].to_pylist()[:2]) < steps


def test_a_file_of_a_maze_is_the_same_for_every_number_of_processes(tmp_path):
    handle = write_policy(tmp_path, "antmaze-umaze", "none")
    tables = [play_file(handle, tmp_path / f"{n}.parquet", episodes=3, processes=n) for n in (1, 2)]
    assert tables[0].equals(tables[1]) and tables[0].schema.equals(SCHEMA)
    frame = tables[0].to_pandas()
    assert not frame[GOAL_COLUMNS].isna().any(axis=None)
    ends = frame[["path_x", "path_y"]].map(lambda path: path[-1]).to_numpy(np.float64)
    left = np.hypot(*(ends - frame[["goal_x", "goal_y"]].to_numpy()).T)
    np.testing.assert_allclose(frame["distance_left"], left, atol=1e-6)


def test_robots_have_no_goals(tmp_path):
    table = play_file(write_policy(tmp_path), tmp_path / "x.parquet", episodes=2)
    assert all(table[name].null_count == len(table) for name in GOAL_COLUMNS)


def test_an_unconditional_policy_has_one_target_null(tmp_path):
    table = play_file(write_policy(tmp_path, outcome_rule="none"), tmp_path / "x.parquet", episodes=3)
    assert table["fraction"].to_pylist() == table["target"].to_pylist() == [None] * 3
    assert table["fraction"].type == pa.float64()


@pytest.mark.parametrize("processes", [1, 2, 9])
def test_selection_and_report_play_together_as_they_do_apart(tmp_path, processes):
    """Other episodes each, and neither sees that there is another."""
    handle = write_policy(tmp_path)
    plays = [Play("selection", 2, tmp_path / "selection.parquet"), Play("report", 5, tmp_path / "report.parquet")]
    play_files(handle, plays, processes=processes)
    tables = [pq.read_table(play.output) for play in plays]
    for play, table in zip(plays, tables, strict=True):
        assert table.equals(rollout(load_policy(handle), [0.3, 1.2], episodes=play.episodes, purpose=play.purpose))
        facts = json.loads(table.schema.metadata[b"d4rl_automl"])
        assert (facts["purpose"], facts["env_steps"]) == (play.purpose, sum(table["length"].to_pylist()))
    some, others = (set(table["return"].to_pylist()) for table in tables)
    assert not some & others


def test_nothing_is_written_where_one_of_the_requests_is_wrong(tmp_path):
    plays = [Play("selection", 2, tmp_path / "out" / "a.parquet"), Play("report", 0, tmp_path / "out" / "b.parquet")]
    with pytest.raises(InputError, match="episodes: found 0"):
        play_files(write_policy(tmp_path), plays)
    assert not (tmp_path / "out").exists()


class TurnsBad(Policy):
    """Stands still, until its fourth action is not a number."""

    def __init__(self):
        super().__init__(metadata_of("halfcheetah"))
        self.calls = 0

    def predict(self, observations, outcome):
        self.calls += 1
        return np.full((len(observations), 6), np.nan if self.calls == 4 else 0.0)


def test_a_policy_in_memory_is_played_in_one_process():
    with pytest.raises(InputError, match="processes: found 2 for a policy in memory; pass the path of its file"):
        rollout(TurnsBad(), [0.5], episodes=2, processes=2)
    with pytest.raises(InputError, match="processes: found 0, expected at least 1"):
        rollout(TurnsBad(), [0.5], episodes=2, processes=0)


def test_an_action_that_is_no_number_is_an_error():
    with pytest.raises(InputError, match="step 3: policy tiny-s3: 4 of 4 actions"):
        rollout(TurnsBad(), [0.5, 1.0], episodes=2)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_in_a_process_arrives_and_nothing_is_left(tmp_path, processes):
    layers = weights_of(metadata_of())
    layers[-1][1][0] = np.nan
    output = tmp_path / "out" / "x.parquet"
    with pytest.raises(InputError, match=r"step 0: policy tiny-s3: .* actions hold NaN"):
        play_file(write_policy(tmp_path, layers=layers), output, processes=processes)
    assert not list(tmp_path.glob("out/*"))


def test_a_process_that_is_killed_is_reported(tmp_path):
    handle = write_policy(tmp_path, "halfcheetah")
    killed = []

    def kill_one():
        while not killed:
            time.sleep(1)  # Most likely in the midst of the episodes; the outcome is the same at any time.
            for child in multiprocessing.active_children()[:1]:
                os.kill(child.pid, signal.SIGKILL)
                killed.append(child.pid)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    with pytest.raises(RuntimeError, match="a process was killed"):
        play_file(handle, tmp_path / "x.parquet", processes=2, episodes=200)
    killer.join()
    assert killed
    assert not multiprocessing.active_children()
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fractions": []}, r"fractions: found \[\]"),
        ({"fractions": [0.5, 0.5]}, "all finite and different"),
        ({"fractions": [0.5, float("nan")]}, "all finite and different"),
        ({"episodes": 0}, "episodes: found 0"),
        ({"processes": 0}, "processes: found 0"),
        ({"simulator": "mujoco"}, "simulator 'mujoco' is unknown"),
        ({"purpose": "training"}, "purpose 'training' is unknown"),
    ],
)
def test_wrong_requests_are_refused(tmp_path, change, message):
    handle = write_policy(tmp_path)
    with pytest.raises(InputError, match=message):
        play_file(handle, tmp_path / "x.parquet", **change)


def test_a_policy_of_another_dataset_is_refused(tmp_path):
    handle = write_policy(tmp_path, dataset="hopper-other-v1")
    with pytest.raises(InputError, match="dataset is 'hopper-other-v1', but 'hopper-some-v1' was asked for"):
        play_file(handle, tmp_path / "x.parquet")


def test_episode_seeds_are_what_they_say():
    digest = hashlib.sha256(b'[0, "hopper-medium-v2", "report", 1]').hexdigest()
    seeds = episode_seeds(0, "hopper-medium-v2", "report", 2)
    assert seeds.dtype == np.int64
    assert seeds[1] == int(digest[:16], 16) // 4


@given(
    seed=st.integers(0, 10**6),
    dataset=st.text(max_size=20),
    counts=st.lists(st.integers(0, 300), min_size=len(PURPOSES), max_size=len(PURPOSES)),
)
def test_episode_seeds_never_meet(seed, dataset, counts):
    """Neither within a purpose nor across purposes nor with another dataset; more episodes begin with fewer."""
    groups = [episode_seeds(seed, dataset, purpose, n) for purpose, n in zip(PURPOSES, counts, strict=True)]
    groups.append(episode_seeds(seed, dataset + "!", "report", 100))
    groups.append(episode_seeds(seed + 1, dataset, "report", 100))
    together = np.concatenate(groups)
    assert len(set(together.tolist())) == sum(counts) + 200
    assert ((together >= 0) & (together < 2**62)).all()
    np.testing.assert_array_equal(
        groups[0][: counts[0] // 2], episode_seeds(seed, dataset, PURPOSES[0], counts[0] // 2)
    )


@pytest.mark.parametrize(
    ("plays", "message"),
    [
        ([("collection", "2", "a")], "found the purposes collection; expected selection, report or both"),
        ([("report", "2", "a"), ("report", "3", "b")], "found the purposes report, report"),
        ([("report", "2.5", "a")], "EPISODES is '2.5'; expected a whole number"),
    ],
)
def test_the_script_refuses_what_it_cannot_play(tmp_path, plays, message):
    command = [sys.executable, str(ROOT / "scripts" / "rollout.py"), "--policy", "none.json", "--dataset", "d"]
    command += ["--simulator", "d4rl", "--fractions", "1", "--seed", "0", "--threads", "1"]
    command += [word for play in plays for word in ("--play", *play)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert message in done.stderr
