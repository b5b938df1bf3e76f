import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from d4rl_automl.core import gpus
from d4rl_automl.methods import mlp
from tests.support.pretend_gpus import pretend

ROOT = Path(__file__).parents[2]

SCRIPT = """
import logging
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.script import run

def main():
    logging.info("working")
    {last}

run(main)
"""


def run_script(last: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT.format(last=last)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "last, code, told",
    [
        ("pass", 0, ""),
        ("raise InputError('data.csv: empty')", 1, "error: data.csv: empty"),
        ("raise OSError(28, 'No space left on device')", 1, "error: the disk is full"),
        ("raise OSError(122, 'Disk quota exceeded')", 1, "error: your quota of the disk is used up"),
        ("raise RuntimeError('CUDA out of memory. Tried to')", 1, "error: not enough memory on the GPU"),
        ("raise RuntimeError('std::bad_alloc')", 1, "error: not enough memory (RuntimeError: std::bad_alloc)"),
        ("raise OSError(30, 'Read-only file system: no name')", 1, "error: OSError: [Errno 30] Read-only file system"),
        ("raise PermissionError(13, 'Permission denied', 'results/a')", 1, "error: results/a: Permission denied"),
        ("bytearray(2**62)", 1, "error: not enough memory"),
        ("import nowhere.nobody", 1, f"error: {sys.executable} has no package 'nowhere': run this where"),
        ("import d4rl_automl.nobody", 1, "Traceback"),
        ("raise KeyError('ours')", 1, "Traceback"),
    ],
)
def test_every_end_is_told_with_its_processor_time(last, code, told):
    done = run_script(last)
    assert done.returncode == code
    assert "INFO working" in done.stderr
    assert told in done.stderr
    assert ("Traceback" in done.stderr) == (told == "Traceback")
    # What benchmarks/costs.py reads.
    assert len(re.findall(r"INFO \d+\.\d\d s of processor time$", done.stderr, re.MULTILINE)) == 1


@pytest.mark.parametrize(("how", "seen"), [("main", "''"), ("main, gpu=True", "'7'")])
def test_who_does_not_train_finds_no_gpu(how, seen, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    script = SCRIPT.replace("run(main)", f"run({how})").replace("import logging", "import logging, os, subprocess, sys")
    child = "import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    told = script.format(last=f"subprocess.run([sys.executable, '-c', {child!r}], check=True)")
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == seen


def test_the_scripts_that_may_use_a_gpu_are_those_that_train():
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py") if "gpu=True" in path.read_text()}
    assert scripts == {"train_teacher", "distill_teacher", "fit_policy"}
    for name in scripts:
        assert 'gpus.take(given["device"])' in (ROOT / f"scripts/{name}.py").read_text()


@pytest.mark.parametrize(("device", "given", "seen"), [("auto", [], "GPU-1"), ("cpu", ["--deployed", "ac0"], "")])
def test_a_policy_sees_the_gpu_that_it_is_fitted_on_and_no_other(monkeypatch, tmp_path, device, given, seen):
    spec = importlib.util.spec_from_file_location("fit_policy", ROOT / "scripts/fit_policy.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    pretend(tmp_path / "bin", monkeypatch, ["GPU-0", "GPU-1"])
    monkeypatch.setattr(gpus, "FOLDERS", (tmp_path,))
    monkeypatch.setattr(gpus, "_held", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    settings = json.dumps({"name": "m", "kind": "mlp"})
    common = ["--settings", settings, "--transitions", "t", "--seed", "0", "--device", device]
    monkeypatch.setattr(sys, "argv", ["fit_policy", *common, "--threads", "1", "--output", "o", *given])
    found = []

    def fit(settings, **arguments):
        found.append((os.environ["CUDA_VISIBLE_DEVICES"], settings, arguments.get("deployed")))

    monkeypatch.setattr(mlp, "fit", fit)
    script.main()
    assert found == [(seen, mlp.Settings(name="m", kind="mlp"), ["ac0"] if given else None)]
