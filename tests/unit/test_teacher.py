"""The teacher from training to acting. AutoGluon itself, called directly, is the oracle."""

import json
import logging
import os
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import threadpoolctl
import torch
from autogluon.tabular import TabularPredictor
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_squared_error

from d4rl_automl.core import directories, files, parquet
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.tables import read_parquet
from d4rl_automl.data import transitions as tables
from d4rl_automl.methods import autogluon_student as autogluon_student_method
from d4rl_automl.methods import teacher as teacher_method
from d4rl_automl.policies import loading
from d4rl_automl.tasks import outcomes
from d4rl_automl.teachers import distillation, evaluation, facts, importance, training
from d4rl_automl.teachers.settings import TeacherSettings
from tests.support import synthetic

OBSERVATIONS = [f"ob{i}" for i in range(11)]
SETTINGS = TeacherSettings(
    name="tiny",
    preset="medium",
    rows=800,
    time_limit=60,
    threads=1,
    chain=True,
    hyperparameters={
        "GBM": {"num_boost_round": 30, "bagging_fraction": 0.8, "bagging_freq": 1},
        "NN_TORCH": {"num_epochs": 3, "hidden_size": 32, "num_layers": 2},
    },
)
SLOW = {"NN_TORCH": {"hidden_size": 2048, "num_layers": 4, "batch_size": 16}}
METHOD = autogluon_student_method.Settings(
    name="tiny-autogluon-student",
    kind="autogluon_student",
    teacher="tiny",
    time_limit=60,
    hyperparameters={"GBM": {"num_boost_round": 30}},
)


@pytest.fixture(scope="module")
def transitions(tmp_path_factory):
    """30 episodes of 40 steps; each action dimension depends on the one before it."""
    generator = np.random.default_rng(0)
    count, length = 30, 40
    rows = count * length
    observations = generator.standard_normal((rows, 11)).astype(np.float32)
    rtg = generator.uniform(0, 3, rows).astype(np.float32)
    actions = np.empty((rows, 3), np.float32)
    actions[:, 0] = np.tanh(observations[:, 0] + 0.3 * generator.standard_normal(rows))
    actions[:, 1] = np.tanh(actions[:, 0] - 0.5 * observations[:, 1])
    actions[:, 2] = np.tanh(actions[:, 1] + rtg - 1.5)
    episode = np.repeat(np.arange(count, dtype=np.int32), length)
    split = np.array(["train", "train", "train", "validation", "test"])[episode % 5]
    columns = {f"ob{i}": observations[:, i] for i in range(11)} | {f"ac{i}": actions[:, i] for i in range(3)}
    columns |= {
        "rtg": rtg,
        "reward": rtg,
        "episode": episode,
        "step": np.tile(np.arange(length, dtype=np.int32), count),
    }
    columns["terminated"] = columns["step"] == length - 1
    columns["truncated"] = np.zeros(rows, bool)
    table = pa.table(columns).append_column("split", pa.array(split).dictionary_encode())
    metadata = {"dataset": "hopper-tiny", "provider": "file", "task": "hopper", "sha256": "0" * 64}
    path = tmp_path_factory.mktemp("data") / "transitions.parquet"
    parquet.write(table, path, metadata)
    return path


def train(transitions, folder, dimension=0, seed=0, device="cpu", **settings):
    training.train_dimension(
        transitions=transitions,
        dimension=dimension,
        # Unchecked, so that what the config would refuse comes as far as AutoGluon.
        settings=SETTINGS.model_copy(update=settings),
        seed=seed,
        device=device,
        threads=1,
        predictor=folder / f"ac{dimension}",
        deployed=folder / "deployed" / f"ac{dimension}",
        metrics=folder / f"ac{dimension}.csv",
        leaderboard=folder / f"ac{dimension}.leaderboard.csv",
    )


@pytest.fixture(scope="module")
def trained(transitions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teachers") / "tiny-s0"
    for dimension in range(3):
        train(transitions, folder, dimension)
    return folder


@pytest.fixture(scope="module")
def evaluated(transitions, trained):
    evaluation.evaluate(
        transitions=transitions,
        deployed=[trained / "deployed" / f"ac{i}" for i in range(3)],
        metrics_in=[trained / f"ac{i}.csv" for i in range(3)],
        threads=1,
        metrics=trained / "metrics.csv",
        predictions=trained / "predictions.parquet",
    )
    return trained


@pytest.fixture(scope="module")
def handle(transitions, trained):
    """The teacher's handle, where the workflow puts it."""
    path = trained.parent / "policies" / "tiny-s0.json"
    teacher_method.fit(
        transitions=str(transitions),
        settings=teacher_method.Settings(name="tiny", kind="teacher", teacher="tiny"),
        seed=0,
        device="cpu",
        threads=1,
        output=str(path),
        deployed=[str(trained / "deployed" / f"ac{i}") for i in range(3)],
    )
    return path


def rows_of(transitions, split):
    table = pd.read_parquet(transitions)
    return table[table.split == split].reset_index(drop=True)


def to_action(target):
    return np.clip(np.tanh(target) / 0.995, -1, 1)


def acted(directories, rows, chain=True):
    """What AutoGluon answers when each dimension is fed the answers before it."""
    table = rows[[*OBSERVATIONS, "rtg"]].copy()
    for i, directory in enumerate(directories):
        read = table if chain else table[[*OBSERVATIONS, "rtg"]]
        table[f"ac{i}"] = to_action(TabularPredictor.load(str(directory)).predict(read)).astype(np.float32)
    return table[[f"ac{i}" for i in range(len(directories))]].to_numpy()


def test_metrics_are_the_loss_of_the_trained_directory(transitions, trained):
    test = rows_of(transitions, "test")
    for dimension in range(3):
        row = pd.read_csv(trained / f"ac{dimension}.csv").iloc[0]
        assert ",".join(row.index) == (
            "dataset,teacher,seed,dimension,preset,chain,device,threads,budget,train_rows,fit_seconds,best_model,mse,rmse,"
            "doubts"
        )
        assert (row.threads, row.budget) == (1, 60) and np.isnan(row.doubts)
        assert (row.dataset, row.teacher, row.dimension, row.device) == ("hopper-tiny", "tiny", dimension, "cpu")
        assert row.train_rows == len(rows_of(transitions, "train"))
        # The recorded earlier actions are among the columns of `test`.
        predicted = to_action(TabularPredictor.load(str(trained / f"ac{dimension}")).predict(test))
        assert row.mse == pytest.approx(mean_squared_error(test[f"ac{dimension}"], predicted), rel=1e-6)
        assert row.rmse == pytest.approx(np.sqrt(row.mse))
        assert row.rmse < 0.6 * test[f"ac{dimension}"].std()


def test_the_leaderboard_has_every_model_with_its_error_in_action_units(trained):
    board = pd.read_csv(trained / "ac1.leaderboard.csv").set_index("model")
    assert {"LightGBM", "NeuralNetTorch"} <= set(board.index)
    row = pd.read_csv(trained / "ac1.csv").iloc[0]
    assert board.rmse_action[row.best_model] == pytest.approx(row.rmse, rel=1e-5)


def test_directories_say_how_they_were_trained(trained, tmp_path):
    for dimension in range(3):
        for directory in (trained / f"ac{dimension}", trained / "deployed" / f"ac{dimension}"):
            assert facts.taught_by(directory) == SETTINGS
            said = json.loads((directory / facts.TRAINING_FILE).read_text())
            row = pd.read_csv(trained / f"ac{dimension}.csv").iloc[0]
            assert (said["fit_seconds"], said["train_rows"]) == (row.fit_seconds, row.train_rows)
    with pytest.raises(InputError, match="does not exist; run snakemake again"):
        facts.taught_by(tmp_path / "ac0")
    shutil.copytree(trained, tmp_path / "tiny-s0")
    directory = tmp_path / "tiny-s0/deployed/ac0"
    (directory / facts.TRAINING_FILE).write_text('{"fit_seconds": 1}')
    with pytest.raises(InputError, match=rf"changed, added or lost .* delete {directory} and run snakemake again"):
        facts.taught_by(directory)
    directories.record(directory)
    with pytest.raises(InputError, match=r"training\.json: the key 'train_rows' is missing"):
        facts.taught_by(directory)


def test_directories_load_where_they_were_moved_to_without_a_warning(trained, caplog):
    with caplog.at_level(logging.WARNING):
        for directory in (trained / "ac0", trained / "deployed" / "ac0"):
            assert TabularPredictor.load(str(directory), verbosity=2).path == str(directory)
    assert not caplog.records
    assert not list(trained.rglob(".*"))


def test_features_are_the_chain_or_not(transitions, trained, tmp_path):
    assert TabularPredictor.load(str(trained / "ac2")).original_features == [*OBSERVATIONS, "rtg", "ac0", "ac1"]
    train(transitions, tmp_path, dimension=2, chain=False, hyperparameters={"GBM": {"num_boost_round": 2}})
    assert TabularPredictor.load(str(tmp_path / "ac2")).original_features == [*OBSERVATIONS, "rtg"]


def test_evaluation_measures_the_teacher_as_it_acts(transitions, evaluated):
    test = rows_of(transitions, "test")
    recorded = test[["ac0", "ac1", "ac2"]].to_numpy()
    expected = acted([evaluated / "deployed" / f"ac{i}" for i in range(3)], test)
    table = pd.read_csv(evaluated / "metrics.csv")
    np.testing.assert_allclose(table.acting_mse, ((expected - recorded) ** 2).mean(0), rtol=1e-4)
    np.testing.assert_allclose(table.acting_rmse**2, table.acting_mse)
    # The first dimension has no earlier action; the others pay for theirs being predicted.
    assert table.acting_mse[0] == pytest.approx(table.mse[0], rel=1e-4)
    assert (table.acting_mse > table.mse)[1:].all()
    predictions = pd.read_parquet(evaluated / "predictions.parquet")
    assert list(predictions) == [*(f"ac{i}" for i in range(3)), *(f"predicted_ac{i}" for i in range(3))]
    np.testing.assert_allclose(predictions[[f"predicted_ac{i}" for i in range(3)]], expected, atol=1e-5)
    np.testing.assert_array_equal(predictions[["ac0", "ac1", "ac2"]], recorded)


def test_a_changed_prediction_is_refused(evaluated, tmp_path):
    damaged = synthetic.flip_value(evaluated / "predictions.parquet", tmp_path / "predictions.parquet")
    with pytest.raises(InputError, match=r"predictions\.parquet: cannot be read as Parquet"):
        read_parquet(damaged, ["ac0"])


def test_importance_finds_what_each_dimension_follows(transitions, trained, tmp_path):
    """The first dimension follows the first observation, every other one the dimension before it."""
    tables_made = []
    for name in ("a.csv", "b.csv"):
        importance.measure(
            transitions=transitions,
            deployed=[trained / "deployed" / f"ac{i}" for i in range(3)],
            seed=0,
            threads=1,
            output=tmp_path / name,
        )
        tables_made.append((tmp_path / name).read_bytes())
    assert tables_made[0] == tables_made[1]
    table = pd.read_csv(tmp_path / "a.csv")
    assert set(table.dataset) == {"hopper-tiny"} and set(table.model) == {"tiny"} and set(table.seed) == {0}
    for dimension, expected in enumerate(({"ob0"}, {"ac0", "ob1"}, {"ac1", "rtg"})):
        own = table[table.output == f"ac{dimension}"].set_index("feature").importance
        assert list(own.index) == [*OBSERVATIONS, "rtg", *(f"ac{i}" for i in range(dimension))]
        assert own.sum() == pytest.approx(1) and (own >= 0).all()
        assert set(own.nlargest(len(expected)).index) == expected


@pytest.mark.parametrize("chain", [True, False])
def test_a_chain_that_is_off_is_off_from_training_to_acting(transitions, tmp_path, chain):
    """Acting as trained: without the chain no dimension hears of another; with it the answers before it count."""
    for dimension in range(3):
        train(transitions, tmp_path / "t", dimension, chain=chain, hyperparameters={"GBM": {"num_boost_round": 30}})
    deployed = [tmp_path / "t" / "deployed" / f"ac{i}" for i in range(3)]
    path = tmp_path / "policies" / "tiny-s0.json"
    teacher_method.fit(
        transitions=str(transitions),
        settings=teacher_method.Settings(name="tiny", kind="teacher", teacher="tiny"),
        seed=0,
        device="cpu",
        threads=1,
        output=str(path),
        deployed=[str(directory) for directory in deployed],
    )
    rows = rows_of(transitions, "test")
    actions = loading.load_policy(path).act(rows[OBSERVATIONS], rows[["rtg"]])
    np.testing.assert_allclose(actions, acted(deployed, rows, chain), atol=1e-5)
    importance.measure(transitions=transitions, deployed=deployed, seed=0, threads=1, output=tmp_path / "i.csv")
    assert set(pd.read_csv(tmp_path / "i.csv").feature) == {*OBSERVATIONS, "rtg", *(["ac0", "ac1"] if chain else [])}


def test_acting_keeps_to_its_threads_and_leaves_the_process_as_it_is(handle, monkeypatch):
    def threads():
        return torch.get_num_threads(), {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}

    seen = []

    def watched(predict):
        def watching(*given, **named):
            seen.append(threads())
            return predict(*given, **named)

        return watching

    with threadpoolctl.threadpool_limits(2):
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        environment = dict(os.environ)
        loaded = loading.load_policy(handle, threads=1)
        for predictor in loaded.predictors.predictors:
            monkeypatch.setattr(predictor, "predict", watched(predictor.predict))
        loaded.act(np.zeros((5, len(OBSERVATIONS))), np.ones((5, 1)))
        assert threads() == (2, {2}) and dict(os.environ) == environment
        torch.set_num_threads(before)
    assert seen == [(1, {1})] * 3


def test_the_policy_acts_as_the_predictors_do(transitions, trained, handle):
    rows = rows_of(transitions, "test").head(50)
    loaded = loading.load_policy(handle)
    actions = loaded.act(rows[OBSERVATIONS], rows[["rtg"]])
    assert actions.dtype == np.float32
    assert loaded.outcome_rule is outcomes.AVERAGE
    directories = [trained / "deployed" / f"ac{i}" for i in range(3)]
    np.testing.assert_allclose(actions, acted(directories, rows), atol=1e-5)
    assert loaded.metadata["training"]["fit_seconds"] == pytest.approx(
        sum(pd.read_csv(trained / f"ac{i}.csv").fit_seconds[0] for i in range(3)), abs=0.01
    )


def test_the_policy_refuses_directories_that_are_not_the_ones_it_was_made_for(trained, handle, tmp_path):
    shutil.copytree(trained, tmp_path / "tiny-s0")
    (tmp_path / "policies").mkdir()
    copied = shutil.copy(handle, tmp_path / "policies")
    loading.load_policy(copied)
    learner = tmp_path / "tiny-s0" / "deployed" / "ac1" / "learner.pkl"
    learner.write_bytes(learner.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"deployed/ac1: its files have the SHA-256 .*, but .*/ac1\.sha256 says"):
        loading.load_policy(copied)
    checksum = learner.parents[1] / "ac1.sha256"
    before = checksum.read_text()
    directories.record(learner.parent)
    with pytest.raises(InputError, match=r"tiny-s0\.json: directory_sha256: .*deployed/ac1 is another one since"):
        loading.load_policy(copied)
    checksum.write_text(before)
    shutil.rmtree(learner.parent)
    with pytest.raises(InputError, match=r"deployed/ac1: does not exist"):
        loading.load_policy(copied)


def test_predicting_leaves_directories_as_they_were_recorded(transitions, trained, tmp_path):
    """AutoGluon may write into a directory that it has loaded; nothing that is done with these makes it."""
    shutil.copytree(trained, tmp_path / "tiny-s0")
    rows = rows_of(transitions, "test")
    for folder in (tmp_path / "tiny-s0", tmp_path / "tiny-s0" / "deployed"):
        predictor = TabularPredictor.load(str(folder / "ac0"))
        predictor.persist(max_memory=None)
        predictor.predict(rows)
        predictor.leaderboard(pd.DataFrame(training.training_data(transitions, 0, SETTINGS, 0)[1]))
        predictor.feature_importance(
            pd.DataFrame(training.training_data(transitions, 0, SETTINGS, 0)[1]), num_shuffle_sets=1, silent=True
        )
        directories.check(folder / "ac0")


def test_distillation_makes_a_small_policy_and_leaves_the_teacher_alone(transitions, trained, tmp_path):
    before = files.sha256(trained / "ac0")
    for dimension in range(3):
        distillation.distill_dimension(
            transitions=transitions,
            predictor=trained / f"ac{dimension}",
            dimension=dimension,
            settings=METHOD,
            seed=0,
            device="cpu",
            threads=1,
            output=tmp_path / f"distilled/ac{dimension}",
        )
    assert files.sha256(trained / "ac0") == before
    directories = [tmp_path / f"distilled/ac{i}" for i in range(3)]
    assert TabularPredictor.load(str(directories[0])).model_names() == ["LightGBM_DSTL"]
    # Who was distilled stands in the directory, for whoever plays it.
    assert [facts.taught_by(directory) for directory in directories] == [SETTINGS] * 3
    path = tmp_path / "policies" / "student-s0.json"
    autogluon_student_method.fit(
        transitions=str(transitions),
        settings=METHOD,
        seed=0,
        device="cpu",
        threads=1,
        output=str(path),
        deployed=list(map(str, directories)),
    )
    rows = rows_of(transitions, "test")
    actions = loading.load_policy(path).act(rows[OBSERVATIONS], rows[["rtg"]])
    taught = acted([trained / "deployed" / f"ac{i}" for i in range(3)], rows)
    assert (((actions - taught) ** 2).mean(0) < 0.2 * taught.var(0)).all()


def test_the_seed_decides_the_predictor(transitions, tmp_path):
    rows = rows_of(transitions, "test")
    predicted = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        train(transitions, tmp_path / name, seed=seed)
        predicted.append(TabularPredictor.load(str(tmp_path / name / "ac0")).predict_multi(rows))
    first, again, other = predicted
    for model in ("LightGBM", "NeuralNetTorch", "WeightedEnsemble_L2"):
        np.testing.assert_array_equal(first[model], again[model])
        assert not np.allclose(first[model], other[model])


@pytest.fixture(scope="module")
def bagged(transitions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bagged")
    train(transitions, folder, preset="good", hyperparameters={"GBM": {"num_boost_round": 3}})
    return folder / "ac0"


def test_a_bagging_preset_takes_the_validation_episodes_as_holdout(transitions, bagged):
    predictor = TabularPredictor.load(str(bagged))
    assert predictor.model_names()[0] == "LightGBM_BAG_L1"
    assert training.FOLD not in predictor.original_features
    board = predictor.leaderboard(pd.DataFrame(training.training_data(transitions, 0, SETTINGS, 0)[1]))
    # Scored on the validation episodes, not on the folds.
    row = board.set_index("model").loc["LightGBM_BAG_L1"]
    assert row.score_val == pytest.approx(row.score_test)


def test_a_bagging_preset_has_no_episode_on_both_sides_of_a_fold(transitions, bagged, tmp_path):
    """The rows that AutoGluon itself puts on either side; and such a teacher can be distilled."""
    bag = TabularPredictor.load(str(bagged))._trainer.load_model("LightGBM_BAG_L1")
    drawn = tables.read(transitions, splits=("train",), limit=SETTINGS.rows, seed=0)
    features = pd.DataFrame(drawn.observations)
    (splitter,) = bag._cv_splitters
    splits = list(splitter.split(X=features, y=pd.Series(drawn.actions[:, 0])))
    assert len(splits) == len(bag.models) == training.FOLDS
    held_out = []
    for inside, outside in splits:
        assert not set(drawn.episodes[inside]) & set(drawn.episodes[outside])
        held_out += [*outside]
    assert sorted(held_out) == list(range(len(drawn.episodes)))
    distillation.distill_dimension(
        transitions=transitions,
        predictor=bagged,
        dimension=0,
        settings=METHOD,
        seed=0,
        device="cpu",
        threads=1,
        output=tmp_path / "distilled",
    )
    assert TabularPredictor.load(str(tmp_path / "distilled")).model_names() == ["LightGBM_DSTL"]


@given(st.lists(st.integers(1, 50), min_size=2, max_size=40), st.integers(0, 9))
def test_folds_are_whole_episodes_of_about_as_many_rows(sizes, seed):
    episodes = np.repeat(np.arange(len(sizes), dtype=np.int32) * 3, sizes)
    folds = training.folds_of(episodes, seed)
    assert set(folds) == set(range(min(training.FOLDS, len(sizes))))
    assert all(len(set(folds[episodes == episode])) == 1 for episode in set(episodes))
    counts = np.bincount(folds)
    assert counts.max() - counts.min() <= max(sizes)


@pytest.mark.parametrize("preset", ["medium", "good", "high", "best"])
def test_every_model_of_a_preset_gets_the_seed(preset):
    seeded = training.with_seed(training.preset_hyperparameters(preset), 7)
    assert seeded
    for name, entries in seeded.items():
        for entry in entries:
            assert 7 in entry.values(), name


def test_a_model_that_goes_on_for_ever_leaves_the_others_their_turn(transitions, tmp_path, caplog):
    endless = {"num_boost_round": 1_000_000, "learning_rate": 1e-6, "ag.early_stop": None}
    families = {"GBM": endless, "XGB": {"n_estimators": 5}, **SLOW}
    train(transitions, tmp_path, time_limit=6, hyperparameters=families)
    board = pd.read_csv(tmp_path / "ac0.leaderboard.csv").set_index("model")
    assert list(board.family[["LightGBM", "XGBoost", "NeuralNetTorch"]]) == ["GBM", "XGB", "NN_TORCH"]
    assert list(board.status[["LightGBM", "XGBoost"]]) == ["fitted"] * 2
    assert board.fit_time["LightGBM"] < 6
    told = "AutoGluon fitted no model of NN_TORCH with 6 s on 1 thread: it would have taken too long"
    # A busy machine may add that its first updates took longer than was left.
    assert pd.read_csv(tmp_path / "ac0.csv").doubts[0].startswith(f"{told}.")
    assert f"Doubtful: hopper-tiny, teacher tiny, seed 0, ac0: {told}" in caplog.messages


def test_a_seed_of_the_user_is_kept():
    assert training.with_seed({"CAT": {"random_seed": 3}}, 7) == {"CAT": [{"random_seed": 3}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # Over before the first model, and within its first epoch.
        ({"time_limit": 0.001}, r"teacher 'tiny': time_limit: found 0.001 s.*raise time_limit"),
        ({"time_limit": 1, "hyperparameters": SLOW}, r"teacher 'tiny': time_limit: found 1 s.*raise time_limit"),
        # The time is there: what AutoGluon says of its models is told.
        (
            {"hyperparameters": {"RF": {"n_estimators": -1}, "XT": {"max_depth": "x"}}},
            r"teacher 'tiny': AutoGluon could fit no model to 720 rows: RandomForest \(InvalidParameterError: .*'n_esti"
            r"mators'.*ExtraTrees \(InvalidParameterError: .*'max_depth'.*other models",
        ),
        ({"hyperparameters": {"GMB": {}}}, r"hyperparameters: found the model 'GMB'; allowed: .*GBM"),
        ({"dimension": 3}, r"dimension: found 3; the dataset has the action dimensions 0 to 2"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_leaves_nothing(transitions, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(transitions, tmp_path / "out", **changes)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_distillation_without_time_is_refused(transitions, trained, tmp_path):
    with pytest.raises(InputError, match="method 'tiny-autogluon-student': time_limit: found 1 s"):
        distillation.distill_dimension(
            transitions=transitions,
            predictor=trained / "ac0",
            dimension=0,
            settings=METHOD.model_copy(update={"time_limit": 1, "hyperparameters": SLOW}),
            seed=0,
            device="cpu",
            threads=1,
            output=tmp_path / "ac0",
        )
    assert not list(tmp_path.iterdir())


class Failed:
    """A predictor whose models failed so."""

    path = "t/ac0"

    def __init__(self, **failures):
        self._failures = failures

    def model_failures(self):
        rows = [{"model": model, "exc_type": kind, "exc_str": "what it says"} for model, kind in self._failures.items()]
        return pd.DataFrame(rows)


OUT_OF_TIME = "time_limit: found 100 s, which is too short to fit any model to 7 rows"


@pytest.mark.parametrize(
    ("failures", "seconds", "told"),
    [
        ({"A": "TimeLimitExceeded"}, 3, OUT_OF_TIME),
        ({}, 95, OUT_OF_TIME),
        ({}, 3, "fitted no model to 7 rows after 3 of 100 s, and names no failure"),
        ({"A": "ZeroDivisionError"}, 3, r"fit no model to 7 rows: A \(ZeroDivisionError: what it says\)"),
        (
            {"A": "TimeLimitExceeded", "B": "ImportError"},
            95,
            r"A \(TimeLimitExceeded: .*, B \(ImportError: what it says\)",
        ),
        # An earlier fit's.
        ({"old": "ZeroDivisionError", "A": "TimeLimitExceeded"}, 3, OUT_OF_TIME),
    ],
)
def test_a_fit_without_models_says_what_is_known_of_the_cause(failures, seconds, told):
    error = training.nothing_fitted("teacher 't'", Failed(**failures), 100, seconds=seconds, rows=7, before=["old"])
    with pytest.raises(InputError, match=f"^teacher 't': .*{told}"):
        raise error
