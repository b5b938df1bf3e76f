"""Small and flat data: every kind of method makes a policy of them, and what comes after copes with empty cells."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from d4rl_automl.core.errors import InputError
from d4rl_automl.data import making, transitions
from d4rl_automl.evaluation import comparison
from d4rl_automl.figures import curves, l2
from d4rl_automl.figures import importance as importance_figure
from d4rl_automl.methods import autogluon_student, bc, catboost_student, mlp, rcdtp, rvs, rvs_r, rwdtp, student, teacher
from d4rl_automl.policies import loading
from d4rl_automl.teachers import distillation, evaluation, importance, labels, training
from d4rl_automl.teachers.settings import TeacherSettings
from tests.support.datasets import store, write_provenance

HERE = {"seed": 0, "device": "cpu", "threads": 1}
NETWORK = {"network": {"width": 8}, "updates": 20}
FOREST = {"trees": 2, "depth": 3}
MODULES = {
    mlp: NETWORK,
    rvs: NETWORK,
    bc: {**NETWORK, "best": 0.5},
    rvs_r: {},
    rcdtp: FOREST,
    rwdtp: FOREST,
    student: {**NETWORK, "teacher": "t"},
    catboost_student: {**FOREST, "teacher": "t"},
}
SPLIT = {"seed": 0, "validation": 0.2, "test": 0.2}
NOTHING_HELD_OUT = {"seed": 0, "validation": 0, "test": 0}


def made(folder, lengths, split=SPLIT, **changes):
    """The transitions table of finished episodes of noise, of those lengths, with other arrays where they are given."""
    rng = np.random.default_rng(0)
    rows = sum(lengths)
    content = {
        "observations": rng.standard_normal((rows, 11)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (rows, 3)).astype(np.float32),
        "rewards": rng.uniform(0, 3, rows).astype(np.float32),
        "terminals": np.isin(np.arange(rows), np.cumsum(lengths) - 1),
        "timeouts": np.zeros(rows, bool),
    }
    store(folder / "raw.hdf5", content | {name: np.float32(values) for name, values in changes.items()})
    write_provenance(folder)
    path = folder / "transitions.parquet"
    making.make_transitions(
        folder / "raw.hdf5", folder / "raw.json", split, output=path, episodes_output=folder / "episodes.parquet"
    )
    return path


def labelled(path):
    """A teacher's labels: what was recorded."""
    table = pq.read_table(path)
    label = table.drop_columns(["reward", "episode", "step", "terminated", "truncated"])
    label = label.append_column("kind", pa.array(["recorded"] * len(table)).dictionary_encode())
    facts = json.loads(table.schema.metadata[b"d4rl_automl"]) | {"teacher": "t"}
    facts |= {"label_seconds": 0.0, "teacher_seconds": 0.0}
    output = path.with_name("labels.parquet")
    pq.write_table(label.replace_schema_metadata({b"d4rl_automl": json.dumps(facts)}), output)
    return output


def fit(module, path, **given):
    """A policy's handle, loaded and found to act within bounds."""
    kind = module.METHOD.kind
    settings = {"name": kind.replace("_", "-"), "kind": kind, **MODULES.get(module, {"teacher": "t"})}
    output = path.with_name(f"{kind}-s0.json")
    # As settings.Needs.LABELS has it.
    inputs = given or ({"labels": str(labelled(path))} if "teacher" in settings else {})
    module.fit(
        transitions=str(path), settings=module.Settings.model_validate(settings), output=str(output), **HERE, **inputs
    )
    policy = loading.load_policy(output)
    rows = transitions.read(path)
    assert (
        np.abs(policy.act(rows.observations, policy.outcome_rule.recorded(rows, np.random.default_rng(0)))).max() <= 1
    )
    return output


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(comparison, "SECONDS", 0.01)
    for name, value in (("WIDTH", 8), ("EPOCHS", 2)):
        monkeypatch.setattr(rvs_r, name, value)


def noise(*shape):
    return np.random.default_rng(1).standard_normal(shape)


FLAT = {
    "one constant action": ([20] * 10, {"actions": np.clip(noise(200, 3), -1, 1) * [1, 0, 1] + [0, 0.25, 0]}),
    "constant actions": ([20] * 10, {"actions": np.tile([0.25, -1, 1], (200, 1))}),
    "actions at their bounds": ([20] * 10, {"actions": np.sign(noise(200, 3))}),
    "constant observations": ([20] * 10, {"observations": np.full((200, 11), 0.5)}),
    "equal rewards": ([20] * 10, {"rewards": np.ones(200)}),
    "sixty rows": ([20] * 3, {}),
    "one test row": ([30, 1, 30], {}),
}


@pytest.mark.parametrize("name", FLAT)
def test_every_method_makes_a_policy_and_the_comparison_copes(tmp_path, quick, name):
    lengths, changes = FLAT[name]
    # With this seed the second of three episodes is the one that is tested.
    path = made(tmp_path, lengths, {**SPLIT, "seed": 3 if name == "one test row" else 0}, **changes)
    handles = [fit(module, path) for module in MODULES]
    comparison.compare(transitions=path, policies=handles, threads=1, output=tmp_path / "students.csv")
    table = pd.read_csv(tmp_path / "students.csv").set_index("method")
    judged = table.drop("rvs-r")
    assert judged["l2_data"].notna().all() and table.loc["rvs-r", ["l2_data", "r2_data"]].isna().all()
    unexplained = name in ("constant actions", "one test row")
    assert judged["r2_data"].isna().all() == unexplained == judged["r2_data"].isna().any()
    if "constant action" in name:
        # What never changes is learned.
        assert table.loc[["rcdtp", "rwdtp", "catboost-student"], "l2_data_ac1"].max() < 1e-6
    if name == "one test row":
        assert len(transitions.read(path, splits=("test",)).rtg) == 1
    for module in (rcdtp, catboost_student):
        shares = pd.read_csv(tmp_path / f"{module.METHOD.kind}-s0.importance.csv")["importance"]
        assert shares.sum() == pytest.approx(0 if name == "constant actions" else 1)


def test_figures_cope_with_what_is_constant(tmp_path, quick):
    path = made(tmp_path, *FLAT["constant actions"][:1], **FLAT["constant actions"][1])
    handles = [fit(module, path) for module in (mlp, rcdtp)]
    comparison.compare(transitions=path, policies=handles, threads=1, output=tmp_path / "students.csv")
    l2.plot("some-hopper", "file", [], tmp_path / "students.csv", tmp_path / "l2")
    curves.plot([handle.with_suffix(".curve.csv") for handle in handles], tmp_path / "curves")
    importance_figure.plot([tmp_path / "rcdtp-s0.importance.csv"], tmp_path / "importance")
    assert {"l2.png", "curves.png", "importance.png"} <= {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize("lengths", [[50, 50], [60]])
def test_demonstrations_of_which_none_is_held_out(tmp_path, quick, lengths):
    """A loss on held-out transitions is left out everywhere; the speed is measured all the same."""
    path = made(tmp_path, lengths, NOTHING_HELD_OUT)
    needing = {mlp, student, catboost_student}
    handles = [fit(module, path) for module in MODULES if module not in needing]
    assert [json.loads(handle.read_text())["training"]["rows"] for handle in handles] == [
        sum(lengths) if module is not bc else lengths[0] for module in MODULES if module not in needing
    ]
    comparison.compare(transitions=path, policies=handles, threads=1, output=tmp_path / "students.csv")
    table = pd.read_csv(tmp_path / "students.csv")
    assert table.filter(regex="^(l2|r2)_").isna().all(axis=None) and (table["rows_per_second"] > 0).all()
    told = json.loads((tmp_path / "rcdtp-s0.json").read_text())["training"]
    assert told["validation_loss"] is None
    assert pd.read_csv(tmp_path / "rcdtp-s0.curve.csv")["validation_loss"].isna().all()
    l2.plot("some-hopper", "file", [], tmp_path / "students.csv", tmp_path / "l2")
    assert pd.read_csv(tmp_path / "l2.csv").empty and (tmp_path / "l2.png").is_file()
    with pytest.raises(InputError, match=r"no validation rows.*let split\.validation hold"):
        fit(mlp, path)


def test_what_catboost_cannot_split_is_refused(tmp_path):
    path = made(tmp_path, [20] * 10, observations=np.full((200, 11), 0.5), rewards=np.zeros(200))
    with pytest.raises(InputError, match="every input has one and the same value in all 120 rows"):
        fit(catboost_student, path)


NETWORKS = {"NN_TORCH": {"num_epochs": 1, "batch_size": 2048, "hidden_size": 16, "num_layers": 1}}
TEACHER = TeacherSettings(name="t", preset="medium", time_limit=600, hyperparameters=NETWORKS)


def test_a_teacher_of_few_and_flat_rows(tmp_path, quick, caplog):
    """A bang-bang action, a constant one and noise, 160 rows for networks whose batches are of 2,048."""
    actions = np.clip(noise(200, 3), -1, 1)
    actions[:, 0], actions[:, 1] = np.sign(actions[:, 0]), 0.25
    path = made(tmp_path, [10] * 20, {"seed": 0, "validation": 0.1, "test": 0.1}, actions=actions)
    deployed = [tmp_path / f"t/deployed/ac{i}" for i in range(3)]
    for i, directory in enumerate(deployed):
        training.train_dimension(
            transitions=path,
            dimension=i,
            settings=TEACHER,
            **HERE,
            predictor=tmp_path / f"t/ac{i}",
            deployed=directory,
            metrics=tmp_path / f"t/ac{i}.csv",
            leaderboard=tmp_path / f"t/ac{i}.leaderboard.csv",
        )
    assert "batch_size: found 2048 for 160 rows: it is 160" in caplog.text
    assert "never changes in 160 rows: a constant is fitted" in caplog.text
    evaluation.evaluate(
        transitions=path,
        deployed=deployed,
        metrics_in=[tmp_path / f"t/ac{i}.csv" for i in range(3)],
        threads=1,
        metrics=tmp_path / "metrics.csv",
        predictions=tmp_path / "predictions.parquet",
    )
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    assert metrics["acting_rmse"][1] < 1e-6 and metrics["acting_rmse"].notna().all()

    importance.measure(transitions=path, deployed=deployed, seed=0, threads=1, output=tmp_path / "importance.csv")
    shares = pd.read_csv(tmp_path / "importance.csv").groupby("output")["importance"].sum()
    assert shares["ac1"] == 0 and shares["ac2"] == pytest.approx(1)

    # The graph is compared with AutoGluon where it is made.
    output = tmp_path / "exported-s0.json"
    settings = teacher.Settings(name="exported", kind="teacher", teacher="t", export=True)
    given = {"transitions": str(path), "deployed": [str(directory) for directory in deployed], **HERE}
    teacher.fit(settings=settings, output=str(output), **given)
    rows = transitions.read(path, splits=("test",))
    np.testing.assert_allclose(loading.load_policy(output).act(rows.observations, rows.rtg[:, None])[:, 1], 0.25, 1e-6)

    mixture = labels.Mixture(100, 50, 50, 0.05)
    taught = tmp_path / "taught.parquet"
    labels.write(
        transitions=path, deployed=deployed, fractions=[1.0], mixture=mixture, seed=0, threads=1, output=taught
    )
    fit(catboost_student, path, labels=str(taught))
    settings = autogluon_student.Settings(name="d", kind="autogluon_student", teacher="t", time_limit=60)
    for i in range(2):
        output = tmp_path / f"d/ac{i}"
        distillation.distill_dimension(
            transitions=path, predictor=tmp_path / f"t/ac{i}", dimension=i, settings=settings, **HERE, output=output
        )
        assert output.is_dir()


@pytest.mark.parametrize(("first", "second", "share"), [(-1, 1, 0.5), (0, 1, 0.02), (0.25, 0.75, 0.999)])
def test_two_values_stay_numbers(first, second, share):
    """As AutoGluon itself would sort them: a third value, which is one of the two up to its last digit."""
    rng = np.random.default_rng(0)
    column = np.where(rng.random(1000) < share, np.float32(second), np.float32(first))
    table = pd.DataFrame({"ob0": rng.standard_normal(1000), "rtg": column, training.TARGET: column})
    moved = training.as_numbers(table.copy())
    assert moved["rtg"].nunique() == 3 and moved["rtg"].dtype == np.float32
    np.testing.assert_allclose(moved["rtg"], column, rtol=1e-6, atol=1e-30)
    assert 1 <= (moved["rtg"] != column).sum() <= 2 * training.MOVED
    pd.testing.assert_frame_equal(moved.drop(columns="rtg"), table.drop(columns="rtg"))
