import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from d4rl_automl import network, policy
from d4rl_automl.errors import InputError

SETTINGS = network.Settings(width=32, layers=2, updates=24, batch_size=64, learning_rate=3e-3)

HERE = {"seed": 0, "device": "cpu", "threads": 1}


def samples(rows: int, seed: int = 0, conditional: bool = True) -> network.Samples:
    """Hopper's sizes; actions are a smooth function of the inputs that saturates at the bounds here and there."""
    generator = np.random.default_rng(seed)
    scales = np.geomspace(0.01, 100, 11)
    standard = generator.standard_normal((rows, 11))
    outcomes = generator.uniform(0, 4, rows)
    weights = np.random.default_rng(99).standard_normal((11, 3)) / 3
    actions = np.clip(np.sin(standard @ weights) + 0.2 * conditional * (outcomes[:, None] - 2), -1, 1)
    return network.Samples(
        (standard * scales + 5).astype(np.float32),
        outcomes.astype(np.float32) if conditional else None,
        actions.astype(np.float32),
    )


def random_network(observation_size, action_size, *, width, layers, conditional, seed) -> network.Network:
    generator = torch.Generator().manual_seed(seed)
    size = observation_size + conditional
    return network.Network(
        torch.randn(size, generator=generator),
        torch.rand(size, generator=generator) + 0.1,
        action_size=action_size,
        width=width,
        layers=layers,
        conditional=conditional,
        generator=generator,
    )


def run(path: Path, inputs: np.ndarray, conditional: bool) -> np.ndarray:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    feed = {"observation": inputs}
    if conditional:
        feed = {"observation": np.ascontiguousarray(inputs[:, :-1]), "outcome": np.ascontiguousarray(inputs[:, -1:])}
    return session.run(["action"], feed)[0]


@settings(max_examples=25, deadline=None)
@given(
    observation_size=st.integers(1, 40),
    action_size=st.integers(1, 10),
    width=st.integers(1, 300),
    layers=st.integers(1, 4),
    conditional=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_onnx_runtime_equals_torch(*, observation_size, action_size, width, layers, conditional, seed):
    made = random_network(observation_size, action_size, width=width, layers=layers, conditional=conditional, seed=seed)
    with torch.no_grad():
        made.head.weight *= 5  # reach the bounds, too
    inputs = torch.randn(257, observation_size + conditional, generator=torch.Generator().manual_seed(seed))
    with tempfile.TemporaryDirectory() as folder:
        network.export(made, Path(folder, "p.onnx"), {})
        acted = run(Path(folder, "p.onnx"), inputs.numpy(), conditional)
    assert acted.dtype == np.float32 and acted.shape == (257, action_size)
    assert np.abs(acted).max() <= 1
    np.testing.assert_allclose(acted, made.act(inputs).numpy(), atol=1e-5, rtol=0)


def test_network_equals_its_formula_in_numpy():
    made = random_network(4, 2, width=8, layers=2, conditional=True, seed=3)
    x = np.random.default_rng(0).standard_normal((50, 5)).astype(np.float32)
    layers = [(layer.weight.detach().numpy().astype(float), layer.bias.detach().numpy()) for layer in made.hidden]
    expected = (x - made.mean.numpy()) * made.scale.numpy()
    for weight, bias in layers:
        expected = np.maximum(expected @ weight.T + bias, 0)
    expected = np.tanh(expected @ made.head.weight.detach().numpy().T + made.head.bias.detach().numpy()) / 0.995
    np.testing.assert_allclose(made.act(torch.from_numpy(x)).numpy(), np.clip(expected, -1, 1), atol=1e-5)


def test_rows_do_not_depend_on_their_batch(tmp_path):
    network.export(random_network(11, 3, width=256, layers=2, conditional=True, seed=0), tmp_path / "p.onnx", {})
    inputs = np.random.default_rng(0).standard_normal((2000, 12)).astype(np.float32)
    whole = run(tmp_path / "p.onnx", inputs, True)
    sevens = np.concatenate([run(tmp_path / "p.onnx", inputs[i : i + 7], True) for i in range(0, 210, 7)])
    ones = np.concatenate([run(tmp_path / "p.onnx", inputs[i : i + 1], True) for i in range(210)])
    np.testing.assert_allclose(sevens, whole[:210], atol=1e-6, rtol=0)
    np.testing.assert_allclose(ones, whole[:210], atol=1e-6, rtol=0)


def test_learns_a_known_function():
    known = network.Settings(width=64, layers=2, updates=2400, batch_size=256, learning_rate=3e-3)
    fitted = network.fit(samples(20_000), samples(2_000, seed=1), known, **HERE)
    unseen = samples(2_000, seed=2)
    assert r2_score(unseen.actions, fitted.network.act(torch.from_numpy(unseen.inputs())).numpy()) >= 0.95


def test_summary_and_curve_are_of_the_network_that_is_returned():
    validation = samples(200, seed=1)
    fitted = network.fit(samples(100), validation, network.Settings(64, 2, 600, 10, 0.03), **HERE)
    curve = fitted.curve
    assert list(curve["update"]) == list(range(30, 601, 30))
    # A hundred rows are soon learned by heart: the last evaluation is not the best.
    assert fitted.summary["best_update"] == curve["update"][curve.validation_loss.idxmin()] < 600
    loss = np.mean((fitted.network.act(torch.from_numpy(validation.inputs())).numpy() - validation.actions) ** 2)
    assert loss == pytest.approx(fitted.summary["validation_loss"], rel=1e-4)
    assert (fitted.summary["rows"], fitted.summary["validation_rows"]) == (100, 200)


def test_same_seed_same_weights_and_the_callers_torch_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state(), torch.get_num_threads()
    first, again, other = (
        network.fit(samples(500), samples(100, 1), SETTINGS, **(HERE | {"seed": seed})).network.state_dict()
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert torch.equal(torch.get_rng_state(), before[0]) and torch.get_num_threads() == before[1]


def test_a_constant_column_and_no_outcome():
    train = samples(500, conditional=False)
    train.observations[:, 4] = 0.1
    fitted = network.fit(train, samples(100, 1, conditional=False), SETTINGS, **HERE)
    assert fitted.network.scale[4] == 1 and fitted.network.scale.isfinite().all()
    assert fitted.network.observation_size == 11 and not fitted.network.conditional


def test_refuses_what_it_cannot_fit():
    with pytest.raises(InputError, match="no validation rows"):
        network.fit(samples(10), samples(0), SETTINGS, **HERE)
    broken = samples(100)
    broken.observations[3, 2] = np.nan
    with pytest.raises(InputError, match="not finite after"):
        network.fit(broken, samples(10), SETTINGS, **HERE)
    with pytest.raises(InputError, match="method 'm': the setting 'updates' is missing"):
        network.Settings.of({"name": "m", "network": {"width": 1, "layers": 1}})


@pytest.mark.parametrize("conditional", [True, False])
def test_a_written_policy_plays_what_torch_fitted(tmp_path, conditional):
    dataset = {"dataset": "hopper-x", "task": "hopper", "sha256": "ab" * 32, "longest_episode": 9}
    method = {"name": "mlp", "kind": "mlp", "updates": 24}
    unseen = samples(300, 2, conditional)
    for folder in ("a", "b"):
        fitted = network.fit(samples(500, 0, conditional), samples(100, 1, conditional), SETTINGS, **HERE)
        network.write_policy(fitted, tmp_path / folder / "mlp-s5.json", method, 5, dataset=dataset, label_seconds=1.5)
    loaded = policy.load(tmp_path / "a/mlp-s5.json", 1)
    acted = loaded.act(unseen.observations, unseen.outcomes[:, None] if conditional else None)
    np.testing.assert_allclose(acted, fitted.network.act(torch.from_numpy(unseen.inputs())).numpy(), atol=1e-5, rtol=0)
    # The same training gives the same file, byte for byte.
    assert (tmp_path / "a/mlp-s5.onnx").read_bytes() == (tmp_path / "b/mlp-s5.onnx").read_bytes()
    handle = json.loads((tmp_path / "a/mlp-s5.json").read_text())
    assert handle["outcome_rule"] == ("constant" if conditional else "none")
    assert handle["training"]["settings"] == method and handle["training"]["label_seconds"] == 1.5
    assert len((tmp_path / "a/mlp-s5.curve.csv").read_text().splitlines()) == 13
    props = {p.key: p.value for p in onnx.load(tmp_path / "a/mlp-s5.onnx").metadata_props}
    assert {key: props[key] for key in ("method", "task", "seed", "dataset_sha256", "observation_size")} == {
        "method": "mlp",
        "task": "hopper",
        "seed": "5",
        "dataset_sha256": "ab" * 32,
        "observation_size": "11",
    }
    assert policy.load(tmp_path / "a/mlp-s5.onnx").metadata["training"]["settings"] == method
