import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import r2_score

from d4rl_automl.core.errors import InputError
from d4rl_automl.learners import checkpoints, fitting, network_policies, networks
from d4rl_automl.methods import bc, mlp
from d4rl_automl.policies import loading
from d4rl_automl.settings.kinds import NetworkSize
from d4rl_automl.tasks.outcomes import AVERAGE
from tests.support.networks import HERE, METHOD, RESUMED, SETTINGS, samples


def random_network(observation_size, action_size, *, width, layers, conditional, seed) -> networks.Network:
    generator = torch.Generator().manual_seed(seed)
    size = observation_size + conditional
    return networks.Network(
        torch.randn(size, generator=generator),
        torch.rand(size, generator=generator) + 0.1,
        action_size=action_size,
        width=width,
        layers=layers,
        outcome_size=int(conditional),
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
        networks.export(made, Path(folder, "p.onnx"), {})
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
    networks.export(random_network(11, 3, width=256, layers=2, conditional=True, seed=0), tmp_path / "p.onnx", {})
    inputs = np.random.default_rng(0).standard_normal((2000, 12)).astype(np.float32)
    whole = run(tmp_path / "p.onnx", inputs, True)
    sevens = np.concatenate([run(tmp_path / "p.onnx", inputs[i : i + 7], True) for i in range(0, 210, 7)])
    ones = np.concatenate([run(tmp_path / "p.onnx", inputs[i : i + 1], True) for i in range(210)])
    np.testing.assert_allclose(sevens, whole[:210], atol=1e-6, rtol=0)
    np.testing.assert_allclose(ones, whole[:210], atol=1e-6, rtol=0)


def test_learns_a_known_function():
    known = fitting.Settings(width=64, layers=2, updates=2400, batch_size=256, learning_rate=3e-3)
    fitted = fitting.fit(samples(20_000), samples(2_000, seed=1), known, **HERE)
    unseen = samples(2_000, seed=2)
    assert r2_score(unseen.actions, fitted.network.act(torch.from_numpy(unseen.inputs())).numpy()) >= 0.95


def test_summary_and_curve_are_of_the_network_that_is_returned():
    validation = samples(200, seed=1)
    fitted = fitting.fit(samples(100), validation, fitting.Settings(64, 2, 600, 10, 0.03), **HERE)
    curve = fitted.curve
    assert list(curve["update"]) == list(range(30, 601, 30))
    # A hundred rows are soon learned by heart: the last evaluation is not the best.
    assert fitted.summary["kept_update"] == curve["update"][curve.validation_loss.idxmin()] < 600
    loss = np.mean((fitted.network.act(torch.from_numpy(validation.inputs())).numpy() - validation.actions) ** 2)
    assert loss == pytest.approx(fitted.summary["validation_loss"], rel=1e-4)
    assert (fitted.summary["rows"], fitted.summary["validation_rows"]) == (100, 200)


def test_same_seed_same_weights_and_the_callers_torch_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state(), torch.get_num_threads()
    first, again, other = (
        fitting.fit(samples(500), samples(100, 1), SETTINGS, **(HERE | {"seed": seed})).network.state_dict()
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert torch.equal(torch.get_rng_state(), before[0]) and torch.get_num_threads() == before[1]


def gaussian_network(observation_size, action_size, *, width, layers, conditional, seed) -> networks.GaussianNetwork:
    sizes = {"action_size": action_size, "width": width, "layers": layers, "outcome_size": int(conditional)}
    generator = torch.Generator().manual_seed(seed)
    return networks.GaussianNetwork(observation_size + conditional, generator=generator, **sizes)


@given(action_size=st.integers(1, 10), rows=st.integers(1, 50), seed=st.integers(0, 2**31))
def test_rvs_loss_is_the_log_likelihood(action_size, rows, seed):
    """Against scipy; the deviations are whatever training made of them."""
    made = gaussian_network(5, action_size, width=8, layers=2, conditional=True, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made.log_deviation.copy_(torch.randn(action_size, generator=generator))
        made.head.weight *= 100
    inputs, actions = (torch.randn(rows, size, generator=generator) for size in (6, action_size))
    mean, deviation = made(inputs).detach().numpy(), np.exp(made.log_deviation.detach().numpy())
    expected = -norm.logpdf(actions.numpy(), mean, deviation).sum(axis=1).mean()
    assert made.loss(inputs, actions).item() == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert made.held_out_loss(inputs, actions) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("conditional", [True, False])
def test_rvs_network_starts_and_acts_as_theirs(tmp_path, conditional):
    """Orthogonal layers of gain sqrt(2), 0.01 in the head; the mean action, clipped, without normalised inputs."""
    made = gaussian_network(11, 3, width=64, layers=2, conditional=conditional, seed=1)
    first, second = (layer.weight.detach().numpy().astype(np.float64) for layer in made.hidden)
    np.testing.assert_allclose(first.T @ first, 2 * np.eye(11 + conditional), atol=1e-5)
    np.testing.assert_allclose(second @ second.T, 2 * np.eye(64), atol=1e-5)
    head = made.head.weight.detach().numpy()
    np.testing.assert_allclose(head @ head.T, 1e-4 * np.eye(3), atol=1e-8)
    assert not any(made.state_dict()[name].any() for name in ("log_deviation", "head.bias", "hidden.0.bias"))
    with torch.no_grad():
        made.head.weight *= 300  # reach the bounds, too
    x = np.random.default_rng(0).standard_normal((500, 11 + conditional)).astype(np.float32)
    hidden = np.maximum(np.maximum(x @ first.T, 0) @ second.T, 0)
    expected = np.clip(hidden @ made.head.weight.detach().numpy().T, -1, 1)
    assert 0.05 < (np.abs(expected) == 1).mean() < 0.95
    np.testing.assert_allclose(made.act(torch.from_numpy(x)).numpy(), expected, atol=1e-4)
    networks.export(made, tmp_path / "p.onnx", {})
    np.testing.assert_allclose(run(tmp_path / "p.onnx", x, conditional), expected, atol=1e-4)


def test_batches_are_runs_of_rows_where_they_are_not_shuffled():
    """Against torch itself: the same network, optimiser and batches, in a loop of its own."""
    train = samples(100)
    settings = fitting.Settings(16, 2, 14, 30, 1e-2, gaussian=True, shuffle=False)
    fitted = fitting.fit(train, train.take(slice(0)), settings, **(HERE | {"seed": 7}))
    made = gaussian_network(11, 3, width=16, layers=2, conditional=True, seed=7)
    optimiser = torch.optim.Adam(made.parameters(), 1e-2)
    inputs, actions = torch.from_numpy(train.inputs()), torch.from_numpy(train.actions)
    losses = []
    for update in range(14):
        rows = slice(update % 4 * 30, update % 4 * 30 + 30)
        normal = torch.distributions.Normal(made(inputs[rows]), made.log_deviation.exp())
        loss = -normal.log_prob(actions[rows]).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    # The last weights are kept, and there is no validation loss to tell.
    for name, value in fitted.network.state_dict().items():
        np.testing.assert_allclose(value, made.state_dict()[name], atol=1e-6)
    np.testing.assert_allclose(fitted.curve.training_loss, losses, rtol=1e-5)
    assert fitted.curve.validation_loss.isna().all() and set(fitted.curve.learning_rate) == {1e-2}
    assert fitted.summary["validation_loss"] is None and fitted.summary["kept_update"] == 14


@pytest.mark.parametrize("gaussian", [True, False])
def test_the_learning_rate_is_constant_or_falls_as_torchs_cosine(gaussian):
    settings = dataclasses.replace(SETTINGS, gaussian=gaussian, updates=50)
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.updates)
    for update in range(settings.updates):
        expected = settings.learning_rate if gaussian else schedule.get_last_lr()[0]
        assert settings.rate(update) == pytest.approx(expected, rel=1e-9)
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_a_processor_computes_in_float32_and_the_handle_says_so(precision):
    train, validation = samples(300), samples(100, 1)
    asked = dataclasses.replace(SETTINGS, gaussian=True, precision=precision)
    fitted = fitting.fit(train, validation, asked, **HERE)
    plain = fitting.fit(train, validation, dataclasses.replace(asked, precision="float32"), **HERE)
    assert fitted.summary == plain.summary and fitted.summary["precision"] == "float32"
    weights = plain.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in fitted.network.state_dict().items())
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("gaussian", [True, False])
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_a_fit_on_a_gpu_is_repeatable_goes_on_and_is_the_processors_up_to_rounding(tmp_path, gaussian, precision):
    train, validation = samples(1000), samples(200, 1)
    settings = fitting.Settings(64, 2, 60, 128, 1e-3, gaussian=gaussian, precision=precision)
    here = HERE | {"device": "cuda"}

    class Save(checkpoints.Checkpoint):
        def on_update(self, training):
            if training.update == 31:
                self._saved = -np.inf
                super().on_update(training)

    first = fitting.fit(train, validation, settings, **here, callbacks=[Save(tmp_path / "c.pt")])
    again = fitting.fit(train, validation, settings, **here)
    resumed = fitting.fit(train, validation, settings, **here, callbacks=[checkpoints.Checkpoint(tmp_path / "c.pt")])
    for other in (again, resumed):
        weights = other.network.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in first.network.state_dict().items())
        assert other.summary == first.summary
    # Another order of the rows: the losses are alike, not the weights.
    here = fitting.fit(train, validation, settings, **HERE).summary["validation_loss"]
    assert first.summary["validation_loss"] == pytest.approx(here, rel=0.1, abs=0.05)


KILLED = """
import sys
from d4rl_automl.learners import checkpoints, fitting, network_policies
from d4rl_automl.tasks.outcomes import AVERAGE
from tests.support.networks import HERE, METHOD, RESUMED, samples
checkpoints.SECONDS = 0.2
settings = fitting.Settings(*RESUMED, gaussian=sys.argv[1] == "rvs", shuffle=sys.argv[2] == "shuffled")
dataset = {"dataset": "hopper-x", "task": "hopper", "sha256": "ab" * 32}
network_policies.make_policy(
    samples(3000), samples(200, 1), settings, method=METHOD, output=sys.argv[3], dataset=dataset, **HERE
)
"""


@pytest.mark.parametrize(("kind", "order", "kills"), [("mlp", "shuffled", 2), ("rvs", "fixed", 1)])
def test_a_killed_fit_goes_on_and_ends_as_if_it_had_not_been_killed(tmp_path, kind, order, kills):
    command = [sys.executable, "-c", KILLED, kind, order, str(tmp_path / "some-s0.json")]
    checkpoint = tmp_path / ".some-s0.checkpoint.pt"
    reached = [0]
    for _ in range(kills):
        known = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == known):
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "some-s0.json").exists()
        reached.append(torch.load(checkpoint, weights_only=True)["training"]["update"])
    assert (np.diff(reached) > 0).all() and reached[-1] < RESUMED[2]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert {path.name for path in tmp_path.iterdir()} == {"some-s0.json", "some-s0.onnx", "some-s0.curve.csv"}
    assert not done.stdout

    settings = fitting.Settings(*RESUMED, gaussian=kind == "rvs", shuffle=order == "shuffled")
    fitted = fitting.fit(samples(3000), samples(200, 1), settings, **HERE)
    dataset = {"dataset": "hopper-x", "task": "hopper", "sha256": "ab" * 32}
    network_policies.write_policy(
        fitted, tmp_path / "b" / "some-s0.json", METHOD, 0, outcome_rule=AVERAGE, dataset=dataset
    )
    assert (tmp_path / "some-s0.onnx").read_bytes() == (tmp_path / "b" / "some-s0.onnx").read_bytes()
    folders = (tmp_path, tmp_path / "b")
    curves = [pd.read_csv(folder / "some-s0.curve.csv").drop(columns="seconds") for folder in folders]
    pd.testing.assert_frame_equal(*curves)
    handles = [json.loads((folder / "some-s0.json").read_text())["training"] for folder in folders]
    assert handles[0]["fit_seconds"] > 0 and handles[0]["rows"] == handles[1]["rows"]


@pytest.mark.parametrize(("gaussian", "shuffle"), [(False, True), (True, True), (True, False)])
def test_a_fit_goes_on_from_wherever_it_was_interrupted(tmp_path, monkeypatch, gaussian, shuffle):
    """After every update, those that end an epoch and those that are evaluated among them."""
    train, validation = samples(100), samples(50, 1)
    settings = fitting.Settings(16, 2, 40, 30, 1e-2, gaussian=gaussian, shuffle=shuffle)
    expected = fitting.fit(train, validation, settings, **HERE)
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    checkpoint = checkpoints.Checkpoint(tmp_path / "c.pt")

    class KeepAll(fitting.Callback):
        def on_update(self, training):
            shutil.copy(checkpoint.path, tmp_path / f"{training.update}.pt")

    fitting.fit(train, validation, settings, **HERE, callbacks=[checkpoint, KeepAll()])
    for update in range(1, 41):
        saved = checkpoints.Checkpoint(tmp_path / f"{update}.pt")
        found = fitting.fit(train, validation, settings, **HERE, callbacks=[saved])
        weights = found.network.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in expected.network.state_dict().items()), update
        pd.testing.assert_frame_equal(*(fit.curve.drop(columns="seconds") for fit in (found, expected)))
        assert found.summary == expected.summary


@pytest.mark.parametrize("change", ["settings", "rows", "seed", "networks", "fitting", "damaged", "a bit flipped"])
def test_a_checkpoint_of_another_fit_is_not_gone_on_from(tmp_path, monkeypatch, caplog, change):
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    checkpoint = tmp_path / "c.pt"
    fitting.fit(samples(500), samples(100, 1), SETTINGS, **HERE, callbacks=[checkpoints.Checkpoint(checkpoint)])
    here, rows, settings = dict(HERE), samples(500), SETTINGS
    if change == "settings":
        settings = dataclasses.replace(SETTINGS, learning_rate=1e-3)
    elif change == "rows":
        rows.actions[17, 1] += 1e-3
    elif change == "seed":
        here["seed"] = 1
    elif change in ("networks", "fitting"):
        module = {"networks": networks, "fitting": fitting}[change]
        edited = tmp_path / "edited.py"
        edited.write_text(Path(module.__file__).read_text() + "MORE = 1\n")
        monkeypatch.setattr(module, "__file__", str(edited))
    elif change == "damaged":
        checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    else:
        with zipfile.ZipFile(checkpoint) as archive:
            weights = archive.read(max(archive.infolist(), key=lambda entry: entry.file_size))
        content = bytearray(checkpoint.read_bytes())
        content[content.index(weights) + len(weights) // 2] ^= 1
        checkpoint.write_bytes(content)
    recorded = Recorded()
    callbacks = [checkpoints.Checkpoint(checkpoint), recorded]
    found = fitting.fit(rows, samples(100, 1), settings, **here, callbacks=callbacks)
    assert recorded.told[0] == ("start", 0)
    assert ("cannot be read" in caplog.text) == (change in ("damaged", "a bit flipped"))
    anew = fitting.fit(rows, samples(100, 1), settings, **here)
    weights = anew.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in found.network.state_dict().items())
    assert list(found.curve["update"]) == list(anew.curve["update"])


class Recorded(fitting.Callback):
    """What a fit tells, in order."""

    def __init__(self):
        self.told = []

    def on_start(self, training):
        self.told.append(("start", training.update))

    def on_update(self, training):
        self.told.append(("update", training.update))

    def on_evaluation(self, training, evaluation):
        assert training.evaluations[-1] is evaluation
        self.told.append(("evaluation", evaluation.update))

    def on_end(self, fitted):
        self.told.append(("end", len(fitted.curve)))


def test_callbacks_are_told_in_order_and_leave_the_fit_as_it_is(caplog):
    recorded = Recorded()
    caplog.set_level("INFO")
    settings = dataclasses.replace(SETTINGS, updates=41)
    followed = fitting.fit(samples(500), samples(100, 1), settings, **HERE, callbacks=[fitting.LogProgress(), recorded])
    told = [("start", 0)]
    for update in range(1, 42):
        told += [("evaluation", update)] * (update % 3 == 0 or update == 41) + [("update", update)]
    assert recorded.told == [*told, ("end", 14)]
    assert sum("validation 0." in message for message in caplog.messages) == 14
    assert f"after update {followed.summary['kept_update']} are kept" in caplog.messages[-1]
    alone = fitting.fit(samples(500), samples(100, 1), settings, **HERE)
    weights = alone.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in followed.network.state_dict().items())


def test_a_constant_column_and_no_outcome():
    train = samples(500, conditional=False)
    train.observations[:, 4] = 0.1
    fitted = fitting.fit(train, samples(100, 1, conditional=False), SETTINGS, **HERE)
    assert fitted.network.scale[4] == 1 and fitted.network.scale.isfinite().all()
    assert fitted.network.observation_size == 11 and not fitted.network.outcome_size


def test_refuses_what_it_cannot_fit():
    with pytest.raises(InputError, match="no validation rows"):
        fitting.fit(samples(10), samples(0), SETTINGS, **HERE)
    with pytest.raises(InputError, match="no training rows"):
        fitting.fit(samples(0), samples(10), SETTINGS, **HERE)


@pytest.mark.parametrize("value", [np.nan, 1e25, -3e38])
def test_an_infinite_loss_is_laid_to_the_value_that_made_it(value):
    broken = dataclasses.replace(samples(300), rows=np.arange(1000, 1300))
    broken.observations[7, 2] = value
    gaussian = dataclasses.replace(SETTINGS, gaussian=True)
    told = (
        rf"not finite after .*: ob2 is {value:.3g}".replace("+", r"\+") + " in row 1007 of the recording, .* drop that"
    )
    for train, validation in ((broken, samples(10)), (samples(300), broken)):
        with pytest.raises(InputError, match=told):
            fitting.fit(train, validation, gaussian, **HERE)


def test_an_infinite_loss_without_a_value_to_blame_is_not_explained():
    wild = dataclasses.replace(SETTINGS, gaussian=True, learning_rate=1e30)
    with pytest.raises(InputError, match=r"no input stands out.*not known.*learning_rate may do, found 1e\+30"):
        fitting.fit(samples(100), samples(10), wild, **HERE)


@pytest.mark.parametrize("gaussian", [True, False])
def test_settings_are_those_of_the_methods_entry(gaussian):
    given = {"network": NetworkSize(width=7, layers=3), "updates": 11, "batch_size": 13, "learning_rate": 0.5}
    entry = bc.Settings(name="m", kind="bc", **given)
    others = {"gaussian": True} if gaussian else {}
    assert fitting.Settings.of(entry, **others) == fitting.Settings(7, 3, 11, 13, 0.5, gaussian=gaussian)


@pytest.mark.parametrize("conditional", [True, False])
def test_a_written_policy_plays_what_torch_fitted(tmp_path, conditional):
    dataset = {"dataset": "hopper-x", "task": "hopper", "sha256": "ab" * 32, "longest_episode": 9}
    method = mlp.Settings(name="mlp", kind="mlp", updates=24)
    unseen = samples(300, 2, conditional)
    for folder in ("a", "b"):
        fitted = fitting.fit(samples(500, 0, conditional), samples(100, 1, conditional), SETTINGS, **HERE)
        network_policies.write_policy(
            fitted,
            tmp_path / folder / "mlp-s5.json",
            method,
            5,
            outcome_rule=unseen.rule,
            dataset=dataset,
            label_seconds=1.5,
        )
    loaded = loading.load_policy(tmp_path / "a/mlp-s5.json", 1)
    acted = loaded.act(unseen.observations, unseen.outcomes)
    np.testing.assert_allclose(acted, fitted.network.act(torch.from_numpy(unseen.inputs())).numpy(), atol=1e-5, rtol=0)
    # The same training gives the same file, byte for byte.
    assert (tmp_path / "a/mlp-s5.onnx").read_bytes() == (tmp_path / "b/mlp-s5.onnx").read_bytes()
    handle = json.loads((tmp_path / "a/mlp-s5.json").read_text())
    assert handle["outcome_rule"] == ("constant" if conditional else "none")
    assert handle["training"]["settings"] == method.shaping() and handle["training"]["label_seconds"] == 1.5
    assert len((tmp_path / "a/mlp-s5.curve.csv").read_text().splitlines()) == 13
    props = {p.key: p.value for p in onnx.load(tmp_path / "a/mlp-s5.onnx").metadata_props}
    assert {key: props[key] for key in ("method", "task", "seed", "dataset_sha256", "observation_size")} == {
        "method": "mlp",
        "task": "hopper",
        "seed": "5",
        "dataset_sha256": "ab" * 32,
        "observation_size": "11",
    }
    assert loading.load_policy(tmp_path / "a/mlp-s5.onnx").metadata["training"]["settings"] == method.shaping()
