import json

import h5py
import numpy as np
import pytest

from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import sha256
from d4rl_automl.data import datasets, recordings, returns, writing
from d4rl_automl.data.providers import file
from tests.support.datasets import arrays, store
from tests.support.original import d4rl_itself, needs_original


def test_load_returns_what_was_recorded(tmp_path):
    content = arrays()
    content["actions"][3, 1] = 1.5
    path = store(
        tmp_path / "raw.hdf5", {**content, "metadata/algorithm": "SAC", "metadata/policy/fc0/bias": np.ones(4)}
    )
    dataset = datasets.load_dataset(path)
    for name in ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts"):
        values = getattr(dataset, name)
        np.testing.assert_array_equal(values, content[name])
        assert values.dtype == content[name].dtype
    np.testing.assert_array_equal(dataset.infos["qpos"], content["infos/qpos"])
    assert dataset.metadata["algorithm"] == "SAC"
    np.testing.assert_array_equal(dataset.metadata["policy/fc0/bias"], np.ones(4))


def d4rl_loop(dataset, terminate_on_end):
    """D4RL's qlearning_dataset, by its published definition, row by row."""
    rows = []
    for i in range(len(dataset.rewards) - 1):
        if dataset.timeouts[i] and not terminate_on_end:
            continue
        rows.append(
            (
                dataset.observations[i],
                dataset.actions[i],
                dataset.observations[i + 1],
                dataset.rewards[i],
                bool(dataset.terminals[i]),
            )
        )
    names = ("observations", "actions", "next_observations", "rewards", "terminals")
    return {name: np.array([row[k] for row in rows]) for k, name in enumerate(names)}


@pytest.mark.parametrize("terminate_on_end", [False, True])
@pytest.mark.parametrize("rows", [50, 45])
def test_qlearning_is_d4rls(tmp_path, rows, terminate_on_end):
    content = arrays(rows)
    content["timeouts"][29] = True  # an end with both flags
    dataset = datasets.load_dataset(store(tmp_path / "raw.hdf5", content))
    result, expected = datasets.qlearning_dataset(dataset, terminate_on_end), d4rl_loop(dataset, terminate_on_end)
    assert result.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(result[name], values)
        assert result[name].dtype == values.dtype
    assert len(result["rewards"]) == rows - 1 - (0 if terminate_on_end else content["timeouts"][:-1].sum())
    assert result["terminals"].any()


def test_qlearning_by_hand(tmp_path):
    """Row 1 fell, row 3 timed out, row 5 did both, row 7 is the last one."""
    content = {name: values[:8] for name, values in arrays().items()}
    content["observations"] = np.repeat(np.arange(8, dtype=np.float32)[:, None], 11, axis=1)
    content["next_observations"] = content["observations"] + 1
    content["terminals"] = np.isin(np.arange(8), [1, 5])
    content["timeouts"] = np.isin(np.arange(8), [3, 5])
    dataset = datasets.load_dataset(store(tmp_path / "raw.hdf5", content))
    for on_end, kept in ((False, [0, 1, 2, 4, 6]), (True, [0, 1, 2, 3, 4, 5, 6])):
        result = datasets.qlearning_dataset(dataset, terminate_on_end=on_end)
        assert result["observations"][:, 0].tolist() == kept
        assert result["next_observations"][:, 0].tolist() == [i + 1 for i in kept]
        assert np.flatnonzero(result["terminals"]).tolist() == [i for i, row in enumerate(kept) if row in (1, 5)]


@needs_original
@pytest.mark.parametrize("layout", ["v2", "medium-replay", "antmaze", "v0"])
def test_load_and_qlearning_equal_d4rl_itself(tmp_path, layout):
    content, task = {
        "v2": lambda: (arrays(), None),
        "medium-replay": lambda: (medium_replay(), None),
        "antmaze": lambda: (antmaze(), None),
        "v0": lambda: (without_timeouts([1000, 1000, 300], fallen=[]), "halfcheetah"),
    }[layout]()
    path = store(tmp_path / "raw.hdf5", content)
    expected = d4rl_itself(path)
    dataset = datasets.load_dataset(path, task)
    found = dataset.as_dict()
    # D4RL leaves out timeouts that a file leaves out.
    assert set(found) | {"timeouts"} == set(content) | {"timeouts"}
    for name in content:
        np.testing.assert_array_equal(found[name], expected[f"dataset/{name}"].astype(found[name].dtype))
    for flag in (False, True):
        for name, values in datasets.qlearning_dataset(dataset, flag).items():
            np.testing.assert_array_equal(values, expected[f"{flag}/{name}"])
            assert values.dtype == expected[f"{flag}/{name}"].dtype


def medium_replay(rows=50):
    """D4RL's medium-replay v2: a training buffer, some of it in float64, without log-probabilities."""
    content = arrays(rows)
    del content["infos/action_log_probs"]
    for name in ("observations", "next_observations", "rewards", "infos/qpos", "infos/qvel"):
        content[name] = content[name] * np.float64(1 + 1e-9)
    return content


def test_medium_replays_float64_becomes_float32(tmp_path):
    content = medium_replay()
    path = store(tmp_path / "raw.hdf5", content)
    dataset = datasets.load_dataset(path)
    for name in ("observations", "next_observations", "rewards"):
        assert getattr(dataset, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(dataset, name), content[name].astype(np.float32))
    assert recordings.examine(path, "hopper").repairs == {"float64_to_float32": 50 * (11 + 11 + 1)}


def antmaze(episodes=4, steps=30, dtype=np.float32, tail=7, seed=0):
    """D4RL's AntMaze v2: rewards and terminals are 1 in every row at the goal, timeouts end the episodes."""
    rng = np.random.default_rng(seed)
    rows = episodes * steps + tail
    step = np.arange(rows) % steps
    observations = rng.standard_normal((rows, 29))
    observations[:, 0], observations[:, 1] = 0.3 * step, 0.1 * step
    at_goal = (step > 20) & (step < 25)
    return {
        "observations": observations.astype(np.float32),
        "actions": rng.uniform(-1, 1, (rows, 8)).astype(np.float32),
        "rewards": at_goal.astype(dtype),
        "terminals": at_goal.astype(dtype),
        "timeouts": step == steps - 1,
        "infos/goal": np.zeros((rows, 2), np.float32),
        "infos/qpos": rng.standard_normal((rows, 15)).astype(np.float32),
        "infos/qvel": rng.standard_normal((rows, 14)).astype(np.float32),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_antmaze_ends_by_timeouts_alone(tmp_path, dtype):
    content = antmaze(dtype=dtype)
    path = store(tmp_path / "raw.hdf5", content)
    with recordings.reading(path, "antmaze-umaze") as reader:
        assert not reader.terminated.any()
        np.testing.assert_array_equal(reader.truncated, content["timeouts"])
        np.testing.assert_array_equal(reader.terminals, content["terminals"] == 1)
        where = returns.episodes(reader.terminated, reader.truncated)
    assert where.lengths.tolist() == [30, 30, 30, 30, 7]
    repairs = {"flags_to_bool": 127} | ({"float64_to_float32": 127} if dtype == np.float64 else {})
    assert recordings.examine(path, "antmaze-umaze").repairs == repairs
    dataset = datasets.load_dataset(path)
    assert dataset.next_observations is None
    np.testing.assert_array_equal(dataset.terminals, content["terminals"] == 1)


def test_antmaze_episodes_longer_than_the_environments_limit_are_taken(tmp_path):
    """D4RL's recordings have 701 and 1,001 rows: their counter was compared before it was raised."""
    path = store(tmp_path / "raw.hdf5", antmaze(3, 1001))
    assert recordings.examine(path, "antmaze-umaze-diverse").repairs == {"flags_to_bool": 3 * 1001 + 7}


def test_an_ant_that_is_suddenly_elsewhere_was_reset(tmp_path, caplog):
    content = antmaze()
    content["timeouts"][59] = False
    path = store(tmp_path / "raw.hdf5", content)
    with recordings.reading(path, "antmaze-large-play") as reader:
        np.testing.assert_array_equal(np.flatnonzero(reader.truncated), [29, 59, 89, 119])
        assert not reader.timeouts[59]
    assert recordings.examine(path, "antmaze-large-play").repairs == {"flags_to_bool": 127, "unmarked_resets": 1}
    assert recordings.REPAIRS["unmarked_resets"] in caplog.text


def without_timeouts(lengths, fallen, task="halfcheetah"):
    """A v0 file from before D4RL added `timeouts`: episodes that begin near one state and wander off at once."""
    rows = sum(lengths)
    content = {
        name: values
        for name, values in arrays(rows, task).items()
        if name in ("observations", "actions", "rewards", "terminals")
    }
    ends = np.cumsum(lengths)
    content["terminals"] = np.isin(np.arange(rows), ends[fallen] - 1)
    starts = np.concatenate([[0], ends[:-1]])
    since = np.arange(rows) - np.repeat(starts, lengths)
    # One step after a reset the robot has hardly moved.
    content["observations"] *= np.minimum(0.1 * (1 + since), 5)[:, None]
    return content


@pytest.mark.parametrize("limit", [1000, 999])
def test_missing_timeouts_are_inferred_from_the_time_limit(tmp_path, limit, caplog):
    """After a fall, too, where D4RL's own fallback counts one row too many."""
    lengths, fallen = [limit, 400, limit, limit, limit, 20, 50], [1, 3, 5]
    content = without_timeouts(lengths, fallen)
    path = store(tmp_path / "raw.hdf5", content)
    ends = np.cumsum(lengths) - 1
    with recordings.reading(path, "halfcheetah") as reader:
        np.testing.assert_array_equal(np.flatnonzero(reader.terminated), ends[fallen])
        np.testing.assert_array_equal(np.flatnonzero(reader.truncated), ends[[0, 2, 4]])
    # The fourth episode fell in the very step of the limit.
    counted = {"timeouts_inferred": 4, "terminated_and_truncated": 1}
    assert recordings.examine(path, "halfcheetah").repairs == counted
    assert recordings.REPAIRS["timeouts_inferred"] in caplog.text
    np.testing.assert_array_equal(
        np.flatnonzero(datasets.load_dataset(path, "halfcheetah").timeouts), ends[[0, 2, 3, 4]]
    )


def test_missing_timeouts_that_cannot_be_inferred_are_refused(tmp_path):
    path = store(tmp_path / "raw.hdf5", without_timeouts([1000, 700, 1000], []))
    with pytest.raises(InputError, match=r"no array `timeouts`, and the episodes .* cannot be told apart"):
        recordings.examine(path, "halfcheetah")
    with pytest.raises(InputError, match="no task is given"):
        datasets.load_dataset(path)
    content = {name: values for name, values in antmaze().items() if name != "timeouts"}
    with pytest.raises(InputError, match="in antmaze-umaze nothing else marks an end"):
        recordings.examine(store(tmp_path / "ant.hdf5", content), "antmaze-umaze")


def test_a_file_without_next_observations(tmp_path):
    path = store(tmp_path / "raw.hdf5", without("next_observations"))
    assert recordings.examine(path, "hopper").repairs == {}
    assert datasets.load_dataset(path).next_observations is None


def change(**changes):
    return {**arrays(), **changes}


def without(*names):
    return {key: values for key, values in arrays().items() if key not in names}


def with_value(name, index, value):
    content = arrays()
    content[name] = content[name].copy()
    content[name][index] = value
    return content


BAD = {
    "no observations": (without("observations"), "missing observations"),
    "no timeouts": (
        without("timeouts", "next_observations"),
        "no array `timeouts`, and the episodes .* cannot be told apart",
    ),
    "another task's observations": (arrays(task="halfcheetah"), r"\(50, 17\), expected \(50, 11\) for task 'hopper'"),
    "one flat action": (change(actions=np.zeros(50, np.float32)), r"actions has shape \(50,\), expected \(50, 3\)"),
    "a matrix of rewards": (change(rewards=np.zeros((50, 2), np.float32)), r"rewards has shape \(50, 2\)"),
    "lengths differ": (change(rewards=np.zeros(49, np.float32)), "rewards 49"),
    "no rows": (arrays(0), "positive length"),
    "NaN observation": (with_value("observations", (7, 2), np.nan), r"observations\[7, 2\] is nan"),
    "infinite action": (with_value("actions", (8, 0), np.inf), r"actions\[8, 0\] is inf"),
    "NaN next observation": (with_value("next_observations", (9, 1), np.nan), r"next_observations\[9, 1\]"),
    "NaN reward": (with_value("rewards", 4, np.nan), r"rewards\[4\] is nan"),
    "beyond float32": (change(rewards=np.full(50, 1e300)), r"rewards\[0\] is 1e\+300"),
    "integer observations": (change(observations=np.zeros((50, 11), int)), "dtype int64"),
    "a flag of 2": (change(terminals=np.full(50, 2.0)), r"terminals\[0\] is 2.0"),
    "text": (change(terminals=np.array([b"no"] * 50)), "dtype |S2"),
    "nothing finished": (
        without("next_observations") | dict.fromkeys(("terminals", "timeouts"), np.zeros(50, bool)),
        "no episode is finished",
    ),
    "next observations of another size": (
        change(next_observations=np.zeros((50, 12), np.float32)),
        "next_observations",
    ),
}


@pytest.mark.parametrize("content, message", BAD.values(), ids=BAD.keys())
def test_bad_files_are_refused(tmp_path, content, message):
    path = store(tmp_path / "raw.hdf5", content)
    with pytest.raises(InputError, match=message) as error:
        recordings.examine(path, "hopper")
    assert str(path) in str(error.value)


def test_damaged_files_are_refused(tmp_path):
    whole = store(tmp_path / "raw.hdf5", arrays(20_000), compression="gzip").read_bytes()
    damaged = tmp_path / "damaged.hdf5"
    flipped = bytearray(whole)
    middle = len(whole) // 2
    flipped[middle : middle + 4096] = bytes(4096)
    for content in (b"", b"<html>503</html>", whole[: len(whole) // 2], whole[:-1], bytes(flipped)):
        damaged.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as HDF5"):
            recordings.examine(damaged, "hopper")
    with pytest.raises(InputError, match="no such file"):
        recordings.examine(tmp_path / "absent.hdf5", "hopper")


def test_repairs_are_counted(tmp_path, caplog):
    content = arrays()
    content["observations"] = content["observations"].astype(np.float64)
    content["rewards"] = content["rewards"].astype(np.float64)[:, None]
    content["terminals"] = content["terminals"].astype(np.uint8)
    content["timeouts"] = content["timeouts"].astype(np.float32)[:, None]
    content["timeouts"][9] = 1
    content["actions"][[1, 2], [0, 1]] = 1.25, -3
    counts = recordings.examine(store(tmp_path / "raw.hdf5", content), "hopper").repairs
    assert counts == {
        "float64_to_float32": 50 * 11 + 50,
        "flags_to_bool": 100,
        "terminated_and_truncated": 1,
        "actions_clipped": 2,
    }
    for name in counts:
        assert recordings.REPAIRS[name] in caplog.text


def test_a_sound_file_needs_no_repair(tmp_path, caplog):
    assert recordings.examine(store(tmp_path / "raw.hdf5", arrays()), "hopper").repairs == {}
    assert not caplog.records


def test_chunks_are_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "CHUNK", 7)
    content = arrays()
    content["actions"][12, 0] = 2
    with recordings.reading(store(tmp_path / "raw.hdf5", content), "hopper") as reader:
        pieces = list(reader.chunks("observations", "actions"))
    assert max(rows.stop - rows.start for rows, _ in pieces) == 7
    joined = {name: np.concatenate([piece[name] for _, piece in pieces]) for name in pieces[0][1]}
    np.testing.assert_array_equal(joined["observations"], content["observations"])
    np.testing.assert_array_equal(joined["actions"], np.clip(content["actions"], -1, 1))


def test_written_files_follow_d4rls_layout(tmp_path):
    """Read by plain h5py, by D4RL's own list of keys."""
    content = arrays(20_000)
    blocks = [{name: values[i : i + 3_000] for name, values in content.items()} for i in range(0, 20_000, 3_000)]
    path = tmp_path / "raw.hdf5"
    writing.write(path, blocks, {"algorithm": "none", "seed": 3})
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        assert found.keys() == {*content, "metadata/algorithm", "metadata/seed"}
        for name, values in content.items():
            np.testing.assert_array_equal(found[name][:], values)
            assert found[name].dtype == values.dtype
        assert found["metadata/algorithm"][()] == b"none"
        assert found["metadata/seed"][()] == 3
    assert recordings.examine(path, "hopper").repairs == {}


def test_bytes_written_do_not_depend_on_the_blocks(tmp_path):
    content = arrays(20_000)
    for size in (20_000, 777, 8192):
        blocks = [{name: values[i : i + size] for name, values in content.items()} for i in range(0, 20_000, size)]
        writing.write(tmp_path / f"{size}.hdf5", blocks, {})
    assert len({sha256(path) for path in tmp_path.glob("*.hdf5")}) == 1


def test_link(tmp_path):
    source = store(tmp_path / "mine.hdf5", arrays())
    entry = file.Entry(name="mine", provider="file", task="hopper", path=str(source))
    raw, provenance = tmp_path / "results" / "raw.hdf5", tmp_path / "results" / "raw.json"
    file.fetch(entry, local="", mirrors=(), output=str(raw), provenance=str(provenance), threads=1)
    assert raw.is_symlink()
    assert raw.resolve() == source
    said = json.loads(provenance.read_text())
    assert said["sha256"] == sha256(raw)
    assert (said["size_bytes"], said["mtime_ns"]) == (source.stat().st_size, source.stat().st_mtime_ns)
    assert (said["dataset"], said["provider"], said["task"]) == ("mine", "file", "hopper")


def test_link_leaves_nothing_behind_for_a_bad_file(tmp_path):
    source = store(tmp_path / "mine.hdf5", without("rewards"))
    entry = file.Entry(name="mine", provider="file", task="hopper", path=str(source))
    outputs = {"output": str(tmp_path / "out" / "raw.hdf5"), "provenance": str(tmp_path / "out" / "raw.json")}
    with pytest.raises(InputError, match="missing rewards"):
        file.fetch(entry, local="", mirrors=(), **outputs, threads=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.hdf5"]


def test_an_end_that_is_not_marked_is_refused_where_nothing_tells_it(tmp_path):
    content = arrays(2500)
    del content["next_observations"]
    for name in ("terminals", "timeouts"):
        content[name][:] = False
    content["timeouts"][[999, 2499]] = True
    path = store(tmp_path / "raw.hdf5", content)
    with pytest.raises(InputError, match=r"rows 1000 to 2499 are one episode of 1500 steps.*after 1000"):
        recordings.examine(path, "hopper")
