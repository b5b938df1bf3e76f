"""Every method that is fitted to data learns what is known to be in them, from the rows it is meant to have."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from d4rl_automl.core.errors import InputError
from d4rl_automl.data import transitions
from d4rl_automl.evaluation import comparison
from d4rl_automl.methods import bc, catboost_student, mlp, rcdtp, rvs, rvs_r, rwdtp, student
from d4rl_automl.policies import loading
from d4rl_automl.tasks import outcomes
from tests.support import learnable

HERE = {"seed": 0, "device": "cpu", "threads": 1}
NETWORK = {"network": {"width": 64, "layers": 2}, "updates": 2000, "batch_size": 256, "learning_rate": 0.003}
EPISODES = 100
FOREST = {"trees": 150, "depth": 6, "learning_rate": 0.3}
METHODS = {
    "mlp": (mlp, {**NETWORK, "rows": None}),
    "rvs": (rvs, {**NETWORK, "rows": None}),
    "bc": (bc, {**NETWORK, "best": 1}),
    "rvs_r": (rvs_r, {}),
    "rcdtp": (rcdtp, FOREST),
    "rwdtp": (rwdtp, {**FOREST, "return_power": 0.5}),
    "student": (student, NETWORK),
    "catboost_student": (catboost_student, {**FOREST, "learning_rate": 0.5}),
}
UNCONDITIONAL = ("bc", "rwdtp")
TAUGHT = ("student", "catboost_student")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Transitions of a known policy, and what a teacher that had learned it would label."""
    folder = tmp_path_factory.mktemp("data")
    path = learnable.write_transitions(folder / "transitions.parquet", episodes=EPISODES)
    table = pq.read_table(path)
    label = table.drop_columns(["reward", "episode", "step", "terminated", "truncated"])
    label = label.append_column("kind", pa.array(["recorded"] * len(table)).dictionary_encode())
    facts = json.loads(table.schema.metadata[b"d4rl_automl"])
    facts |= {"teacher": "known", "label_seconds": 2.0, "teacher_seconds": 3.0}
    pq.write_table(label.replace_schema_metadata({b"d4rl_automl": json.dumps(facts)}), folder / "labels.parquet")
    return folder


def make(data, kind, output, seed=0, **changes):
    module, settings = METHODS[kind]
    given = {"labels": str(data / "labels.parquet")} if kind in TAUGHT else {}
    settings = {"name": kind.replace("_", "-"), "kind": kind, **settings, **changes}
    if kind in TAUGHT:
        settings["teacher"] = "known"
    here = {**HERE, "seed": seed}
    module.fit(
        transitions=str(data / "transitions.parquet"),
        settings=module.Settings.model_validate(settings),
        output=str(output),
        **here,
        **given,
    )
    return loading.load_policy(output)


@pytest.mark.parametrize("kind", METHODS)
def test_learns_a_known_policy(data, tmp_path, monkeypatch, kind):
    """R² of held-out rows; without outcome, of the two dimensions that follow from the state."""
    if kind == "rvs_r":
        monkeypatch.setattr(rvs_r, "WIDTH", 64)
        monkeypatch.setattr(rvs_r, "EPOCHS", 100)
        monkeypatch.setattr(rvs_r, "BATCH_SIZE", 512)
        monkeypatch.setattr(rvs_r, "SPLITS", ("train", "validation"))
    played = make(data, kind, tmp_path / "policy-s0.json")
    rows = transitions.read(data / "transitions.parquet", splits=("test",))
    acted = played.act(rows.observations, played.outcome_rule.recorded(rows, np.random.default_rng(0)))
    dimensions = 2 if kind in UNCONDITIONAL else 3
    assert r2_score(rows.actions[:, :dimensions], acted[:, :dimensions]) >= 0.95
    assert played.outcome_rule.name == {"rcdtp": "reduced"}.get(kind, "none" if kind in UNCONDITIONAL else "constant")

    training = played.metadata["training"]
    assert training["fit_seconds"] > 0
    assert training["rows"] == EPISODES * learnable.LENGTH * (0.8 if kind == "rvs_r" else 0.6)
    if kind in TAUGHT:
        assert (training["label_seconds"], training["teacher_seconds"]) == (2.0, 3.0)
    curve = pd.read_csv(tmp_path / "policy-s0.curve.csv")
    assert set(curve["method"]) == {kind.replace("_", "-")} and set(curve["dataset"]) == {"hopper-known"}
    assert curve["update"].is_monotonic_increasing
    assert curve["training_loss"].iloc[-1] < curve["training_loss"].iloc[0]
    assert curve["validation_loss"].isna().all() == (kind == "rvs_r")
    # Nothing else is left, no checkpoint and no half-written file.
    endings = {"rcdtp": ".ubj", "rwdtp": ".ubj", "catboost_student": ".cbm"}
    left = {"policy-s0.json", "policy-s0.curve.csv", f"policy-s0{endings.get(kind, '.onnx')}"}
    left |= {"policy-s0.importance.csv"} if kind in endings else set()
    assert {path.name for path in tmp_path.iterdir()} == left


@pytest.mark.parametrize("kind", ["rvs", "bc", "rcdtp", "rwdtp"])
def test_rows_are_drawn_by_the_seed(data, tmp_path, kind):
    """The same seed the same policy, another seed another; as many rows as are asked for."""
    short = {"updates": 20} if kind in ("rvs", "bc") else {"trees": 3}
    ending = ".onnx" if kind in ("rvs", "bc") else ".ubj"
    content = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        played = make(data, kind, tmp_path / f"{name}.json", seed, rows=500, **short)
        assert played.metadata["training"]["rows"] == 500
        content.append((tmp_path / f"{name}{ending}").read_bytes())
    assert content[0] == content[1] != content[2]


def test_importance_finds_the_inputs_that_matter(data, tmp_path):
    make(data, "rcdtp", tmp_path / "p.json")
    shares = pd.read_csv(tmp_path / "p.importance.csv").set_index("feature")["importance"]
    assert list(shares.index) == [*(f"ob{i}" for i in range(11)), "rtg", "step"]
    assert shares.sum() == pytest.approx(1)
    assert shares[["ob0", "ob1", "ob2", "rtg"]].sum() > 0.9
    make(data, "catboost_student", tmp_path / "c.json")
    shares = pd.read_csv(tmp_path / "c.importance.csv").set_index("feature")["importance"]
    assert list(shares.index) == [*(f"ob{i}" for i in range(11)), "rtg"]
    assert shares[["ob0", "ob1", "ob2", "rtg"]].sum() > 0.9


@given(
    episodes=st.lists(st.tuples(st.integers(1, 1000), st.integers(-3, 3)), min_size=1, max_size=60),
    share=st.floats(0.001, 0.999),
)
def test_the_best_episodes_are_those_of_the_decision_transformer(episodes, share):
    """Against the rule told one episode at a time."""
    lengths, returns = (np.array(values) for values in zip(*episodes, strict=True))
    budget = max(int(share * lengths.sum()), 1)
    # Of equal returns the later first.
    ranking = sorted(range(len(lengths)), key=lambda i: (returns[i], i), reverse=True)
    kept, total = [ranking[0]], lengths[ranking[0]]
    for i in ranking[1:]:
        if total + lengths[i] >= budget:
            break
        kept.append(i)
        total += lengths[i]
    assert bc.best_episodes(lengths, returns, share).tolist() == kept
    assert bc.best_episodes(lengths, returns, 1).tolist() == ranking
    # No episode that is left out is better than one that is kept.
    left = np.setdiff1d(np.arange(len(lengths)), kept)
    assert not len(left) or returns[left].max() <= returns[kept].min()


def test_percent_bc_reads_the_best_episodes_alone(data, tmp_path):
    """The network learns what those episodes do: their actions are replaced by a constant, by which it is known."""
    table = pq.read_table(data / "transitions.parquet").to_pandas()
    training = table[table["split"] == "train"]
    returns = training.groupby("episode")["reward"].sum().sort_values(ascending=False)
    best = returns.index[:5]  # of 60 episodes of one length, a tenth is 6, less the one that would reach it
    table.loc[table["episode"].isin(best), ["ac0", "ac1", "ac2"]] = 0.5
    changed = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(
        pq.read_schema(data / "transitions.parquet").metadata
    )
    index = changed.column_names.index("split")
    changed = changed.set_column(
        index, "split", changed["split"].combine_chunks().cast(pa.string()).dictionary_encode()
    )
    pq.write_table(changed, tmp_path / "transitions.parquet")
    played = make(tmp_path, "bc", tmp_path / "bc.json", best=0.1)
    assert played.metadata["training"]["rows"] == 5 * learnable.LENGTH
    assert played.metadata["training"]["episodes"] == 5
    assert np.abs(played.act(training[[f"ob{i}" for i in range(11)]].to_numpy()[:1000]) - 0.5).max() < 0.05


def test_rvs_r_keeps_whole_episodes_in_one_random_order(data):
    rows = transitions.read(data / "transitions.parquet", splits=rvs_r.SPLITS)
    orders = {seed: rvs_r.order_of_rows(rows.episodes, seed) for seed in (0, 1)}
    for order in orders.values():
        assert np.array_equal(np.sort(order), np.arange(len(rows.actions)))
        assert np.array_equal(rows.steps[order], np.tile(np.arange(learnable.LENGTH), EPISODES))
        assert (np.diff(rows.episodes[order]) != 0).sum() == EPISODES - 1
    assert not np.array_equal(orders[0], orders[1])


def test_rvs_r_is_not_judged_on_rows_it_was_trained_on(data, tmp_path, monkeypatch):
    monkeypatch.setattr(rvs_r, "WIDTH", 8)
    monkeypatch.setattr(rvs_r, "EPOCHS", 1)
    paths = [tmp_path / "rvs-r.json", tmp_path / "rcdtp.json"]
    for path, changes in zip(paths, ({}, {"trees": 2}), strict=True):
        make(data, path.stem.replace("-", "_"), path, **changes)
    comparison.compare(
        transitions=data / "transitions.parquet", policies=paths, threads=1, output=tmp_path / "students.csv"
    )
    table = pd.read_csv(tmp_path / "students.csv").set_index("method")
    assert table.loc["rvs-r", ["l2_data", "r2_data"]].isna().all()
    assert table.loc["rcdtp", ["l2_data", "r2_data"]].notna().all()
    assert table.loc["rcdtp", "bytes"] == (tmp_path / "rcdtp.ubj").stat().st_size


def test_weights_are_normalised_returns_to_a_power():
    returns = np.array([-5.0, 0.0, 5.0, 20.0])
    np.testing.assert_allclose(rwdtp.weights(returns, (0.0, 10.0), 2), [0, 0, 0.25, 1])
    np.testing.assert_array_equal(rwdtp.weights(returns, (3.0, 3.0), 2), np.ones(4))
    np.testing.assert_array_equal(rwdtp.weights(returns, (0.0, 10.0), 0), np.ones(4))


def test_rwdtp_follows_the_transitions_of_high_return(tmp_path):
    """In every state two actions were recorded, the one with a high return from there on, the other with a low one."""
    path = learnable.write_transitions(tmp_path / "transitions.parquet")
    table = pq.read_table(path)
    frame = table.to_pandas()
    high = np.random.default_rng(0).random(len(frame)) < 0.5
    frame["rtg"] = np.where(high, 10.0, 1.0).astype(np.float32) / (learnable.LENGTH - frame["step"])
    for i in range(3):
        frame[f"ac{i}"] = np.where(high, 0.5, -0.5).astype(np.float32)
    arrays = [pa.array(frame[name]) for name in table.column_names[:-1]] + [table["split"]]
    pq.write_table(pa.table(arrays, schema=table.schema), path)
    played = make(tmp_path, "rwdtp", tmp_path / "p.json", trees=20, return_power=2)
    rows = transitions.read(path, splits=("test",))
    assert np.median(np.abs(played.act(rows.observations) - 0.5)) < 0.01


def test_outcomes_and_returns_of_recorded_episodes(tmp_path):
    """Against a loop; the average times the steps left is the sum of the rewards to come."""
    rewards = [[1.0, 2.0, 3.0], [4.0, 5.0]]
    columns = {f"ob{i}": np.zeros(5, np.float32) for i in range(11)} | {
        f"ac{i}": np.zeros(5, np.float32) for i in range(3)
    }
    rtg, undivided = [], []
    for episode in rewards:
        for t in range(len(episode)):
            undivided.append(sum(episode[t:]))
            rtg.append(undivided[-1] / (3 - t))
    columns |= {
        "rtg": np.array(rtg, np.float32),
        "reward": np.concatenate(rewards).astype(np.float32),
        "episode": np.array([0, 0, 0, 1, 1], np.int32),
        "step": np.array([0, 1, 2, 0, 1], np.int32),
        "terminated": np.array([0, 0, 1, 0, 1], bool),
        "truncated": np.zeros(5, bool),
    }
    table = pa.table({**columns, "split": pa.array(["train"] * 5).dictionary_encode()})
    facts = {"dataset": "d", "task": "hopper", "sha256": "", "longest_episode": 3}
    path = tmp_path / "transitions.parquet"
    pq.write_table(table.replace_schema_metadata({b"d4rl_automl": json.dumps(facts)}), path)
    rows = transitions.read(path)
    here = np.random.default_rng(0)
    np.testing.assert_allclose(outcomes.REDUCED.recorded(rows, here), np.column_stack([undivided, columns["step"]]))
    np.testing.assert_array_equal(outcomes.AVERAGE.recorded(rows, here), columns["rtg"][:, None])
    assert outcomes.NONE.recorded(rows, here) is None
    assert rows.visited is None
    with pytest.raises(InputError, match="hopper has no goal"):
        outcomes.GOAL.recorded(rows, here)
    found = transitions.episode_returns(path, "train")
    assert (found.episodes.tolist(), found.lengths.tolist(), found.returns.tolist()) == ([0, 1], [3, 2], [6.0, 9.0])
    assert not len(transitions.episode_returns(path, "test").episodes)
    assert transitions.read(path, episodes=[1]).steps.tolist() == [0, 1]
