"""A machine that gives out: disk, memory, permissions, clock, GPU, and processes that are killed."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.faults import ARGUMENTS, CONFIG, DATASET, FIGURE, Mounts, all_end, half_written, jobs, remove, stamps
from tests.support.project import snakemake

HERE = f"results/{DATASET}"
FILL = 'head -c 64M /dev/zero > "$0" 2>/dev/null; truncate --size=-4K "$0"'
ROLLOUT = f"{HERE}/rollouts/student-s0.d4rl.report.parquet"


@pytest.mark.parametrize(
    "output",
    [
        f"{HERE}/raw.hdf5",
        f"{HERE}/transitions.parquet",
        f"{HERE}/teachers/tiny-s0/ac0",
        f"{HERE}/policies/student-s0.json",
        f"{HERE}/figures/returns.d4rl.png",
    ],
    ids=["collection", "transitions", "teacher", "student", "plot"],
)
def test_a_full_disk(project: Path, mounts: Mounts, output: str) -> None:
    folder = project / HERE
    shutil.move(folder, project / "away")
    folder.mkdir()
    mounts.run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder))
    mounts.run("cp", "--archive", f"{project}/away/.", str(folder))
    # Snakemake deletes all outputs of a job before it starts it, and would make room.
    made = mounts.path(project / output)
    for path in made.parent.glob(f"{made.name.split('.')[0]}*"):
        remove(path)
    mounts.run("sh", "-c", FILL, str(folder / "filler"))
    failed = snakemake(*ARGUMENTS, output, directory=project, check=False, within=mounts.within)
    assert failed.returncode == 1
    assert re.search(r"^error: (model \w+: )?the disk is full", failed.stdout, re.M)
    assert "Traceback" not in failed.stdout
    assert not made.exists()
    assert not half_written(mounts.path(project))

    mounts.run("rm", str(folder / "filler"))
    snakemake(*ARGUMENTS, output, directory=project, within=mounts.within)
    assert made.exists()


def test_too_little_memory(project: Path) -> None:
    (project / "many.yaml").write_text("rollout: {report_episodes: 2000000}")
    many = ("--configfile", "tiny.yaml", "many.yaml", "--cores", "2")
    failed = snakemake(*many, ROLLOUT, directory=project, check=False, within=["prlimit", f"--as={2 * 2**30}"])
    assert failed.returncode == 1
    assert "error: not enough memory" in failed.stdout
    assert "Traceback" not in failed.stdout
    assert not (project / ROLLOUT).exists()
    snakemake(*ARGUMENTS, ROLLOUT, directory=project)


def test_a_teacher_is_not_made_without_a_model_that_memory_did_not_suffice_for(project: Path) -> None:
    models = {"GBM": {"num_boost_round": 5}, "NN_TORCH": {"hidden_size": 60000, "num_layers": 2, "num_epochs": 1}}
    settings = CONFIG["teachers"][0] | {"time_limit": 600, "hyperparameters": models}
    command = [sys.executable, "scripts/train_teacher.py", "--settings", json.dumps(settings)]
    command += ["--transitions", f"{HERE}/transitions.parquet", "--dimension", "0", "--seed", "0", "--device", "cpu"]
    command += ["--threads", "1", "--predictor", "made/ac0", "--deployed", "made/deployed"]
    command += ["--metrics", "made/ac0.csv", "--leaderboard", "made/leaderboard.csv"]
    failed = subprocess.run(
        ["prlimit", f"--as={10 * 2**30}", *command],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        check=False,
        text=True,
        stderr=subprocess.PIPE,
    )
    assert failed.returncode == 1
    assert "error: model NeuralNetTorch: not enough memory" in failed.stderr
    assert not list((project / "made").rglob("*"))


def test_results_that_are_read_only(project: Path, mounts: Mounts) -> None:
    results = project / "results"
    before = stamps(project)
    mounts.run("mount", "--bind", str(results), str(results))
    mounts.run("mount", "-o", "remount,bind,ro", str(results))
    assert "Nothing to be done" in snakemake(*ARGUMENTS, FIGURE, directory=project, within=mounts.within).stdout
    again = ("--forcerun", "plot_returns")
    failed = snakemake(*ARGUMENTS, FIGURE, *again, directory=project, check=False, within=mounts.within)
    assert failed.returncode == 1
    assert "Write-protected output files for rule plot_returns" in failed.stdout
    card = f"{HERE}/card.json"
    failed = snakemake(*ARGUMENTS, card, directory=project, check=False, within=mounts.within)
    assert failed.returncode == 1
    assert f"Read-only file system: '{HERE}/simulator.json'" in failed.stdout
    assert stamps(project) == before


def test_a_clock_that_was_set_back(project: Path) -> None:
    """As if the results had been made before the clock was set back by a day."""
    ahead = 24 * 3600 * 10**9
    for path in (project / "results").rglob("*"):
        stat = path.lstat()
        os.utime(path, ns=(stat.st_atime_ns + ahead, stat.st_mtime_ns + ahead), follow_symlinks=False)
    done = snakemake(*ARGUMENTS, "-n", FIGURE, directory=project)
    assert "Nothing to be done" in done.stdout
    remove(project / ROLLOUT)
    refused = snakemake(*ARGUMENTS, ROLLOUT, directory=project, check=False)
    assert refused.returncode == 1
    first = ROLLOUT.replace("report", "selection")
    assert re.search(rf"Output {first} has older modification time .* than input .* clock skew", refused.stdout)
    snakemake(*ARGUMENTS, FIGURE, "--touch", "--forceall", directory=project)
    assert jobs(snakemake(*ARGUMENTS, ROLLOUT, FIGURE, directory=project).stdout) == [
        "rollout",
        "choose_target",
        "plot_returns",
    ]


def test_a_gpu_that_is_not_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    student = f"{HERE}/policies/student-s0.json"
    remove(project / student)
    asked = snakemake(
        *ARGUMENTS, student, "--config", "device=cuda", "--allowed-rules", "fit_student", directory=project, check=False
    )
    assert asked.returncode == 1
    assert "error: device: found 'cuda', but torch" in asked.stdout
    assert "Traceback" not in asked.stdout
    # Where it is known before the job that there is none, it is told to use the processor.
    snakemake(*ARGUMENTS, student, "--config", "device=auto", "--allowed-rules", "fit_student", directory=project)
    assert (project / student).exists()


def collect(project: Path) -> list[str]:
    entry = {"name": "hopper-embedded-x", "provider": "embedded", "task": "hopper", "recipe": "random"}
    asked = ["--entry", json.dumps(entry | {"transitions": 10**6}), "--d4rl-dir", "", "--mirrors"]
    return ["fetch_dataset", *asked, "--output", "made/x", "--provenance", "made/raw.json"]


def rollout(project: Path) -> list[str]:
    policy = ["--policy", f"{HERE}/policies/student-s0.json", "--dataset", DATASET, "--fractions", "0.3", "1"]
    return ["rollout", *policy, "--simulator", "d4rl", "--play", "report", "20000", "made/x", "--seed", "0"]


@pytest.mark.parametrize("arguments", [collect, rollout])
def test_a_worker_that_is_killed_ends_its_job(project: Path, arguments: Callable[[Path], list[str]]) -> None:
    script, *others = arguments(project)
    command = [sys.executable, str(project / f"scripts/{script}.py"), *others, "--threads", "2"]
    with subprocess.Popen(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        workers: list[psutil.Process] = []
        # Busy for longer than it takes to import what they need: in the midst of their episodes.
        while len(workers) < 2 or min(worker.cpu_times().user for worker in workers) < 3:
            assert job.poll() is None
            time.sleep(0.1)
            workers = [child for child in psutil.Process(job.pid).children() if "spawn_main" in str(child.cmdline())]
        workers[0].kill()
        said = job.communicate()[1]
    assert job.returncode == 1
    # Of a pool's process Python does not tell how it ended.
    assert re.search("^error: a process (was killed|ended before its time)", said, re.M)
    assert "Traceback" not in said
    assert all_end(workers)
    assert not list((project / "made").glob("*"))
