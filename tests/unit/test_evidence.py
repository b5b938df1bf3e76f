"""What recordings prove of themselves: small files like those of public reports of trouble, and what comes of each."""

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import admission, checksums, datasets, making, recordings
from d4rl_automl.data.evidence import Evidence
from d4rl_automl.data.providers import file
from d4rl_automl.simulators import robots
from tests.support.datasets import SPLIT, arrays, make_card, store, walk

Arrays = dict[str, np.ndarray]
LENGTHS = [30, 1, 50, 50, 7, 50, 41, 50, 50, 20]
FELL = [0, 4, 6, 9]
LAST = np.cumsum(LENGTHS) - 1


def examined(path: Path, content: Arrays, task: str = "hopper", **said: Any) -> recordings.Examined:
    return recordings.examine(store(path / "raw.hdf5", content), task, **said)


def taken_in(path: Path, content: Arrays, task: str = "hopper", **said: Any) -> tuple[dict[str, Any], pd.DataFrame]:
    """The metadata and the episodes that the provider `file` and then the workflow make of it."""
    entry = file.Entry(name="mine", provider="file", task=task, path=str(store(path / "mine.hdf5", content)), **said)
    raw, provenance = path / "raw.hdf5", path / "raw.json"
    file.fetch(entry, local="", mirrors=(), output=str(raw), provenance=str(provenance), threads=1)
    return made_into_tables(path), pd.read_parquet(path / "e.parquet")


def made_into_tables(path: Path) -> dict[str, Any]:
    """The metadata of the tables that are made of what was taken in."""
    outputs = {"output": path / "t.parquet", "episodes_output": path / "e.parquet"}
    making.make_transitions(path / "raw.hdf5", path / "raw.json", SPLIT, **outputs)
    return json.loads(pq.read_schema(path / "t.parquet").metadata[b"d4rl_automl"])


def test_a_file_whose_ends_were_found_is_admitted_and_has_a_card(tmp_path: Path) -> None:
    """With none marked, whoever reads it without what its provider found finds no episode."""
    content = walk([100] * 30) | {"timeouts": np.zeros(3000, bool)}
    _, episodes = taken_in(tmp_path, content)
    assert episodes["length"].tolist() == [100] * 30
    admission.admit(tmp_path / "raw.hdf5", tmp_path / "raw.json", tmp_path / "admitted.json")
    assert make_card(tmp_path)["repairs"] == {"ends_found": 30}


def joined(*pieces: Arrays) -> Arrays:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def flagless(content: Arrays) -> Arrays:
    none = np.zeros(len(content["rewards"]), bool)
    return {**content, "terminals": none, "timeouts": none}


def test_a_sound_recording_needs_nothing(tmp_path: Path) -> None:
    found, repairs = examined(tmp_path, walk(LENGTHS, FELL))
    assert (found.continuity, found.doubts, repairs) == ("holds", (), {})


# Ends --------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(3, 20), min_size=2, max_size=12), data=st.data())
def test_ends_that_no_flag_marks_are_found(tmp_path: Path, lengths: list[int], data: st.DataObject) -> None:
    fell = data.draw(st.lists(st.sampled_from(range(len(lengths))), unique=True))
    content = walk(lengths, fell)
    last = np.cumsum(lengths) - 1
    found = examined(tmp_path, flagless(content)).findings
    # How the last row ended is told by a fall, or by its length.
    whole = len(lengths) - 1 in fell or lengths[-1] == max(lengths[:-1])
    assert found.ended == tuple(last if whole else last[:-1])
    assert set(found.fell) == set(last[fell])
    assert (found.cut, found.doubts) == ((), ())


@pytest.mark.parametrize("size", [7, 50, 131_072])
def test_chunks_prove_what_the_whole_proves(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "CHUNK", size)
    found = examined(tmp_path, flagless(walk(LENGTHS, FELL))).findings
    assert (found.ended, found.fell) == (tuple(LAST), tuple(LAST[FELL]))


def test_without_an_array_of_timeouts_no_limit_is_inferred_where_the_rows_tell(tmp_path: Path) -> None:
    """A task whose limit is 1,000, recorded with one of 100."""
    content = walk([100] * 30)
    del content["timeouts"]
    said, episodes = taken_in(tmp_path, content)
    assert said["repairs"] == {"ends_found": 30}
    assert episodes["length"].tolist() == [100] * 30
    assert episodes["truncated"].all()
    dataset = datasets.load_dataset(tmp_path / "mine.hdf5", "hopper")
    np.testing.assert_array_equal(np.flatnonzero(dataset.timeouts), np.arange(99, 3000, 100))


def test_a_seam_between_recordings_is_cut(tmp_path: Path) -> None:
    first, second = walk([100] * 5 + [60]), walk([100] * 5, seed=1)
    first["timeouts"][-1] = False
    content = joined(first, second)
    content["rewards"] = np.ones(1060, np.float32)
    said, episodes = taken_in(tmp_path, content)
    assert (said["repairs"], said["longest_episode"]) == ({"cuts_found": 1}, 100)
    assert episodes["length"].tolist() == [100] * 5 + [60] + [100] * 5
    assert (episodes["split"] == "unfinished").tolist() == [False] * 5 + [True] + [False] * 5
    rows = pd.read_parquet(tmp_path / "t.parquet")
    np.testing.assert_array_equal(rows["rtg"][(rows["split"] != "unfinished").to_numpy()], 1)
    assert json.loads((tmp_path / "raw.json").read_text())["findings"]["cut"] == [559]
    dataset = datasets.load_dataset(tmp_path / "mine.hdf5", "hopper")
    assert dataset.timeouts[559] and not dataset.truncated[559]
    assert len(datasets.qlearning_dataset(dataset)["rewards"]) == 1060 - 11


@pytest.mark.parametrize("forgotten", [LAST[0], LAST[2]], ids=["a fall", "a time limit"])
def test_a_forgotten_flag_is_an_end(tmp_path: Path, forgotten: int) -> None:
    content = walk(LENGTHS, FELL)
    expected = content["terminals"].copy(), content["timeouts"].copy()
    content["terminals"][forgotten] = content["timeouts"][forgotten] = False
    path = store(tmp_path / "raw.hdf5", content)
    found = recordings.examine(path, "hopper").findings
    assert (found.ended, found.cut) == ((forgotten,), ())
    with recordings.reading(path, "hopper", json.loads(json.dumps(found.as_json()))) as reader:
        np.testing.assert_array_equal(reader.terminated, expected[0])
        np.testing.assert_array_equal(reader.truncated, expected[1])


def test_rows_that_are_missing_are_told(tmp_path: Path) -> None:
    content = walk([400, 400, 400])
    content["observations"][:, 5] += 10 * (np.arange(1200) % 400 > 200)
    content["next_observations"][:, 5] += 10 * (np.arange(1200) % 400 >= 200)
    kept = np.delete(np.arange(1200), np.s_[300:320])
    found = examined(tmp_path, {name: values[kept] for name, values in content.items()}).findings
    assert found.cut == (299,)
    [told] = found.doubts
    assert told.startswith("After 1 (100.00%) of the rows at which the recording stops (row 299 first)")


# How two rows compare ----------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "same"), [(1, True), (4, True), (8, False)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_copies_may_differ_in_their_last_places(tmp_path: Path, dtype: type, steps: int, same: bool) -> None:
    content = walk([200] * 3)
    content["observations"] = content["observations"].astype(dtype)
    last = content["next_observations"][-1].astype(dtype)
    content["next_observations"] = np.concatenate([content["observations"][1:], last[None]])
    content["timeouts"][:-1] = False
    changed = content["next_observations"][300].copy()
    for _ in range(steps):
        changed = np.nextafter(changed, dtype(np.inf))
    content["next_observations"][300] = changed
    found = examined(tmp_path, content).findings
    assert (found.continuity, found.cut) == (("holds", ()) if same else ("mended", (300,)))


def test_copies_of_another_precision_are_the_same(tmp_path: Path) -> None:
    content = walk(LENGTHS, FELL)
    for dtype, name in ((np.float64, "observations"), (np.float16, "next_observations")):
        stored = {**content, name: content[name].astype(dtype)}
        assert examined(tmp_path, stored).findings.continuity == "holds"


# Rows that are no sequence -----------------------------------------------------------------------


def by_environment(count: int) -> Callable[[np.ndarray], np.ndarray]:
    """The rows of so many environments, one after the other, as a vector environment's buffer has them flattened."""
    return lambda values: values.reshape(count, -1, *values.shape[1:]).swapaxes(0, 1).reshape(values.shape)


def every_array(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda content: {name: change(values) for name, values in content.items()}


def one_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda content: {**content, name: change(content[name])}


def all_but_observations(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda content: {k: values if "obs" in k else change(values) for k, values in content.items()}


def shuffled(values: np.ndarray) -> np.ndarray:
    return values[np.random.default_rng(1).permutation(len(values))]


def some(values: np.ndarray) -> np.ndarray:
    return values[np.sort(np.random.default_rng(1).choice(len(values), len(values) // 2, replace=False))]


NO_SEQUENCE: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "two environments": (every_array(by_environment(2)), "2 rows later .*the rows of 2 environments alternate"),
    "five environments": (every_array(by_environment(5)), "5 rows later .*the rows of 5 environments alternate"),
    "flags late": (all_but_observations(lambda x: np.roll(x, 1, axis=0)), "flags stand in the first rows"),
    "flags early": (all_but_observations(lambda x: np.roll(x, -1, axis=0)), "flags stand one row before"),
    "next observations of the next row": (
        one_array("next_observations", lambda x: np.roll(x, -1, axis=0)),
        r"observations\[i\+2\] .*shifted",
    ),
    "observations twice": (
        lambda content: {**content, "next_observations": content["observations"]},
        r"it is observations\[i\] .*shifted",
    ),
    "shuffled": (every_array(shuffled), "the rows were shuffled"),
    "every third": (every_array(lambda x: x[::3]), "rows were left out"),
    "half of them": (every_array(some), "rows were left out"),
}


@pytest.mark.parametrize(("change", "cause"), NO_SEQUENCE.values(), ids=NO_SEQUENCE.keys())
def test_rows_that_are_no_sequence_are_refused_with_the_cause(
    tmp_path: Path, change: Callable[[Arrays], Arrays], cause: str
) -> None:
    content = change(walk([100] * 20))
    path = store(tmp_path / "raw.hdf5", content)
    for read in (lambda: recordings.examine(path, "hopper"), lambda: datasets.load_dataset(path)):
        with pytest.raises(InputError, match=rf"raw\.hdf5: in .* of the rows inside .*{cause}.*`ends: flags`") as error:
            read()
        assert ("`ends: none`" in str(error.value)) == ("flags stand" not in cause and "shifted" not in cause)


def test_interleaved_rows_of_short_episodes(tmp_path: Path) -> None:
    """Of two environments that hardly move and whose ends differ."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(601, 2, 11)).astype(np.float32) * 0.01
    states[:, 0, 0], states[:, 1, 0] = 1.1, 1.3
    done = np.zeros((600, 2), bool)
    done[19::20, 0] = done[29::30, 1] = True
    content = {
        "observations": states[:-1].reshape(-1, 11),
        "next_observations": states[1:].reshape(-1, 11),
        "actions": rng.uniform(-1, 1, (1200, 3)).astype(np.float32),
        "rewards": np.tile(np.float32([1, 0]), 600),
        "terminals": done.reshape(-1),
        "timeouts": np.zeros(1200, bool),
    }
    with pytest.raises(InputError, match=r"in 1,150 \(100.00%\) .*row 0 first.*the rows of 2 environments alternate"):
        examined(tmp_path, content)
    said, episodes = taken_in(tmp_path, content, ends="flags")
    assert len(episodes) == 50
    assert "the flags are used as they are, as the config says (ends: flags)" in said["doubts"][0]


def test_shuffled_rows_are_taken_in_for_what_needs_no_episodes(tmp_path: Path) -> None:
    content = every_array(shuffled)(walk([100] * 20))
    said, episodes = taken_in(tmp_path, content, ends="none")
    assert (len(episodes), said["longest_episode"]) == (2000, 1)
    assert "(ends: none)" in said["doubts"][0]
    rows = pd.read_parquet(tmp_path / "t.parquet")
    np.testing.assert_array_equal(rows["ob1"], content["observations"][:, 1])
    assert (rows["split"] == "train").sum() == 1200


# Files that are not judged -----------------------------------------------------------------------


def test_of_files_that_the_catalogue_knows_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = walk([100] * 10)
    content["timeouts"][599] = False
    content["observations"][3, 2] = 1e12
    path = store(tmp_path / "mine.hdf5", content)
    monkeypatch.setattr(checksums, "known", lambda: {files.sha256(path): path.stat().st_size})
    said, episodes = taken_in(tmp_path, content)
    assert files.sha256(tmp_path / "mine.hdf5") in checksums.known()
    assert episodes["length"].tolist() == [100] * 5 + [200] + [100] * 3
    assert said["repairs"] == {}
    absurd, broken = said["doubts"]
    assert absurd.startswith("observations[3, 2] is 1e+12")
    assert broken.startswith("In 2 (0.20%) of the rows inside episodes (row 2 first)")
    assert "as published protocols use them" in broken
    # The same where its provider took it in unseen.
    made = json.loads((tmp_path / "raw.json").read_text()) | {"provider": "d4rl"}
    for provenance in (made, {name: value for name, value in made.items() if name != "findings"}):
        (tmp_path / "raw.json").write_text(json.dumps(provenance))
        assert made_into_tables(tmp_path)["repairs"] == {}
        *same, nobodys = make_card(tmp_path)["doubts"]
        assert same == said["doubts"]
        assert nobodys.startswith("No simulator known here repeats its steps")
        assert make_card(tmp_path)["continuity"] == "broken"
    np.testing.assert_array_equal(datasets.load_dataset(path, "hopper").timeouts, content["timeouts"])


def test_other_files_have_other_checksums(tmp_path: Path) -> None:
    assert len(checksums.known()) == 18
    assert not checksums.is_known(store(tmp_path / "raw.hdf5", arrays()))


def test_what_cannot_be_checked_is_said(tmp_path: Path) -> None:
    content = walk(LENGTHS, FELL)
    del content["next_observations"]
    path = store(tmp_path / "raw.hdf5", content)
    found = recordings.examine(path, "hopper").findings
    assert found.continuity == "cannot be checked"
    assert found.doubts == (
        "Whether its episodes end where its flags say could not be checked: it has no next_observations.",
    )
    assert recordings.examine(path, "hopper", trusted=True).findings.doubts == ()


def test_timeouts_before_the_limit_stay_ends(tmp_path: Path) -> None:
    """D4RL's medium-replay has them."""
    said, episodes = taken_in(tmp_path, walk([17, 100, 53, 1000, 8, 300]))
    assert (said["doubts"], said["repairs"]) == ([], {})
    assert episodes["length"].tolist() == [17, 100, 53, 1000, 8, 300]


# Flags against the task's rule -------------------------------------------------------------------


@pytest.mark.parametrize("task", ["hopper", "walker2d", "halfcheetah"])
def test_the_rule_is_the_simulators(task: str, tmp_path: Path) -> None:
    """On observations, whose velocities are clipped, as on the states; or it is not known."""
    robot = robots.get(task)
    size = {"hopper": 6}.get(task, 9)
    rng = np.random.default_rng(0)
    qpos, qvel = rng.normal(0, 0.3, (2000, size)), rng.normal(0, 5, (2000, size))
    qpos[:, 1] += 1
    qvel[::50, 2] *= 30
    observed = robot.observe(qpos, qvel).astype(np.float32)
    content = {
        "observations": observed,
        "next_observations": observed,
        "actions": np.zeros((2000, 3 if task == "hopper" else 6), np.float32),
        "rewards": np.zeros(2000, np.float32),
        "terminals": np.ones(2000, bool),
    }
    with recordings.unsettled(store(tmp_path / "raw.hdf5", content), task) as reader:
        evidence = Evidence(reader)
        evidence.add(slice(0, 2000), {name: content[name] for name in ("observations", "next_observations")})
    fell = robot.terminated(qpos, qvel)
    assert not (evidence.fell & ~fell).any() and not (evidence.stood & fell).any()
    known = evidence.fell | evidence.stood
    assert known.mean() > 0.5 and (known.all() or task == "hopper")
    assert (fell.mean() > 0.1) == (task != "halfcheetah")


def test_time_limits_that_are_marked_as_falls(tmp_path: Path) -> None:
    content = walk([1000, 300, 1000, 1000, 40], fell=[1, 2])
    content["terminals"] |= content["timeouts"]
    content["timeouts"][:] = False
    said, episodes = taken_in(tmp_path, content)
    assert said["repairs"] == {"terminals_at_time_limit": 2}
    assert episodes["terminated"].tolist() == [False, True, True, False, True]
    assert episodes["truncated"].tolist() == [True, False, False, True, False]
    # An end before the limit stays one, whatever made it.
    [told] = said["doubts"]
    assert told.startswith(
        "In 1 (20.00%) of the terminals (row 3339 first) the robot has not fallen by the task's rule"
    )
    kept, _ = examined(tmp_path, content, ends="flags")
    assert kept.time_limits == () and kept.doubts[0].startswith("In 3 (60.00%) of the terminals (row 999 first)")


def test_a_cheetah_cannot_fall(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    states = rng.normal(0, 0.1, (3001, 17)).astype(np.float32)
    content = {
        "observations": states[:-1],
        "next_observations": states[1:],
        "actions": rng.uniform(-1, 1, (3000, 6)).astype(np.float32),
        "rewards": np.ones(3000, np.float32),
        "terminals": np.arange(3000) % 1000 == 999,
        "timeouts": np.zeros(3000, bool),
    }
    said, episodes = taken_in(tmp_path, content, "halfcheetah")
    assert said["repairs"] == {"terminals_at_time_limit": 3}
    assert episodes["truncated"].all() and not episodes["terminated"].any()
    # The states go on behind each end, as if nothing had happened.
    assert said["doubts"][0].startswith("2 (66.67%) of the marked ends (row 999 first) are followed by their own")


# Values ------------------------------------------------------------------------------------------


def test_actions_on_another_scale(tmp_path: Path) -> None:
    content = walk(LENGTHS, FELL)
    scaled = {**content, "actions": content["actions"] * np.float32(100)}
    with pytest.raises(InputError, match=r"mine\.hdf5: actions: .* are beyond 3, the largest is .*`scale_actions`"):
        taken_in(tmp_path, scaled)
    said, _ = taken_in(tmp_path, scaled, scale_actions=100)
    assert said["repairs"] == {"actions_scaled": content["actions"].size}
    rows = pd.read_parquet(tmp_path / "t.parquet", columns=["ac0", "ac1", "ac2"])
    np.testing.assert_allclose(rows, content["actions"], rtol=1e-6)
    # Clipped entries alone, which experts have, are on the same scale.
    wide = {**content, "actions": content["actions"] * np.float32(2)}
    assert 0.4 < examined(tmp_path, wide).repairs["actions_clipped"] / content["actions"].size < 0.6


@pytest.mark.parametrize("name", ["observations", "next_observations", "rewards"])
def test_an_absurd_value_is_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "CHUNK", 64)
    content = walk(LENGTHS, FELL)
    where = (LAST[5],) if name == "rewards" else (LAST[5], 4)
    content[name][where] = 1e25
    place = ", ".join(map(str, where))
    with pytest.raises(InputError, match=rf"{name}\[{place}\] is 1e\+25, where the median size .*MuJoCo"):
        examined(tmp_path, content)
    content[name][where] = -1e5
    doubts = examined(tmp_path, content).findings.doubts
    assert any(told.startswith(f"{name}[{place}] is -100000") for told in doubts)


@pytest.mark.parametrize(
    ("dtype", "repairs"),
    [
        (">f8", {"float64_to_float32": 1, "byte_order": 1}),
        (">f4", {"byte_order": 1}),
        ("f2", {"float16_to_float32": 1}),
    ],
)
def test_other_types_are_counted(tmp_path: Path, dtype: str, repairs: dict[str, int]) -> None:
    content = walk(LENGTHS, FELL)
    stored = {name: values.astype(dtype) if values.dtype == np.float32 else values for name, values in content.items()}
    found, counted = examined(tmp_path, stored)
    entries = sum(values.size for values in content.values() if values.dtype == np.float32)
    assert counted == dict.fromkeys(repairs, entries)
    assert (found.continuity, found.doubts) == ("holds", ())
    read = datasets.load_dataset(tmp_path / "raw.hdf5", "hopper")
    np.testing.assert_array_equal(read.actions, stored["actions"].astype(np.float32))


def test_a_file_that_is_open_elsewhere_is_not_called_damaged(tmp_path: Path) -> None:
    path = store(tmp_path / "raw.hdf5", arrays())
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # what HDF5 does while it writes
        with pytest.raises(InputError, match=r"raw\.hdf5: is open elsewhere, for writing") as error:
            recordings.examine(path, "hopper")
    assert "damaged" not in str(error.value)
    recordings.examine(path, "hopper")
