"""Teachers of networks as ONNX graphs. AutoGluon playing the same directories, and scikit-learn, are the oracles."""

import json

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from autogluon.tabular import TabularPredictor
from sklearn.preprocessing import QuantileTransformer

from d4rl_automl.core import files, parquet
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import transitions as tables
from d4rl_automl.methods import autogluon_student
from d4rl_automl.methods import teacher as teacher_method
from d4rl_automl.policies import loading
from d4rl_automl.policies.onnx import OnnxPolicy
from d4rl_automl.policies.onnx_graph import Graph
from d4rl_automl.teachers import distillation, export, training
from d4rl_automl.teachers.settings import TeacherSettings

SMALL = {"num_epochs": 3, "hidden_size": 32, "num_layers": 2, "learning_rate": 0.003}
TEACHERS = {
    "ensemble": TeacherSettings(
        name="ensemble",
        preset="medium",
        rows=None,
        time_limit=60,
        chain=True,
        hyperparameters={
            "NN_TORCH": [SMALL, SMALL | {"activation": "elu", "use_batchnorm": True, "proc.skew_threshold": 1.5}]
        },
    ),
    "unchained": TeacherSettings(
        name="unchained",
        preset="medium",
        rows=None,
        time_limit=60,
        chain=False,
        hyperparameters={"NN_TORCH": SMALL | {"activation": "tanh"}},
    ),
}
STUDENT = autogluon_student.Settings(
    name="student",
    kind="autogluon_student",
    teacher="ensemble",
    time_limit=60,
    hyperparameters={"NN_TORCH": SMALL},
)


def make_transitions(path, two_values=False):
    """130 episodes of 40 steps: ob1, ob2, ac0 are skewed, ob2 and ac0 with ties; ob3 is constant; ob4 repeats ob0."""
    generator = np.random.default_rng(0)
    # With fewer than 1,000 validation rows AutoGluon's ensembles hold one model of a kind.
    count, length = 130, 40
    rows = count * length
    observations = generator.standard_normal((rows, 11)).astype(np.float32)
    observations[:, 1] = np.exp(observations[:, 1])
    observations[:, 2] = -np.round(np.exp(1.5 * observations[:, 2]), 1)
    observations[:, 3] = 0.5
    observations[:, 4] = observations[:, 0]
    if two_values:
        observations[:, 5] = observations[:, 5] > 0
    rtg = generator.uniform(0, 3, rows).astype(np.float32)
    actions = np.empty((rows, 3), np.float32)
    actions[:, 0] = (np.exp(1.5 * observations[:, 0] + 0.3 * rtg) / 5 - 1).clip(-1, 1)
    actions[:, 1] = np.tanh(actions[:, 0] - np.log(observations[:, 1]))
    actions[:, 2] = np.tanh(actions[:, 1] + rtg - np.log1p(-observations[:, 2]))
    episode = np.repeat(np.arange(count, dtype=np.int32), length)
    split = np.array(["train", "train", "train", "validation", "test"])[episode % 5]
    columns = {f"ob{i}": observations[:, i] for i in range(11)} | {f"ac{i}": actions[:, i] for i in range(3)}
    columns |= {"rtg": rtg, "reward": rtg, "episode": episode}
    columns["step"] = np.tile(np.arange(length, dtype=np.int32), count)
    columns["terminated"] = columns["step"] == length - 1
    columns["truncated"] = np.zeros(rows, bool)
    table = pa.table(columns).append_column("split", pa.array(split).dictionary_encode())
    metadata = {"dataset": "hopper-tiny", "provider": "file", "task": "hopper", "sha256": "0" * 64}
    parquet.write(table, path, metadata)
    return path


def train(transitions, folder, settings, dimensions=range(3)):
    for dimension in dimensions:
        training.train_dimension(
            transitions=transitions,
            dimension=dimension,
            settings=settings,
            seed=0,
            device="cpu",
            threads=1,
            predictor=folder / f"ac{dimension}",
            deployed=folder / f"deployed/ac{dimension}",
            metrics=folder / f"ac{dimension}.csv",
            leaderboard=folder / f"ac{dimension}.leaderboard.csv",
        )
    return [folder / f"deployed/ac{i}" for i in range(3)]


def make_policy(transitions, directories, output, export):
    teacher_method.fit(
        transitions=str(transitions),
        settings=teacher_method.Settings(name="played", kind="teacher", teacher="any", export=export),
        seed=0,
        device="cpu",
        threads=1,
        output=str(output),
        deployed=list(map(str, directories)),
    )
    return output


@pytest.fixture(scope="module")
def transitions(tmp_path_factory):
    return make_transitions(tmp_path_factory.mktemp("data") / "transitions.parquet")


@pytest.fixture(scope="module")
def directories(transitions, tmp_path_factory):
    """For acting: ensembles of two networks in a chain; single networks without chain; distilled single models."""
    folder = tmp_path_factory.mktemp("teachers")
    made = {name: train(transitions, folder / name, settings) for name, settings in TEACHERS.items()}
    made["distilled"] = [folder / f"distilled/ac{i}" for i in range(3)]
    for dimension, output in enumerate(made["distilled"]):
        distillation.distill_dimension(
            transitions=transitions,
            predictor=folder / f"ensemble/ac{dimension}",
            dimension=dimension,
            settings=STUDENT,
            seed=0,
            device="cpu",
            threads=1,
            output=output,
        )
    return made


@pytest.fixture(scope="module")
def played(transitions, directories, tmp_path_factory):
    """Handles of every teacher, as AutoGluon plays it and as a graph."""
    folder = tmp_path_factory.mktemp("policies")
    return {
        name: [make_policy(transitions, paths, folder / f"{name}{i}.json", export=i == 1) for i in range(2)]
        for name, paths in directories.items()
    }


@pytest.fixture(scope="module")
def loaded(played):
    return {name: list(map(loading.load_policy, handles)) for name, handles in played.items()}


def states(transitions, kind):
    """Observations and outcomes."""
    rows = tables.read(transitions, ("test",))
    observations, outcome = rows.observations, rows.rtg[:, None]
    generator = np.random.default_rng(1)
    if kind == "perturbed":
        observations = observations + 0.1 * generator.standard_normal(observations.shape)
    if kind == "far":
        observations, outcome = observations * generator.choice([-10, 10], observations.shape), 10 * outcome
    if kind == "extremes":
        train = tables.read(transitions, ("train",)).observations
        ends = np.quantile(train, generator.choice([0, 0.0005, 0.9995, 1], len(observations)), axis=0)
        observations = np.where(generator.random(observations.shape) < 0.5, ends, observations)
    if kind == "missing":
        observations = np.where(generator.random(observations.shape) < 0.1, np.nan, observations)
    return observations.astype(np.float32), outcome


def test_the_teachers_are_what_the_other_tests_mean(directories):
    predictors = {name: [TabularPredictor.load(str(path)) for path in paths] for name, paths in directories.items()}
    names = ["NeuralNetTorch", "NeuralNetTorch_2", "WeightedEnsemble_L2"]
    assert sum(p.model_names() == names for p in predictors["ensemble"]) >= 2
    assert all(p.model_names()[0] == "NeuralNetTorch" for p in predictors["unchained"])
    assert all(p.model_names() == ["NeuralNetTorch_DSTL"] for p in predictors["distilled"])
    first = predictors["ensemble"][2]._trainer.load_model("NeuralNetTorch")
    assert first._types_of_features["skewed"] == ["ob1", "ob2", "ac0"]
    assert not {"ob3", "ob4"} & set(first.features)


@pytest.mark.parametrize("kind", ["held out", "perturbed", "far", "extremes", "missing"])
@pytest.mark.parametrize("name", ["ensemble", "unchained", "distilled"])
def test_the_graph_acts_as_autogluon_does(transitions, loaded, name, kind):
    expected, graph = loaded[name]
    assert isinstance(graph, OnnxPolicy) and not isinstance(expected, OnnxPolicy)
    asked = states(transitions, kind)
    actions = expected.act(*asked)
    assert (actions.std(0) > 0.05).all()
    np.testing.assert_allclose(graph.act(*asked), actions, rtol=0, atol=export.TOLERANCE)


def test_actions_do_not_depend_on_the_batch(transitions, loaded):
    graph = loaded["ensemble"][1]
    observations, outcome = (np.resize(array, (2000, array.shape[1])) for array in states(transitions, "perturbed"))
    whole = graph.act(observations, outcome)
    for size in (1, 7):
        batches = [slice(i, i + size) for i in range(0, 210, size)]
        acted = np.concatenate([graph.act(observations[batch], outcome[batch]) for batch in batches])
        np.testing.assert_array_equal(acted, whole[:210])


def test_the_handle_and_the_graph_say_what_they_are(directories, played):
    path = played["ensemble"][1]
    handle, file = json.loads(path.read_text()), path.with_suffix(".onnx")
    assert (handle["format"], handle["file"], handle["sha256"]) == ("onnx", file.name, files.sha256(file))
    training = handle["training"]
    assert training["directory_sha256"] == [files.sha256(directory) for directory in directories["ensemble"]]
    assert [(path.parent / name).resolve() for name in training["directories"]] == directories["ensemble"]
    assert training["chain"] is True
    assert training["checked_rows"] == 1040 and 0 <= training["largest_difference"] <= export.TOLERANCE
    inside = loading.read_metadata(file)
    assert inside["training"].items() <= training.items()
    assert {key: inside[key] for key in handle if key not in ("file", "sha256", "training")}.items() <= handle.items()
    assert loading.load_policy(file).metadata == inside


def test_trees_are_refused_and_leave_nothing(transitions, tmp_path):
    settings = TEACHERS["unchained"].model_copy(update={"hyperparameters": {"GBM": {"num_boost_round": 2}}})
    train(transitions, tmp_path, settings, dimensions=[0])
    output = tmp_path / "policies/played.json"
    with pytest.raises(export.UnsupportedModelError, match=r"deployed/ac0: LightGBM .* is a LGBModel; only"):
        make_policy(transitions, [tmp_path / "deployed/ac0"] * 3, output, export=True)
    assert not output.parent.exists()


def test_columns_of_two_values_stay_numbers(tmp_path):
    """Not categories, which a graph could not tell from numbers; it is compared with AutoGluon before it is kept."""
    transitions = make_transitions(tmp_path / "transitions.parquet", two_values=True)
    train(transitions, tmp_path, TEACHERS["unchained"], dimensions=[0])
    make_policy(transitions, [tmp_path / "deployed/ac0"] * 3, tmp_path / "played.json", export=True)
    assert (tmp_path / "played.onnx").is_file()


def test_a_graph_that_differs_is_not_written(transitions, directories, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match=r"differ from AutoGluon's by up to .* on 1040 rows.*export: false"):
        make_policy(transitions, directories["ensemble"], tmp_path / "played.json", export=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [1e-3, 1, 100])
@pytest.mark.filterwarnings("ignore:n_quantiles")
def test_the_quantile_transform_is_scikit_learns(tmp_path, scale):
    generator = np.random.default_rng(0)
    smooth = scale * np.exp(generator.standard_normal(3000))
    # Ties inside, at both ends, and of values that are no multiples of a power of two.
    tied = scale * np.round(smooth / scale, 1).clip(0.4, 3)
    few = scale * generator.choice([-1.5, 0, 0.1, 7], 3000, p=[0.5, 0.2, 0.2, 0.1])
    data = np.column_stack([smooth, tied, few]).astype(np.float32)
    fitted = QuantileTransformer(output_distribution="normal", random_state=0).fit(data)
    knots = np.concatenate([data, fitted.quantiles_.astype(np.float32)])
    steps = [np.nextafter(knots, np.float32(side)) for side in (-np.inf, np.inf)]
    bounds = np.concatenate([end + np.linspace(-3e-7, 3e-7, 61)[:, None] for end in (data.min(0), data.max(0))])
    noise = data * generator.normal(1, 0.5, data.shape)
    x = np.concatenate([knots, *steps, bounds, noise, -1e6 * data, 1e6 * data]).astype(np.float32)
    graph = Graph()
    scaled = export._quantile(graph, "x", fitted.quantiles_, fitted.references_)
    graph.node("Identity", scaled, output="scaled")
    graph.save(tmp_path / "quantile.onnx", {"x": 3}, {"scaled": 3}, {})
    session = onnxruntime.InferenceSession(tmp_path / "quantile.onnx", providers=["CPUExecutionProvider"])
    expected = fitted.transform(x)
    assert expected.min() < -5 and expected.max() > 5
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=0, atol=1e-5)
