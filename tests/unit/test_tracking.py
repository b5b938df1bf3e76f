"""What trackers are sent, read back by readers of our own (tests/support/event_files.py)."""

import io
import json
import runpy
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from d4rl_automl.core.errors import InputError
from d4rl_automl.learners import fitting
from d4rl_automl.tracking import VARIABLE, results, table
from d4rl_automl.tracking.following import following
from tests.support import event_files
from tests.support.learnable import write_transitions
from tests.support.networks import HERE, SETTINGS, samples
from tests.support.project import ROOT

FIT = "d4rl_automl.learners.progress"
needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="needs the package wandb (extra wandb)")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    yield
    end_wandb()


def end_wandb() -> None:
    """As at the end of a process: its own one has then written all, and knows no variables of before."""
    import wandb  # noqa: PLC0415

    wandb.teardown()


def fit(output: Path, **more: Any) -> fitting.Fit:
    callbacks = [*more.get("callbacks", []), fitting.LogProgress()]
    with following(FIT, output, {"method": "some"}):
        return fitting.fit(samples(500), samples(100, 1), SETTINGS, **HERE, callbacks=callbacks)


def output_of(folder: Path) -> Path:
    return folder / "results/hopper-x/policies/some-s0.json"


def test_a_fits_losses_are_in_tensorboard_as_in_its_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv(VARIABLE, "tensorboard")
    # The second takes the place of the first.
    for _ in range(2):
        fitted = fit(output_of(tmp_path))
        (file,) = (tmp_path / "results/tracker/tensorboard/hopper-x/some-s0").iterdir()
    found = event_files.tensorboard(file)
    for tag, column in (("loss", "training_loss"), ("validation", "validation_loss")):
        own = [value for value in found if value.tag == tag]
        assert [value.step for value in own] == list(fitted.curve["update"])
        np.testing.assert_allclose([value.scalar for value in own], fitted.curve[column].astype(np.float32))
    assert any(value.content and b'"method": "some"' in value.content for value in found)
    # Nothing follows the next fit.
    fitting.fit(samples(500), samples(100, 1), SETTINGS, **HERE, callbacks=[fitting.LogProgress()])
    assert event_files.tensorboard(file) == found


def test_a_reader_of_our_own_finds_what_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "tensorboard")
    fit(output_of(tmp_path))
    (file,) = (tmp_path / "results/tracker/tensorboard/hopper-x/some-s0").iterdir()
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    with pytest.raises(AssertionError):
        event_files.tensorboard(file)


def test_a_job_that_is_asked_to_follows_and_makes_the_same_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    main = runpy.run_path(str(ROOT / "scripts/fit_policy.py"))["main"]
    transitions = write_transitions(tmp_path / "transitions.parquet")
    settings = {"name": "some", "kind": "mlp", "network": {"width": 8}, "updates": 40}
    caplog.set_level("INFO")
    for name in ("off", "on"):
        if name == "on":
            monkeypatch.setenv(VARIABLE, "tensorboard")
        output = output_of(tmp_path / name)
        given = ["--settings", json.dumps(settings), "--transitions", transitions, "--seed", 0, "--device", "cpu"]
        monkeypatch.setattr(
            sys, "argv", [str(word) for word in ("fit_policy", *given, "--threads", 1, "--output", output)]
        )
        main()
    policies = [output_of(tmp_path / name).with_suffix(".onnx").read_bytes() for name in ("off", "on")]
    assert policies[0] == policies[1]
    assert not (tmp_path / "off/results/tracker").exists()
    (file,) = (tmp_path / "on/results/tracker/tensorboard/hopper-x/some-s0").iterdir()
    assert [value.step for value in event_files.tensorboard(file) if value.tag == "loss"] == list(range(2, 41, 2))


@pytest.fixture
def made(tmp_path: Path) -> Iterator[dict[str, list[Path]]]:
    """Tables with empty cells and text, and a figure."""
    folder = tmp_path / "results"
    (folder / "hopper-x/figures").mkdir(parents=True)
    scores = pd.DataFrame({"method": ["a|b", "007"], "seed": [0, 1], "score": [1.5, None], "doubts": [None, "one"]})
    scores.to_csv(folder / "scores.csv", index=False)
    picture = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    Image.fromarray(picture).save(folder / "hopper-x/figures/returns.d4rl.png")
    yield {"tables": [folder / "scores.csv"], "figures": [folder / "hopper-x/figures/returns.d4rl.png"]}


def test_results_are_in_tensorboard(tmp_path: Path, made: dict[str, list[Path]]) -> None:
    output = tmp_path / "results/tracker/run.json"
    results.track("tensorboard", **made, config={"seeds": [0]}, output=output)
    told = json.loads(output.read_text())
    assert (told["tables"], told["figures"]) == (["scores"], ["hopper-x/figures/returns.d4rl"])
    (file,) = Path(told["where"]).iterdir()
    found = {value.tag: value.content for value in event_files.tensorboard(file)}
    with (
        Image.open(made["figures"][0]) as before,
        Image.open(io.BytesIO(found["hopper-x/figures/returns.d4rl"])) as after,
    ):
        np.testing.assert_array_equal(before, after)
    rows = found["scores/text_summary"].decode().splitlines()
    assert rows == [
        "| method | seed | score | doubts |",
        "| --- | --- | --- | --- |",
        "| a\\|b | 0 | 1.5 |  |",
        "| 007 | 1 |  | one |",
    ]


def test_a_missing_table_is_told_before_anything_is_sent(tmp_path: Path, made: dict[str, list[Path]]) -> None:
    made["tables"][0].unlink()
    with pytest.raises(InputError, match=r"scores\.csv: is missing"):
        results.track("tensorboard", **made, config={}, output=tmp_path / "results/tracker/run.json")
    assert not (tmp_path / "results/tracker").exists()


def test_what_is_not_installed_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    table.check_installed("none")
    monkeypatch.setattr(table, "TRACKERS", {"wandb": "no_such_package"})
    with pytest.raises(InputError, match=r"tracker: found 'wandb', but no_such_package is not installed in .*-m pip"):
        table.check_installed("wandb")
    with pytest.raises(InputError, match=r"envs/learning-cpu\.yaml .* without no_such_package"):
        table.check_installed("wandb", "numpy==2")
    table.check_installed("wandb", "no_such_package==2")


def history(folder: Path) -> list[dict[str, Any]]:
    """What a run of Weights & Biases logged, step by step."""
    from wandb.proto import wandb_internal_pb2  # noqa: PLC0415

    end_wandb()
    (file,) = folder.glob("*.wandb")
    found = []
    for content in event_files.wandb_log(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            found.append({item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items})
    return found


@needs_wandb
@pytest.mark.usefixtures("offline")
def test_a_fits_losses_are_in_weights_and_biases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    alone = fit_alone()
    monkeypatch.setenv(VARIABLE, "wandb")
    fitted = fit(output_of(tmp_path))
    (folder,) = (tmp_path / "results/tracker/wandb").glob("offline-run-*")
    found = history(folder)
    assert [step["_step"] for step in found] == list(fitted.curve["update"])
    np.testing.assert_allclose([step["loss"] for step in found], fitted.curve["training_loss"])
    np.testing.assert_allclose([step["validation"] for step in found], fitted.curve["validation_loss"])
    weights = fitted.network.state_dict()
    assert all((value == weights[name]).all() for name, value in alone.network.state_dict().items())


def fit_alone() -> fitting.Fit:
    return fitting.fit(samples(500), samples(100, 1), SETTINGS, **HERE)


@needs_wandb
@pytest.mark.usefixtures("offline")
def test_results_are_in_weights_and_biases(tmp_path: Path, made: dict[str, list[Path]]) -> None:
    output = tmp_path / "results/tracker/run.json"
    results.track("wandb", **made, config={"seeds": [0]}, output=output)
    folder = Path(json.loads(output.read_text())["where"])
    (picture,) = folder.rglob("returns.d4rl_*.png")
    with Image.open(made["figures"][0]) as before, Image.open(picture) as after:
        np.testing.assert_array_equal(before, after)
    (file,) = folder.rglob("scores_*.table.json")
    sent = json.loads(file.read_text())
    assert sent["columns"] == ["method", "seed", "score", "doubts"]
    assert str(sent["data"]) == "[['a|b', 0, 1.5, ''], ['007', 1, nan, 'one']]"
    (logged,) = history(folder)
    assert {name.split(".")[0] for name in logged} >= {"scores", "hopper-x/figures/returns"}


@needs_wandb
def test_who_is_not_logged_in_is_told_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "wandb")
    with pytest.raises(InputError, match=r"Weights & Biases cannot start .*WANDB_MODE=offline"):
        fit(output_of(tmp_path))
