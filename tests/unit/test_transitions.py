import csv
import json

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import making, recordings, transitions
from d4rl_automl.tasks import scores
from tests.support.datasets import SPLIT, record, write_provenance


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A recording of 20 finished episodes and a tail of 25 rows, made into tables in row groups of 64."""
    monkeypatch.setattr(recordings, "CHUNK", 64)
    lengths = [*range(5, 20), 12, 12, 3, 1, 19]
    content = record(tmp_path / "raw.hdf5", lengths, cut=25)
    write_provenance(tmp_path)
    output, episodes = tmp_path / "transitions.parquet", tmp_path / "episodes.parquet"
    making.make_transitions(
        tmp_path / "raw.hdf5", tmp_path / "raw.json", SPLIT, output=output, episodes_output=episodes
    )
    return lengths, content, output, episodes


def test_table(made):
    lengths, content, output, _ = made
    table = pq.read_table(output)
    assert pq.ParquetFile(output).num_row_groups == -(-len(content["rewards"]) // 64)
    schema = {field.name: field.type for field in table.schema}
    floats = [f"ob{i}" for i in range(11)] + [f"ac{i}" for i in range(3)] + ["rtg", "reward"]
    assert schema == {
        **dict.fromkeys(floats, pa.float32()),
        "episode": pa.int32(),
        "step": pa.int32(),
        "terminated": pa.bool_(),
        "truncated": pa.bool_(),
        "split": pa.dictionary(pa.int8(), pa.string()),
    }
    frame = pd.read_parquet(output)
    np.testing.assert_array_equal(frame[floats[:11]], content["observations"])
    np.testing.assert_array_equal(frame[floats[11:14]], np.clip(content["actions"], -1, 1))
    np.testing.assert_array_equal(frame["reward"], content["rewards"])
    np.testing.assert_array_equal(frame["terminated"], content["terminals"])
    np.testing.assert_array_equal(frame["truncated"], content["timeouts"])
    np.testing.assert_array_equal(frame["episode"], np.repeat(np.arange(21), [*lengths, 25]))
    np.testing.assert_array_equal(frame["step"], np.concatenate([np.arange(n) for n in [*lengths, 25]]))
    for _, episode in frame.groupby("episode"):
        rewards = episode["reward"].to_numpy(np.float64)
        expected = [rewards[t:].sum() / (19 - t) if t < 19 else np.nan for t in range(len(rewards))]
        np.testing.assert_allclose(episode["rtg"], expected, rtol=1e-5, atol=1e-6)
    assert table["rtg"].null_count == 25 - 19


def test_metadata(made, tmp_path):
    lengths, content, output, episodes = made
    said = json.loads(pq.read_schema(output).metadata[b"d4rl_automl"])
    assert said == {
        "dataset": "some-hopper",
        "provider": "file",
        "task": "hopper",
        "sha256": files.sha256(tmp_path / "raw.hdf5"),
        "longest_episode": 19,
        "transitions": sum(lengths) + 25,
        "episodes": 21,
        "split": {**SPLIT, "episodes": {"train": 12, "validation": 4, "test": 4, "unfinished": 1}},
        "repairs": {"actions_clipped": int((np.abs(content["actions"]) > 1).sum())},
        "doubts": [],
    }
    assert json.loads(pq.read_schema(episodes).metadata[b"d4rl_automl"]) == said


def test_episodes_table(made):
    lengths, content, output, episodes = made
    frame = pd.read_parquet(episodes)
    rows = pd.read_parquet(output)
    assert frame["length"].tolist() == [*lengths, 25]
    np.testing.assert_allclose(
        frame["return"], rows.groupby("episode")["reward"].apply(lambda r: r.astype(float).sum())
    )
    assert frame["terminated"].sum() == content["terminals"].sum()
    assert frame["truncated"].sum() == content["timeouts"].sum()
    assert not frame.iloc[-1][["terminated", "truncated"]].any()
    assert frame["split"].tolist() == rows.groupby("episode")["split"].first().tolist()
    assert frame["split"].iloc[-1] == "unfinished"
    np.testing.assert_allclose(frame["normalised_score"][:-1], scores.normalise("hopper", frame["return"][:-1]))
    assert np.isnan(frame["normalised_score"].iloc[-1])


@pytest.mark.parametrize("splits", [("train",), ("test", "validation"), ("unfinished",), transitions.SPLITS])
def test_read_selects_splits(made, splits):
    _, _, output, _ = made
    frame = pd.read_parquet(output)
    frame = frame[frame["split"].isin(splits)]
    result = transitions.read(output, splits)
    np.testing.assert_array_equal(result.observations, frame[[f"ob{i}" for i in range(11)]])
    np.testing.assert_array_equal(result.actions, frame[[f"ac{i}" for i in range(3)]])
    np.testing.assert_array_equal(result.rtg, frame["rtg"])
    np.testing.assert_array_equal(result.episodes, frame["episode"])
    np.testing.assert_array_equal(result.steps, frame["step"])
    assert result.observations.flags.c_contiguous
    assert result.actions.flags.c_contiguous
    kinds = [
        values.dtype for values in (result.observations, result.actions, result.rtg, result.episodes, result.steps)
    ]
    assert kinds == [np.float32] * 3 + [np.int32] * 2
    assert result.metadata["longest_episode"] == 19


def test_read_with_a_limit_draws_rows_without_replacement(made):
    _, _, output, _ = made
    everything = transitions.read(output)
    position = {pair: i for i, pair in enumerate(zip(everything.episodes, everything.steps, strict=True))}
    drawn = np.zeros(len(position))
    for seed in range(200):
        sample = transitions.read(output, limit=40, seed=seed)
        rows = [position[pair] for pair in zip(sample.episodes, sample.steps, strict=True)]
        assert len(rows) == len(set(rows)) == 40
        assert rows == sorted(rows)
        np.testing.assert_array_equal(sample.observations, everything.observations[rows])
        drawn[rows] += 1
    # Each row is drawn Binomial(200, p) times: all within five standard deviations.
    p = 40 / len(position)
    assert np.abs(drawn - 200 * p).max() < 5 * np.sqrt(200 * p * (1 - p))
    again = transitions.read(output, limit=40, seed=199)
    np.testing.assert_array_equal(again.observations, sample.observations)
    assert len(transitions.read(output, limit=10_000, seed=0).rtg) == len(position)
    with pytest.raises(ValueError, match="seed"):
        transitions.read(output, limit=40)


@given(
    finished=st.integers(1, 200),
    cut=st.booleans(),
    fractions=st.tuples(*[st.one_of(st.just(0), st.floats(0, 0.4))] * 2),
    seed=st.integers(0, 2**32),
)
def test_split_is_by_whole_episodes_and_leaves_none_out(finished, cut, fractions, seed):
    flags = np.array([True] * finished + [False] * cut)
    settings = {"seed": seed, "validation": fractions[0], "test": fractions[1]}
    try:
        codes = making.split_episodes(flags, settings)
    except InputError:
        assert finished < 8  # so few that rounding can take all
        return
    counts = np.bincount(codes, minlength=4)
    assert counts[3] == cut
    for code, fraction in ((1, fractions[0]), (2, fractions[1])):
        assert counts[code] == (max(1, round(fraction * finished)) if fraction else 0)
    assert counts[0] >= 1
    np.testing.assert_array_equal(codes, making.split_episodes(flags, settings))


def test_without_a_finished_episode_there_is_no_split():
    with pytest.raises(InputError, match="no finished episode"):
        making.split_episodes(np.zeros(1, bool), {"seed": 0, "validation": 0, "test": 0})


def test_split_depends_on_its_seed():
    finished = np.ones(50, bool)
    assert (
        making.split_episodes(finished, {**SPLIT, "seed": 0}) != making.split_episodes(finished, {**SPLIT, "seed": 1})
    ).any()


@pytest.mark.parametrize(
    "lengths, split, message",
    [
        ([5, 5], SPLIT, "2 finished episodes cannot be split .* at least 3 .*split: {validation: 0, test: 0}"),
        ([5] * 10, {**SPLIT, "validation": 0.5, "test": 0.5}, "none to train on"),
        ([5] * 10, {**SPLIT, "test": -0.5}, "none to train on"),
    ],
)
def test_no_split_no_files(tmp_path, lengths, split, message):
    record(tmp_path / "raw.hdf5", lengths, cut=3)
    write_provenance(tmp_path)
    with pytest.raises(InputError, match=message):
        making.make_transitions(
            tmp_path / "raw.hdf5",
            tmp_path / "raw.json",
            split,
            output=tmp_path / "t.parquet",
            episodes_output=tmp_path / "e.parquet",
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw.hdf5", "raw.json"]


def test_a_file_that_was_replaced_is_refused(made, tmp_path):
    output = tmp_path / "transitions.parquet"
    before = output.read_bytes()
    record(tmp_path / "raw.hdf5", [12] * 10, cut=0)
    with pytest.raises(InputError, match=r"raw.hdf5: its SHA-256 is .* but .*raw.json says .* replaced"):
        making.make_transitions(
            tmp_path / "raw.hdf5",
            tmp_path / "raw.json",
            SPLIT,
            output=output,
            episodes_output=tmp_path / "episodes.parquet",
        )
    assert output.read_bytes() == before


@pytest.mark.parametrize("key", ["dataset", "provider", "task", "sha256"])
def test_provenance_must_say_what_the_file_is(tmp_path, key):
    record(tmp_path / "raw.hdf5", [12] * 10, cut=0)
    write_provenance(tmp_path)
    said = json.loads((tmp_path / "raw.json").read_text())
    del said[key]
    (tmp_path / "raw.json").write_text(json.dumps(said))
    outputs = {"output": tmp_path / "t.parquet", "episodes_output": tmp_path / "e.parquet"}
    with pytest.raises(InputError, match=rf"raw\.json: the key '{key}' is missing"):
        making.make_transitions(tmp_path / "raw.hdf5", tmp_path / "raw.json", SPLIT, **outputs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw.hdf5", "raw.json"]


def test_a_nan_half_way_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "CHUNK", 16)
    record(tmp_path / "raw.hdf5", [10] * 10, cut=0)
    with h5py.File(tmp_path / "raw.hdf5", "a") as file:
        file["observations"][55, 3] = np.nan
    write_provenance(tmp_path)
    with pytest.raises(InputError, match=r"observations\[55, 3\]"):
        making.make_transitions(
            tmp_path / "raw.hdf5",
            tmp_path / "raw.json",
            SPLIT,
            output=tmp_path / "t.parquet",
            episodes_output=tmp_path / "e.parquet",
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw.hdf5", "raw.json"]


def test_read_refuses_other_and_damaged_files(made, tmp_path):
    _, _, output, episodes = made
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"ob0": [1.0]}), foreign)
    with pytest.raises(InputError, match=r"foreign\.parquet"):
        transitions.read(foreign)
    with pytest.raises(InputError, match=r"episodes\.parquet.*missing ob0"):
        transitions.read(episodes)
    with pytest.raises(InputError, match="absent"):
        transitions.read(tmp_path / "absent.parquet")
    whole = output.read_bytes()
    damaged = tmp_path / "damaged.parquet"
    for content in (whole[:-100], whole[100:], b""):
        damaged.write_bytes(content)
        with pytest.raises(InputError, match=r"damaged\.parquet"):
            transitions.read(damaged)


def test_read_notices_a_flipped_byte_in_the_data(made, tmp_path):
    _, _, output, _ = made
    column = pq.ParquetFile(output).metadata.row_group(1).column(0)
    content = bytearray(output.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 5] ^= 1
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(bytes(content))
    with pytest.raises(InputError, match="cannot be read"):
        transitions.read(damaged, transitions.SPLITS)


def test_an_end_with_both_flags_is_terminated(tmp_path):
    content = record(tmp_path / "raw.hdf5", [5] * 10, cut=0)
    with h5py.File(tmp_path / "raw.hdf5", "a") as file:
        file["timeouts"][9] = True
        assert content["terminals"][9]
    write_provenance(tmp_path)
    output, episodes = tmp_path / "t.parquet", tmp_path / "e.parquet"
    making.make_transitions(
        tmp_path / "raw.hdf5", tmp_path / "raw.json", SPLIT, output=output, episodes_output=episodes
    )
    for row in (pd.read_parquet(output).iloc[9], pd.read_parquet(episodes).iloc[1]):
        assert (row["terminated"], row["truncated"]) == (True, False)
    said = json.loads(pq.read_schema(output).metadata[b"d4rl_automl"])
    assert said["repairs"]["terminated_and_truncated"] == 1


def test_csv(made, tmp_path):
    _, content, output, _ = made
    transitions.write_csv(output, tmp_path / "transitions.csv")
    with (tmp_path / "transitions.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == [f"ob{i}" for i in range(11)] + ["ac0", "ac1", "ac2", "rtg"]
    values = np.array(rows, np.float64).astype(np.float32)
    finished = transitions.read(output, ("train", "validation", "test"))
    np.testing.assert_array_equal(values[:, :11], finished.observations)
    np.testing.assert_array_equal(values[:, 11:14], finished.actions)
    np.testing.assert_array_equal(values[:, 14], finished.rtg)
    assert len(values) == len(content["rewards"]) - 25


def test_same_input_same_bytes(made, tmp_path):
    _, _, output, episodes = made
    copies = tmp_path / "t2.parquet", tmp_path / "e2.parquet"
    making.make_transitions(
        tmp_path / "raw.hdf5", tmp_path / "raw.json", SPLIT, output=copies[0], episodes_output=copies[1]
    )
    assert copies[0].read_bytes() == output.read_bytes()
    assert copies[1].read_bytes() == episodes.read_bytes()
