"""Policies as files: what is loaded acts as the graph says, and nothing else is loaded."""

import importlib
import inspect
import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import sha256
from d4rl_automl.policies import formats
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.handle import write_handle
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.policies.onnx_graph import Graph
from tests.support.policies import metadata_of, weights_of, write_graph, write_policy


def inputs_of(policy, count=50):
    generator = np.random.default_rng(1)
    observations = generator.normal(0, 2, (count, policy.metadata["observation_size"]))
    return observations, generator.normal(2, 1, (count, 1))


def test_acts_as_the_graph_says(tmp_path):
    """Against the layers in NumPy."""
    policy = load_policy(write_policy(tmp_path))
    observations, outcome = inputs_of(policy)
    (w0, b0), (w1, b1) = weights_of(policy.metadata)
    hidden = np.maximum(np.hstack([observations, outcome]) @ w0 + b0, 0)
    actions = policy.act(observations, outcome)
    assert actions.dtype == np.float32
    np.testing.assert_allclose(actions, np.tanh(hidden @ w1 + b1), atol=1e-5)
    assert (policy.name, policy.outcome_rule.name, policy.metadata["seed"]) == ("tiny-s3", "constant", 3)


def test_unconditional(tmp_path):
    policy = load_policy(write_policy(tmp_path, "walker2d", "none"))
    observations, outcome = inputs_of(policy)
    assert policy.act(observations).shape == (50, 6)
    with pytest.raises(InputError, match="takes no outcome"):
        policy.act(observations, outcome)


def test_a_row_does_not_depend_on_the_others_where_the_rest_of_a_batch_is_rounded_otherwise(tmp_path):
    """As with logarithms, which AutoGluon's own networks take of their inputs."""
    metadata, (weight, bias), graph = metadata_of(), *weights_of(metadata_of(), 3)[:1], Graph()
    x = graph.node("Gemm", graph.node("Concat", "observation", "outcome", axis=1), weight, bias)
    graph.node("Tanh", graph.node("Log", graph.node("Abs", x)), output="action")
    file = tmp_path / "tiny-s3.onnx"
    graph.save(file, {"observation": metadata["observation_size"], "outcome": 1}, {"action": 3}, metadata)
    write_handle(tmp_path / "tiny-s3.json", metadata | {"format": "onnx", "file": file.name, "sha256": sha256(file)})
    policy = load_policy(tmp_path / "tiny-s3.json")
    observations, outcome = inputs_of(policy, 2000)
    alone = [policy.act(observations[row : row + 1], outcome[row : row + 1]) for row in range(2000)]
    np.testing.assert_array_equal(np.concatenate(alone), policy.act(observations, outcome))


@pytest.mark.parametrize("width", [16, 256])
def test_a_row_does_not_depend_on_the_others_or_on_threads(tmp_path, width):
    path = write_policy(tmp_path, layers=weights_of(metadata_of(), width))
    policy = load_policy(path)
    observations, outcome = inputs_of(policy, 130)
    together = policy.act(observations, outcome)
    for size in (1, 2, 3, 7, 64, 129):
        parts = [
            policy.act(observations[start : start + size], outcome[start : start + size])
            for start in range(0, 130, size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), together)
    np.testing.assert_array_equal(load_policy(path, threads=2).act(observations, outcome), together)


class Given(Policy):
    """Answers the actions it was made with."""

    def __init__(self, actions):
        super().__init__(metadata_of())
        self.actions = np.asarray(actions)

    def predict(self, observations, outcome):
        return self.actions


def test_actions_are_clipped():
    actions = Given([[-7.0, 0.25, 1.5]]).act(np.zeros((1, 11)), np.zeros((1, 1)))
    np.testing.assert_array_equal(actions, np.array([[-1.0, 0.25, 1.0]], np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_actions_are_refused(value):
    told = r"policy tiny-s3: 2 of 3 actions hold NaN or infinity, in ac1 \(1\), ac2 \(2\), the first for"
    with pytest.raises(InputError, match=told):
        Given([[0, 0, 0], [0, value, value], [0, 0, value]]).act(np.zeros((3, 11)), np.zeros((3, 1)))


def test_actions_of_what_is_not_finite_are_not_laid_to_the_policy():
    broken = Given([[0, 0, 0], [0, np.nan, 0]])
    with pytest.raises(InputError, match="what it was given is not finite itself: look at where"):
        broken.act(np.array([[0.0] * 11, [np.inf] * 11]), np.zeros((2, 1)))
    with pytest.raises(InputError, match="train the policy again"):
        broken.act(np.array([[np.inf] * 11, [0.0] * 11]), np.zeros((2, 1)))


def test_wrong_inputs_are_refused(tmp_path):
    policy = load_policy(write_policy(tmp_path))
    observations, outcome = inputs_of(policy)
    for wrong in ((observations[:, 1:], outcome), (observations[0], outcome), (observations, outcome[:, 0])):
        with pytest.raises(InputError, match=r"have shape .*expected \(N, "):
            policy.act(*wrong)
    with pytest.raises(InputError, match="needs an outcome"):
        policy.act(observations)
    with pytest.raises(InputError, match="49 outcomes for 50"):
        policy.act(observations, outcome[1:])


def test_an_onnx_file_alone(tmp_path):
    """Its metadata_props are enough: strings as they are, other values as JSON."""
    metadata = metadata_of() | {"training": {"epochs": 5}}
    properties = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    path = tmp_path / "tiny-s3.onnx"
    write_graph(path, metadata, weights_of(metadata), properties)
    policy = load_policy(path)
    assert policy.metadata == metadata
    observations, outcome = inputs_of(policy)
    np.testing.assert_array_equal(
        policy.act(observations, outcome), load_policy(write_policy(tmp_path)).act(observations, outcome)
    )
    write_graph(path, metadata, weights_of(metadata))
    with pytest.raises(InputError, match="lack 'method'"):
        load_policy(path)


def test_tampered_file_is_refused(tmp_path):
    handle = write_policy(tmp_path)
    file = tmp_path / "tiny-s3.onnx"
    recorded = sha256(file)
    # A valid graph, with other weights.
    write_graph(file, metadata_of(), weights_of(metadata_of(), seed=1))
    with pytest.raises(InputError) as refusal:
        load_policy(handle)
    assert recorded in str(refusal.value)
    assert sha256(file) in str(refusal.value)


def test_unreadable_files_are_refused(tmp_path):
    handle = write_policy(tmp_path)
    file = tmp_path / "tiny-s3.onnx"
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(InputError, match=r"tiny-s3\.onnx: cannot be read"):
        load_policy(handle)
    with pytest.raises(InputError, match=r"none\.json: cannot be read"):
        load_policy(tmp_path / "none.json")
    with pytest.raises(InputError, match=r"found '\.pt'"):
        load_policy(tmp_path / "policy.pt")
    for broken in (b"", b"not a graph", content[: len(content) // 2]):
        file.write_bytes(broken)
        with pytest.raises(InputError, match=r"ONNX|lack"):
            load_policy(file)
    handle.write_text("{")
    with pytest.raises(InputError, match="not a JSON file"):
        load_policy(handle)
    handle.write_text("[]")
    with pytest.raises(InputError, match="found list"):
        load_policy(handle)


def test_graph_that_contradicts_its_handle_is_refused(tmp_path):
    file, handle = tmp_path / "policy.onnx", tmp_path / "policy.json"
    conditional = metadata_of()
    write_graph(file, conditional, weights_of(conditional))
    said = metadata_of(outcome_rule="none") | {"format": "onnx", "file": file.name, "sha256": sha256(file)}
    write_handle(handle, said)
    with pytest.raises(InputError, match=r"the inputs of the graph are observation .* outcome"):
        load_policy(handle)
    layers = weights_of(conditional | {"action_size": 6})
    write_graph(file, conditional, layers)
    write_handle(handle, said | {"outcome_rule": "constant", "sha256": sha256(file)})
    with pytest.raises(InputError, match="the outputs of the graph are action"):
        load_policy(handle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": None}, "method is None; expected str"),
        ({"seed": True}, "seed is True; expected int"),
        ({"seed": "3"}, "seed is '3'; expected int"),
        ({"task": "cat"}, "task 'cat' is unknown"),
        ({"observation_size": 17}, "observation_size is 17, but hopper has 11"),
        ({"outcome_rule": "mean"}, "outcome_rule is 'mean'; expected one of none, constant, reduced, goal"),
        ({"format": "pickle"}, "format is 'pickle'; expected one of onnx, xgboost, catboost, autogluon"),
        ({"format": ["onnx"]}, r"format is \['onnx'\]; expected one of"),
        ({"format": "autogluon"}, "lack 'directories'"),
        ({"sha256": 5}, "sha256 is 5"),
    ],
)
def test_wrong_handles_are_refused(tmp_path, change, message):
    """When written and when read."""
    path = tmp_path / "handle.json"
    handle = metadata_of() | {"format": "onnx", "file": "x.onnx", "sha256": "0" * 64} | change
    with pytest.raises(InputError, match=message):
        write_handle(path, handle)
    assert not path.exists()
    path.write_text(json.dumps(handle))
    with pytest.raises(InputError, match=message):
        load_policy(path)


@pytest.mark.parametrize("key", [*metadata_of(), "file", "sha256", "format"])
def test_handles_that_lack_a_key_are_refused(tmp_path, key):
    handle = metadata_of() | {"format": "onnx", "file": "x.onnx", "sha256": "0" * 64}
    del handle[key]
    with pytest.raises(InputError, match=key):
        write_handle(tmp_path / "handle.json", handle)


def test_a_file_elsewhere_is_refused(tmp_path):
    handle = write_policy(tmp_path)
    said = json.loads(handle.read_text())
    (tmp_path / "other").mkdir()
    handle = handle.rename(tmp_path / "other" / handle.name)
    write_handle(handle, said | {"file": "../tiny-s3.onnx"})
    with pytest.raises(InputError, match=r"file is '\.\./tiny-s3\.onnx'; expected the name of a file beside it"):
        load_policy(handle)


@pytest.mark.parametrize("known", formats.FORMATS.values(), ids=formats.FORMATS)
def test_every_format_names_what_plays_it(known):
    module, name = known.loader.split(":")
    policy = getattr(importlib.import_module(module), name)
    assert issubclass(policy, Policy)
    assert list(inspect.signature(policy).parameters) == ["path", "metadata", "threads"]
    assert ("file" in known.keys) == bool(known.ending)


def test_the_table_of_formats_needs_the_standard_library_alone():
    """Whoever plans jobs reads it, and imports neither NumPy nor what plays policies."""
    code = "import sys; known = set(sys.modules); import d4rl_automl.policies.formats; print(*set(sys.modules) - known)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found = {name.partition(".")[0] for name in done.stdout.split()}
    assert found - sys.stdlib_module_names == {"d4rl_automl"}


def test_onnx_runtime_reads_the_same_actions(tmp_path):
    """The file means the same to whoever opens it without this package."""
    handle = write_policy(tmp_path)
    session = onnxruntime.InferenceSession(str(tmp_path / "tiny-s3.onnx"))
    policy = load_policy(handle)
    observations, outcome = (x.astype(np.float32) for x in inputs_of(policy))
    (actions,) = session.run(None, {"observation": observations, "outcome": outcome})
    np.testing.assert_array_equal(policy.act(observations, outcome), actions)
