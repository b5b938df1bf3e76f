import csv
import itertools
import json

import h5py
import mujoco
import numpy as np
import pytest
from scipy import stats

from d4rl_automl import tasks
from d4rl_automl.behaviour import policies
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import sha256
from d4rl_automl.data import catalogue, collection, datasets, recipes, recordings
from d4rl_automl.tasks import antmaze
from d4rl_automl.tasks.seeds import episode_seeds
from tests.support.original import d4rl_itself, needs_original
from tests.support.stock import reference_environment

ROWS = 2500


def entry(recipe, task="hopper", transitions=ROWS, seed=1):
    return catalogue.entry(
        {
            "name": f"{task}-{recipe}-embedded-test",
            "provider": "embedded",
            "task": task,
            "recipe": recipe,
            "transitions": transitions,
            "seed": seed,
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("medium-expert")
    collection.collect(entry("medium-expert"), folder / "raw.hdf5", folder / "raw.json", processes=1)
    return folder


def episodes(content):
    """First and last row (exclusive) of each episode, the unfinished one included."""
    ends = np.flatnonzero(content["terminals"][:] | content["timeouts"][:]) + 1
    bounds = [0, *ends.tolist()]
    if bounds[-1] < ROWS:
        bounds.append(ROWS)
    return list(itertools.pairwise(bounds))


def test_layout_is_d4rls(made):
    with h5py.File(made / "raw.hdf5") as file:
        shapes = {name: (item.shape, item.dtype) for name, item in file.items() if isinstance(item, h5py.Dataset)}
        assert shapes == {
            "observations": ((ROWS, 11), np.float32),
            "actions": ((ROWS, 3), np.float32),
            "rewards": ((ROWS,), np.float32),
            "next_observations": ((ROWS, 11), np.float32),
            "terminals": ((ROWS,), bool),
            "timeouts": ((ROWS,), bool),
        }
        infos = {name: (item.shape, item.dtype) for name, item in file["infos"].items()}
        assert infos == {
            "qpos": ((ROWS, 6), np.float32),
            "qvel": ((ROWS, 6), np.float32),
            "action_log_probs": ((ROWS,), np.float32),
        }
        assert not (file["terminals"][:] & file["timeouts"][:]).any()
        assert np.abs(file["actions"][:]).max() <= 1
        within = ~(file["terminals"][:] | file["timeouts"][:])[:-1]
        np.testing.assert_array_equal(file["next_observations"][:-1][within], file["observations"][1:][within])
        # An episode's end has its own next observation, not the following episode's first.
        assert (file["next_observations"][:-1][~within] != file["observations"][1:][~within]).any(axis=1).all()
        np.testing.assert_array_equal(file["observations"][:, :5], file["infos/qpos"][:, 1:])
        np.testing.assert_array_equal(file["observations"][:, 5:], np.clip(file["infos/qvel"][:], -10, 10))
    found, repairs = recordings.examine(made / "raw.hdf5", "hopper")
    assert (found.continuity, found.doubts, repairs) == ("holds", (), {})


def by_h5py(path):
    """What D4RL's reader reads: every array of the file by its name, with the checks of `OfflineEnv.get_dataset`."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    for key in ("observations", "actions", "rewards", "terminals"):
        assert key in found
    rows = len(found["observations"])
    assert found["observations"].shape[1:] == (11,)
    assert found["actions"].shape == (rows, 3)
    assert found["rewards"].shape == found["terminals"].shape == (rows,)
    return found


def test_h5py_reads_what_is_written(made):
    found, dataset = by_h5py(made / "raw.hdf5"), datasets.load_dataset(made / "raw.hdf5")
    assert {name for name in found if "/" not in name} == {
        *("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")
    }
    for name in ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts"):
        np.testing.assert_array_equal(getattr(dataset, name), found[name])
    assert found["metadata/dataset"] == b"hopper-medium-expert-embedded-test"


@needs_original
def test_d4rl_itself_reads_what_is_written(made):
    expected = d4rl_itself(made / "raw.hdf5")
    for name, values in by_h5py(made / "raw.hdf5").items():
        np.testing.assert_array_equal(expected[f"dataset/{name}"], values)


@pytest.mark.parametrize("task", ["halfcheetah", "hopper", "walker2d"])
def test_gymnasium_repeats_every_step_from_the_recorded_state(task, made, tmp_path):
    """From infos/qpos and infos/qvel, which float32 rounds by 6e-8 of their size: 1e-5 for 99 % of the steps.

    A foot that strikes magnifies that further: the rest within 1e-2.
    """
    path = made / "raw.hdf5"
    if task != "hopper":
        path = tmp_path / "raw.hdf5"
        collection.collect(entry("medium", task, 1000), path, tmp_path / "raw.json", processes=2)
    dataset = datasets.load_dataset(path)
    environment = reference_environment(task).unwrapped
    environment.reset()
    errors, reward_errors = [], []
    for row in range(0, len(dataset.rewards), 3):
        environment.set_state(dataset.infos["qpos"][row].astype(float), dataset.infos["qvel"][row].astype(float))
        observation, reward, terminated, _, _ = environment.step((dataset.actions[row] + 1) - 1)
        assert terminated == dataset.terminals[row]
        errors.append(np.abs(observation - dataset.next_observations[row]).max())
        reward_errors.append(abs(reward - dataset.rewards[row]))
    scale = 5.0 if task == "halfcheetah" else 1.0  # its joints turn several times as fast
    assert np.quantile(errors, 0.99) < scale * 1e-5
    assert max(errors) < 1e-2
    assert np.quantile(reward_errors, 0.99) < scale * 1e-6
    assert max(reward_errors) < 1e-4


def test_gymnasium_repeats_every_episode(made):
    """From the episode's seed and the recorded actions, Gymnasium's own loop comes through the same states."""
    environment = reference_environment("hopper")
    seeds = episode_seeds(1, "hopper-medium-expert-embedded-test", "collection", 100)
    with h5py.File(made / "raw.hdf5") as file:
        content = {name: file[name][:] for name in ("observations", "actions", "rewards", "next_observations")}
        content |= {name: file[name][:] for name in ("terminals", "timeouts")}
    bounds = episodes(content)
    # The first source fills its half with a whole last episode.
    first_source = next(i for i, (_, end) in enumerate(bounds, 1) if end >= ROWS / 2)
    order = [*seeds[0::2][:first_source], *seeds[1::2]][: len(bounds)]
    assert 2 <= first_source < len(bounds)
    for seed, (start, end) in zip(order, bounds, strict=True):
        observation, _ = environment.reset(seed=int(seed))
        for row in range(start, end):
            np.testing.assert_array_equal(content["observations"][row], observation.astype(np.float32))
            observation, reward, terminated, truncated, _ = environment.step(
                (content["actions"][row] + 1) - 1
            )  # D4RL's wrapper rounds
            np.testing.assert_array_equal(content["next_observations"][row], observation.astype(np.float32))
            np.testing.assert_allclose(content["rewards"][row], reward, rtol=1e-6)
            assert content["terminals"][row] == terminated
            assert content["timeouts"][row] == (truncated and not terminated)


def test_actions_follow_the_policies(made):
    """mu and log_std computed here in float64; the standardised noise must be standard normal."""
    with h5py.File(made / "raw.hdf5") as file:
        content = {name: file[name][:] for name in ("observations", "actions", "terminals", "timeouts")}
        recorded = file["infos/action_log_probs"][:]
    boundary = next(end for _, end in episodes(content) if end >= ROWS / 2)
    for policy, rows in (("hopper-medium", slice(0, boundary)), ("hopper-expert", slice(boundary, None))):
        with np.load(recipes.BEHAVIOUR / f"{policy}.npz") as file:
            w = {name: file[name].astype(np.float64) for name in file.files if file[name].dtype.kind == "f"}
        hidden = np.tanh(np.tanh(content["observations"][rows] @ w["w0"] + w["b0"]) @ w["w1"] + w["b1"])
        mean = hidden @ w["w_mu"] + w["b_mu"]
        deviation = np.exp(np.clip(hidden @ w["w_ls"] + w["b_ls"], w["log_std_min"], w["log_std_max"]))
        actions = content["actions"][rows].astype(np.float64)
        inside = (np.abs(actions) < 0.999).all(axis=1)  # beyond, float32 leaves too few digits to invert tanh
        raw = np.arctanh(actions[inside])
        density = stats.norm.logpdf(raw, mean[inside], deviation[inside]) - np.log1p(-(actions[inside] ** 2))
        np.testing.assert_allclose(recorded[rows][inside], density.sum(axis=1), rtol=1e-3, atol=2e-2)
        centre = np.abs(mean) + 3 * deviation < 3  # where no draw could be left out above
        chance = ((np.arctanh(np.clip(actions, -0.9999999, 0.9999999)) - mean) / deviation)[centre]
        assert len(chance) > 300
        assert stats.kstest(chance, "norm").pvalue > 1e-4


def test_the_same_bytes_whatever_the_processes_and_their_companies(made, tmp_path, monkeypatch):
    monkeypatch.setattr(collection, "LEAST", 7)
    collection.collect(entry("medium-expert"), tmp_path / "raw.hdf5", tmp_path / "raw.json", processes=3)
    assert sha256(tmp_path / "raw.hdf5") == sha256(made / "raw.hdf5")
    assert (tmp_path / "raw.json").read_text() == (made / "raw.json").read_text()


def test_a_longer_collection_begins_like_a_shorter_one(tmp_path):
    for transitions in (1000, 1500):
        asked = entry("medium", task="walker2d", transitions=transitions)
        collection.collect(asked, tmp_path / f"{transitions}.hdf5", tmp_path / "raw.json", processes=2)
    short, long = (datasets.load_dataset(tmp_path / f"{transitions}.hdf5") for transitions in (1000, 1500))
    assert len(short.rewards) == 1000
    for name in ("observations", "actions", "rewards", "next_observations"):
        np.testing.assert_array_equal(getattr(short, name), getattr(long, name)[:1000])
    assert len(long.rewards) == 1500


def test_random_is_uniform(tmp_path):
    dataset = {}
    for seed in (1, 2):
        collection.collect(entry("random", seed=seed), tmp_path / f"{seed}.hdf5", tmp_path / "raw.json", processes=1)
        dataset[seed] = datasets.load_dataset(tmp_path / f"{seed}.hdf5")
    assert stats.kstest(dataset[1].actions.ravel(), stats.uniform(-1, 2).cdf).pvalue > 1e-4
    np.testing.assert_allclose(dataset[1].infos["action_log_probs"], -3 * np.log(2), rtol=1e-6)
    # Another seed, other states and other chance.
    assert (dataset[1].observations[0] != dataset[2].observations[0]).all()
    assert (dataset[1].actions[0] != dataset[2].actions[0]).all()
    # The chance of the actions is not that of the initial state over again.
    assert np.abs(dataset[1].actions[0, [0, 2]] * 5e-3 - dataset[1].infos["qpos"][0, [0, 2]]).min() > 1e-6
    # Episodes of one file do not repeat each other.
    assert len(np.unique(dataset[1].actions, axis=0)) == ROWS


def test_sources_follow_each_other_in_the_order_of_the_recipe(tmp_path):
    """medium-replay: equal shares, each source's last episode whole, the file's last one cut."""
    sources = recipes.sources("hopper", "medium-replay")
    rows = 1000 * len(sources)
    collection.collect(entry("medium-replay", transitions=rows), tmp_path / "raw.hdf5", tmp_path / "raw.json", 2)
    dataset = datasets.load_dataset(tmp_path / "raw.hdf5")
    assert len(dataset.rewards) == rows
    ends = np.flatnonzero(dataset.terminals | dataset.timeouts) + 1
    start = 0
    for number, source in enumerate(sources, 1):
        end = next((int(end) for end in ends if end >= 1000 * number), rows)
        policy = policies.TanhGaussian(recipes.BEHAVIOUR / source["policy"], "hopper", source["noise"])
        mean, _ = policy.act(dataset.observations[start:end], np.zeros((end - start, 3), np.float32))
        # The actions scatter around this policy's mean and no other's.
        own = np.abs(dataset.actions[start:end] - mean).mean()
        assert own == min(
            np.abs(
                dataset.actions[start:end]
                - policies.TanhGaussian(recipes.BEHAVIOUR / other["policy"], "hopper", 1.0).act(
                    dataset.observations[start:end], np.zeros((end - start, 3), np.float32)
                )[0]
            ).mean()
            for other in sources
        ), source["policy"]
        start = end


def test_provenance(made):
    said = json.loads((made / "raw.json").read_text())
    assert said["sha256"] == sha256(made / "raw.hdf5")
    assert (said["dataset"], said["provider"], said["task"]) == (
        "hopper-medium-expert-embedded-test",
        "embedded",
        "hopper",
    )
    assert (said["recipe"], said["seed"], said["transitions"], said["simulator"]) == ("medium-expert", 1, ROWS, "d4rl")
    assert said["mujoco"] == mujoco.__version__
    assert [source["policy"] for source in said["policies"]] == ["hopper-medium.npz", "hopper-expert.npz"]
    for source in said["policies"]:
        assert source["sha256"] == sha256(recipes.BEHAVIOUR / source["policy"])
    metadata = datasets.load_dataset(made / "raw.hdf5").metadata
    assert json.loads(metadata["policies"]) == said["policies"]
    assert metadata["recipe"] == "medium-expert"


def test_every_shipped_recipe():
    with (recipes.BEHAVIOUR / "recipes.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for task, recipe in {(row["task"], row["recipe"]) for row in rows}:
        used = recipes.sources(task, recipe)
        assert sum(source["share"] for source in used) == pytest.approx(1)
        for source in used:
            assert source["noise"] > 0
            if source["policy"] != "uniform":
                # In a maze walks who has learned it on open ground.
                learned = task if tasks.get(task).maze is None else antmaze.WALK.name
                policies.TanhGaussian(recipes.BEHAVIOUR / source["policy"], learned, source["noise"])
    shipped = {path.name for path in recipes.BEHAVIOUR.glob("*.npz")}
    assert shipped == {row["policy"] for row in rows} - {"uniform"}


def test_unknown_recipe():
    with pytest.raises(InputError, match="halfcheetah, which has random, medium"):
        recipes.sources("halfcheetah", "expert")


def test_bad_policies_are_refused(tmp_path):
    good = recipes.BEHAVIOUR / "hopper-medium.npz"
    with pytest.raises(InputError, match="walker2d's are"):
        policies.TanhGaussian(good, "walker2d", 1.0)
    with np.load(good) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(tmp_path / "pickled.npz", **{**arrays, "w0": np.array([print], object)})
    np.savez(tmp_path / "partial.npz", **{name: arrays[name] for name in arrays if name != "b1"})
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:-5000])
    for name in ("pickled", "partial", "cut", "absent"):
        with pytest.raises(InputError, match=f"{name}.npz: not a behaviour policy"):
            policies.TanhGaussian(tmp_path / f"{name}.npz", "hopper", 1.0)


def test_transitions_that_leave_a_source_none(tmp_path):
    asked = entry("medium-expert").model_copy(update={"transitions": 60, "seed": 0})
    with pytest.raises(ValueError, match="leave none"):
        collection.collect(asked, tmp_path / "raw.hdf5", tmp_path / "raw.json", processes=1)
    assert list(tmp_path.iterdir()) == []
