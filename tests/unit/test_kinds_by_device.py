"""Which jobs ask for a GPU, and that the measured table says so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from d4rl_automl.core.device import Device
from d4rl_automl.methods.table import METHODS
from d4rl_automl.plan.config import validated
from d4rl_automl.plan.run import Plan
from d4rl_automl.settings.kinds import AUTOGLUON_MODELS, FASTER_ON_GPU, NetworkSettings
from d4rl_automl.teachers import distillation, training
from d4rl_automl.teachers.settings import TeacherSettings

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "docs/evidence/results"


def measured(part: str, file: str, card: str = "h100") -> Any:
    return json.loads((MEASURED / f"gpu-{card}/{file}.json").read_text())[part]


def autogluon() -> list[dict[str, Any]]:
    """What was measured of AutoGluon's models, boosted trees on another card than the others."""
    rows = [row for card in ("h100", "h200") for row in measured("autogluon", "autogluon", card)]
    return [row for row in rows if "fit, s" in row]


def seconds_by_model() -> dict[str, dict[str, float]]:
    """Seconds of a fit by model and device, of what was measured on both."""
    found: dict[str, dict[str, float]] = {}
    for row in autogluon():
        found.setdefault(row["model"], {})[row["device"]] = row["fit, s"]
    return found


def test_the_models_that_ask_for_a_gpu_are_those_that_were_faster_on_one() -> None:
    found = seconds_by_model()
    assert {"NN_TORCH", "TABM", "REALMLP", "GBM", "CAT", "XGB"} <= found.keys() <= set(AUTOGLUON_MODELS)
    without_cuda = {"XGB"} if "\nxgboost-cpu==" in (ROOT / "envs/lock.txt").read_text() else set()
    faster = {model for model, seconds in found.items() if seconds["cuda"] < seconds["cpu"]}
    assert faster - without_cuda == FASTER_ON_GPU


def test_every_network_was_faster_on_one_and_no_other_kind_asks() -> None:
    for row in measured("devices", "networks"):
        one, card = row["s per 1,000 updates, 1 threads"], row["s per 1,000 updates, GPU"]
        assert card < row["s per 1,000 updates, 8 threads"] < one, row
    asking = {kind for kind, method in METHODS.items() if method.faster_on_gpu}
    assert asking == {kind for kind, m in METHODS.items() if issubclass(m.settings, NetworkSettings)} | {
        "rvs_r",
        "rvs_g",
    }


def test_the_documented_table_is_the_measured_one() -> None:
    text = (ROOT / "docs/evidence/performance.md").read_text()
    rows = {
        words[0]: words[1:] for line in text.splitlines() if len(words := re.split(r" *\| *", line.strip("| "))) > 3
    }
    for row in measured("devices", "networks"):
        # "student, mlp: 2x256, batch 256": kinds, and their size.
        size = row["network"].split(": ")[1].replace("x", "×")
        (told,) = [words for what, words in rows.items() if what.endswith(size)]
        for number, where in enumerate(("GPU", "1 threads", "8 threads")):
            exact = row[f"s per 1,000 updates, {where}"]
            assert float(told[number].replace(",", "")) == pytest.approx(exact, rel=0.05), (row["network"], where)
        errors = [row.get(f"squared error after 1000, {where}") for where in ("GPU", "8 threads")]
        assert told[5:7] == ["not measured" if error is None else f"{error:.4f}" for error in errors]
    errors_of = {(row["model"], row["device"]): row["RMSE"] for row in autogluon()}
    for model, seconds in seconds_by_model().items():
        (told,) = [words for what, words in rows.items() if f"`{model}`" in what]
        assert float(told[0]) == pytest.approx(seconds["cuda"], rel=0.05), model
        assert float(told[2]) == pytest.approx(seconds["cpu"], rel=0.05), model
        assert told[3].startswith("a GPU" if model in FASTER_ON_GPU else "the processor"), model
        assert told[5:7] == [f"{errors_of[model, device]:.3f}" for device in ("cuda", "cpu")], model
    forests: dict[str, dict[tuple[str, int], tuple[float, float]]] = {}
    for row in measured("boosted", "boosted", "h200"):
        where = row["device"], row["threads"]
        forests.setdefault(row["kind"], {})[where] = row["fit, s"], row["squared error"]
    for kind, found in forests.items():
        (told,) = [words for what, words in rows.items() if what.startswith(f"`{kind}`")]
        card, one, eight = found["cuda", 8], found["cpu", 1], found["cpu", 8]
        assert [float(words) for words in told[:3]] == [seconds for seconds, _ in (card, one, eight)]
        assert told[5:7] == [f"{error:.4f}" for _, error in (card, eight)]


@pytest.mark.parametrize(
    ("device", "gpu", "networks", "boosted", "tabm"),
    [
        ("auto", True, "auto", "cpu", "auto"),
        ("auto", False, "cpu", "cpu", "cpu"),
        ("cpu", True, "cpu", "cpu", "cpu"),
        ("cuda", True, "cuda", "cuda", "cuda"),
        # The job says why it cannot.
        ("cuda", False, "cuda", "cuda", "cuda"),
    ],
)
def test_where_each_kind_is_fitted(device: str, gpu: bool, networks: str, boosted: str, tabm: str) -> None:
    given = yaml.safe_load((ROOT / "config/every-kind.yaml").read_text()) | {"device": device}
    given["teachers"] = [
        {"name": "preset", "preset": "best"},
        {"name": "boosted", "preset": "medium", "hyperparameters": {"GBM": {}, "NN_TORCH": {}}},
        {"name": "tabm", "preset": "medium", "hyperparameters": {"GBM": {}, "TABM": {}}},
    ]
    for method in given["methods"]:
        if "teacher" in method:
            method["teacher"] = "preset"
    student = {"kind": "autogluon_student", "teacher": "preset"}
    given["methods"] += [
        {"name": "default-student", **student},
        {"name": "tabm-student", **student, "hyperparameters": {"TABM": {}}},
    ]
    plan = Plan(validated(given), gpu=gpu)
    for name in ("preset", "boosted", "default-student"):
        assert plan.autogluon_device(name) == boosted
    for name in ("tabm", "tabm-student"):
        assert plan.autogluon_device(name) == tabm
    for method in METHODS.values():
        assert plan.device(method) == (networks if method.faster_on_gpu else "cpu")


def test_no_preset_and_no_student_of_itself_has_a_model_that_is_faster_on_one() -> None:
    presets = TeacherSettings.model_json_schema()["properties"]["preset"]["enum"]
    for models in (*map(training.preset_hyperparameters, presets), distillation.DISTILLED):
        assert FASTER_ON_GPU.isdisjoint(models)


@pytest.mark.parametrize(
    ("device", "hardware", "boosted", "tabm"),
    [
        ("cpu", Device("cpu", 0), 0, 0),
        ("auto", Device("cpu", 0), 0, 0),
        ("auto", Device("cuda", 1), 0, 1),
        ("cuda", Device("cuda", 1), 1, 1),
    ],
)
def test_beside_a_model_on_the_gpu_the_others_are_fitted_by_the_processor(
    device: str, hardware: Device, boosted: int, tabm: int
) -> None:
    own = {"num_gpus": 0.5, "max_memory_usage_ratio": 2.0}
    given: dict[str, list[dict[str, Any]]] = {"GBM": [{"num_leaves": 3}, {"ag_args_fit": own}], "TABM": [{}]}
    assert training.placed(given, device, hardware) == {
        "GBM": [{"num_leaves": 3, "ag_args_fit": {"num_gpus": boosted}}, {"ag_args_fit": own}],
        "TABM": [{"ag_args_fit": {"num_gpus": tabm}}],
    }
