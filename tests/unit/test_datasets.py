import json

import h5py
import numpy as np
import pytest

from d4rl_automl import datasets
from d4rl_automl.errors import InputError
from d4rl_automl.files import sha256


def arrays(rows=50, task="hopper", seed=0):
    """D4RL's arrays: finished episodes of 10 rows, alternately fallen and timed out, then a cut one."""
    d, a = {"hopper": (11, 3), "halfcheetah": (17, 6)}[task]
    rng = np.random.default_rng(seed)
    ends = np.arange(rows) % 10 == 9
    terminals = ends & (np.arange(rows) // 10 % 2 == 0)
    return {
        "observations": rng.standard_normal((rows, d)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (rows, a)).astype(np.float32),
        "rewards": rng.standard_normal(rows).astype(np.float32),
        "next_observations": rng.standard_normal((rows, d)).astype(np.float32),
        "terminals": terminals,
        "timeouts": ends & ~terminals,
        "infos/qpos": rng.standard_normal((rows, 6)).astype(np.float32),
        "infos/qvel": rng.standard_normal((rows, 6)).astype(np.float32),
        "infos/action_log_probs": rng.standard_normal(rows).astype(np.float32),
    }


def store(path, content, **options):
    """Plain h5py, as D4RL's own generation scripts write."""
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            file.create_dataset(name, data=values, **options)
    return path


def test_load_returns_what_was_recorded(tmp_path):
    content = arrays()
    content["actions"][3, 1] = 1.5
    path = store(
        tmp_path / "raw.hdf5", {**content, "metadata/algorithm": "SAC", "metadata/policy/fc0/bias": np.ones(4)}
    )
    dataset = datasets.load(path)
    for name in ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts"):
        values = getattr(dataset, name)
        np.testing.assert_array_equal(values, content[name])
        assert values.dtype == content[name].dtype
    np.testing.assert_array_equal(dataset.infos["qpos"], content["infos/qpos"])
    assert dataset.metadata["algorithm"] == "SAC"
    np.testing.assert_array_equal(dataset.metadata["policy/fc0/bias"], np.ones(4))


def d4rl_loop(dataset):
    """D4RL's qlearning_dataset with default arguments, by its published definition, row by row."""
    rows = []
    for i in range(len(dataset.rewards) - 1):
        if dataset.timeouts[i]:
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


@pytest.mark.parametrize("rows", [50, 45])
def test_qlearning_is_d4rls(tmp_path, rows):
    content = arrays(rows)
    content["timeouts"][29] = True  # an end with both flags
    dataset = datasets.load(store(tmp_path / "raw.hdf5", content))
    result, expected = datasets.qlearning(dataset), d4rl_loop(dataset)
    assert result.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(result[name], values)
        assert result[name].dtype == values.dtype
    assert len(result["rewards"]) == rows - 1 - content["timeouts"][:-1].sum()
    assert result["terminals"].any()


def change(**changes):
    return {**arrays(), **changes}


def without(name):
    return {key: values for key, values in arrays().items() if key != name}


def with_value(name, index, value):
    content = arrays()
    content[name] = content[name].copy()
    content[name][index] = value
    return content


BAD = {
    "no observations": (without("observations"), "missing observations"),
    "no timeouts": (without("timeouts"), "v0 files lack it"),
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
    "nothing finished": (change(terminals=np.zeros(50, bool), timeouts=np.zeros(50, bool)), "no episode is finished"),
    "next observations of another size": (
        change(next_observations=np.zeros((50, 12), np.float32)),
        "next_observations",
    ),
}


@pytest.mark.parametrize("content, message", BAD.values(), ids=BAD.keys())
def test_bad_files_are_refused(tmp_path, content, message):
    path = store(tmp_path / "raw.hdf5", content)
    with pytest.raises(InputError, match=message) as error:
        datasets.validate(path, "hopper")
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
            datasets.validate(damaged, "hopper")
    with pytest.raises(InputError, match="no such file"):
        datasets.validate(tmp_path / "absent.hdf5", "hopper")


def test_repairs_are_counted(tmp_path, caplog):
    content = arrays()
    content["observations"] = content["observations"].astype(np.float64)
    content["rewards"] = content["rewards"].astype(np.float64)[:, None]
    content["terminals"] = content["terminals"].astype(np.uint8)
    content["timeouts"] = content["timeouts"].astype(np.float32)[:, None]
    content["timeouts"][9] = 1
    content["actions"][[1, 2], [0, 1]] = 1.25, -3
    counts = datasets.validate(store(tmp_path / "raw.hdf5", content), "hopper")
    assert counts == {
        "float64_to_float32": 50 * 11 + 50,
        "flags_to_bool": 100,
        "terminated_and_truncated": 1,
        "actions_clipped": 2,
    }
    for description in datasets.REPAIRS.values():
        assert description in caplog.text


def test_a_sound_file_needs_no_repair(tmp_path, caplog):
    assert datasets.validate(store(tmp_path / "raw.hdf5", arrays()), "hopper") == {}
    assert not caplog.records


def test_chunks_are_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "CHUNK", 7)
    content = arrays()
    content["actions"][12, 0] = 2
    with datasets.reading(store(tmp_path / "raw.hdf5", content), "hopper") as reader:
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
    datasets.write(path, blocks, {"algorithm": "none", "seed": 3})
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        assert found.keys() == {*content, "metadata/algorithm", "metadata/seed"}
        for name, values in content.items():
            np.testing.assert_array_equal(found[name][:], values)
            assert found[name].dtype == values.dtype
            assert found[name].compression == "gzip"
        assert found["metadata/algorithm"][()] == b"none"
        assert found["metadata/seed"][()] == 3
    assert datasets.validate(path, "hopper") == {}


def test_bytes_written_do_not_depend_on_the_blocks(tmp_path):
    content = arrays(20_000)
    for size in (20_000, 777, 8192):
        blocks = [{name: values[i : i + size] for name, values in content.items()} for i in range(0, 20_000, size)]
        datasets.write(tmp_path / f"{size}.hdf5", blocks, {})
    assert len({sha256(path) for path in tmp_path.glob("*.hdf5")}) == 1


def test_link(tmp_path):
    source = store(tmp_path / "mine.hdf5", arrays())
    entry = {"name": "mine", "provider": "file", "task": "hopper", "path": str(source)}
    raw, provenance = tmp_path / "results" / "raw.hdf5", tmp_path / "results" / "raw.json"
    datasets.link(entry, raw, provenance)
    assert raw.resolve() == source
    said = json.loads(provenance.read_text())
    assert said["sha256"] == sha256(raw)
    assert (said["dataset"], said["provider"], said["task"]) == ("mine", "file", "hopper")


def test_link_leaves_nothing_behind_for_a_bad_file(tmp_path):
    source = store(tmp_path / "mine.hdf5", without("rewards"))
    entry = {"name": "mine", "provider": "file", "task": "hopper", "path": str(source)}
    with pytest.raises(InputError, match="missing rewards"):
        datasets.link(entry, tmp_path / "out" / "raw.hdf5", tmp_path / "out" / "raw.json")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.hdf5"]


def test_an_end_that_is_not_marked_is_refused(tmp_path):
    content = arrays(2500)
    for name in ("terminals", "timeouts"):
        content[name][:] = False
    content["timeouts"][[999, 2499]] = True
    path = store(tmp_path / "raw.hdf5", content)
    with pytest.raises(InputError, match=r"rows 1000 to 2499 are one episode of 1500 steps.*after 1000"):
        datasets.validate(path, "hopper")
