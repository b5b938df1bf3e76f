"""Snakemake or a job killed at every stage, Ctrl-C, two Snakemakes: nothing finished is redone, no half is used."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from d4rl_automl.core import files, paths
from tests.support.faults import ARGUMENTS, DATASET, Run, all_end, half_written, jobs, remove, stamps
from tests.support.hosts import CONFIG, D4RL, Hosts, hdf5, left, provide
from tests.support.project import SNAKEMAKE, copy_project, environment, snakemake

HERE = f"results/{DATASET}"
# Of each stage an output whose job has written others before, where it has several: they look finished.
STAGES = {
    "collect": f"{HERE}/raw.hdf5",
    "make_transitions": f"{HERE}/transitions.parquet",
    "train_teacher": f"{HERE}/teachers/tiny-s0/ac0",
    "fit_student": f"{HERE}/policies/student-s0.json",
    "rollout": f"{HERE}/rollouts/student-s0.d4rl.report.parquet",
    "plot_returns": f"{HERE}/figures/returns.d4rl.svg",
}


def written(said: str) -> list[str]:
    """The outputs and benchmarks of the jobs that were run."""
    return [path for line in re.findall(r"^ +(?:output|benchmark): (.*)$", said, re.M) for path in line.split(", ")]


def same(one: Path, other: Path) -> bool:
    """Whether two outputs are the same, times in them and pickles aside."""
    if one.is_dir():
        return {path.relative_to(one) for path in one.rglob("*")} == {
            path.relative_to(other) for path in other.rglob("*")
        }
    if one.suffix == ".parquet":
        return pq.read_table(one).equals(pq.read_table(other))
    if one.suffix == ".json":
        return same(one.with_suffix(".onnx"), other.with_suffix(".onnx"))
    return files.sha256(one) == files.sha256(other)


@pytest.mark.parametrize("rule", STAGES)
def test_a_kill_costs_the_job_and_no_more(finished: Path, project: Path, rule: str) -> None:
    output = project / STAGES[rule]
    remove(output)

    run = Run(project, STAGES[rule])
    job, *others = run.held()
    job.kill()
    said = run.said()
    run.release()
    assert run.process.returncode == 1
    assert f"Error in rule {rule}" in said
    assert "a process was killed (SIGKILL), by somebody or by the system for lack of memory" in said
    assert all_end(others)
    assert half_written(project)
    assert not output.exists()

    run = Run(project, STAGES[rule])
    processes = run.held()
    run.process.kill()
    # The job of a killed Snakemake ends by itself, and takes along what it had half-written.
    assert all_end(processes)
    run.said()
    run.release()
    assert not half_written(project)
    assert not output.exists()
    before = stamps(project)

    snakemake("--unlock", directory=project)
    said = snakemake(*ARGUMENTS, STAGES[rule], directory=project).stdout
    assert jobs(said) == [rule]
    assert same(output, finished / STAGES[rule])
    # Each start says anew what it reckons with.
    own = [project / path for path in [*written(said), paths.ESTIMATE]]
    after = stamps(project)
    for path, stamp in before.items():
        assert after[path] == stamp or any(path.is_relative_to(mine) for mine in own)
    assert not half_written(project)


def test_a_download_goes_on_where_a_kill_ended_it(tmp_path: Path, hosts: Hosts) -> None:
    project = copy_project(tmp_path / "project")
    body = hdf5(project / "a.hdf5", "hopper")
    name = provide(project, hopper_medium_v2=body)["hopper-medium-v2"]
    third = len(body) // 3
    hosts.answers = {(D4RL, name): [(body, third), (body, 2 * third), (body, len(body))]}
    part = project / "results/hopper-medium-v2/raw.hdf5.part"
    command = [SNAKEMAKE, "--cores", "1", "transitions", *CONFIG]
    with (project / "said.txt").open("w") as said:
        run = subprocess.Popen(command, cwd=project, env=environment(), stdout=said, stderr=subprocess.STDOUT)

    def arrived(size: int) -> None:
        # The last block of what was sent may still be on its way.
        while not (part.exists() and part.stat().st_size >= size):
            assert run.poll() is None, (project / "said.txt").read_text()
            time.sleep(0.05)

    def job() -> psutil.Process:
        return next(
            one for one in psutil.Process(run.pid).children(recursive=True) if "fetch_dataset.py" in str(one.cmdline())
        )

    arrived(third)
    job().kill()
    # Snakemake itself tries again (retries).
    arrived(2 * third)
    second = job()
    run.kill()
    run.wait()
    assert all_end([second])
    assert left(project, "hopper-medium-v2") == ["raw.hdf5.part"]
    snakemake("--unlock", *CONFIG, directory=project)
    said_then = snakemake("--cores", "1", "transitions", *CONFIG, directory=project).stdout
    assert jobs(said_then) == ["download", "make_transitions", "transitions"]
    assert hosts.asked[D4RL, name] == [None, f"bytes={third}-", f"bytes={2 * third}-"]
    assert (project / "results/hopper-medium-v2/raw.hdf5").read_bytes() == body
    assert left(project, "hopper-medium-v2") == ["raw.hdf5", "raw.json"]


def test_ctrl_c_leaves_no_lock_and_nothing_half_written(project: Path) -> None:
    output = STAGES["train_teacher"]
    remove(project / output)
    run = Run(project, output)
    processes = run.held()
    os.killpg(run.process.pid, signal.SIGINT)
    said = run.said()
    run.release()
    assert run.process.returncode != 0
    assert "Terminating processes on user request" in said
    assert all_end(processes)
    assert not half_written(project)
    assert jobs(snakemake(*ARGUMENTS, output, directory=project).stdout) == ["train_teacher"]


def test_a_second_snakemake_is_refused_and_leaves_the_first_alone(finished: Path, project: Path) -> None:
    output = STAGES["fit_student"]
    remove(project / output)
    run = Run(project, output)
    run.held()
    second = snakemake(*ARGUMENTS, output, directory=project, check=False)
    assert second.returncode == 1
    assert "Directory cannot be locked" in second.stdout
    assert "--unlock" in second.stdout
    run.release()
    run.said()
    assert run.process.returncode == 0
    assert same(project / output, finished / output)
    assert not half_written(project)
