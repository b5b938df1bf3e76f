"""The workflow on a real Slurm of one node with one GPU: what it asks for, and what it does when jobs die."""

import itertools
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.support.project import copy_project, snakemake
from tests.support.slurm import Slurm, Submission, span, submit

DATASET = "hopper-medium-expert-embedded-tiny"
TEACHER = {"teacher": "medium-capped", "selection_episodes": 1, "report_episodes": 1}
NETWORK = {"network": {"width": 32}, "updates": 100}

# The quickstart's methods on fewer transitions, with smaller models, and with the GPU.
CUT = {
    "datasets": [
        {"name": DATASET, "provider": "embedded", "task": "hopper", "recipe": "medium-expert", "transitions": 6000}
    ],
    "device": "auto",
    "split": {"validation": 0.2, "test": 0.2},
    "teachers": [
        {"name": "medium-capped", "preset": "medium", "rows": 2000, "time_limit": 60}
        | {"hyperparameters": {"NN_TORCH": {"num_epochs": 2}}}
    ],
    "methods": [
        {"name": "teacher", "kind": "teacher"} | TEACHER,
        {"name": "autogluon-student", "kind": "autogluon_student", "hyperparameters": {"NN_TORCH": {"num_epochs": 2}}}
        | {"export": True}
        | TEACHER,
        {"name": "student", "kind": "student", "teacher": "medium-capped"} | NETWORK,
        {"name": "mlp", "kind": "mlp"} | NETWORK,
        {"name": "bc", "kind": "bc"} | NETWORK,
        {"name": "rvs", "kind": "rvs"} | NETWORK,
    ],
    "labels": {"recorded": 1000, "perturbed": 500, "commanded": 500},
    "rollout": {"fractions": [0.3, 1.0], "selection_episodes": 1, "report_episodes": 1},
}
CONFIG = ("--configfile", "config/quickstart.yaml", "cut.yaml")

# What a user writes once for his cluster, as docs/cluster.md has it.
MINE = {"slurm-partition-config": "partitions.yaml", "latency-wait": 5}
PARTITIONS = {"partitions": {"cpu": {"max_runtime": "7d"}, "gpu": {"max_runtime": "7d", "max_gpu": 1}}}

GPU_RULES = {"fit_student", "fit_mlp", "fit_bc", "fit_rvs"}
CPU_RULES = {
    *(
        "collect",
        "identify_simulator",
        "make_transitions",
        "make_card",
        "evaluate_teacher",
        "measure_importance",
        "label_teacher",
    ),
    *("train_teacher", "distill_teacher", "fit_teacher", "export_autogluon_student", "compare_students"),
}


@dataclass
class Quickstart:
    """A quickstart of which one job was cancelled by hand, called again afterwards."""

    project: Path
    cancelled: str
    """What the first call printed."""
    resumed: str
    """What the second call printed."""
    before: dict[Path, int]
    """The files that the first call left, with the times they were written."""
    jobs: list[dict[str, str]]


def make_project(folder: Path) -> Path:
    project = copy_project(folder)
    (project / "cut.yaml").write_text(yaml.safe_dump(CUT))
    (project / "mine").mkdir()
    (project / "mine/config.yaml").write_text(yaml.safe_dump(MINE))
    (project / "mine/partitions.yaml").write_text(yaml.safe_dump(PARTITIONS))
    return project


@pytest.fixture(scope="module")
def quickstart(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Quickstart:
    project = make_project(tmp_path_factory.mktemp("quickstart") / "project")
    earlier = len(slurm.jobs())
    with Submission(project, "teachers", "--profile", "mine", "--retries", "0", *CONFIG) as first:
        slurm.cancel("train_teacher")
        cancelled = first.finish(check=False)
    before = {path: path.stat().st_mtime_ns for path in project.glob(f"results/{DATASET}/**/*.*") if path.is_file()}
    resumed = submit(project, "--profile", "mine", *CONFIG)
    return Quickstart(project, cancelled, resumed, before, slurm.jobs()[earlier:])


def named(jobs: list[dict[str, str]], rule: str) -> list[dict[str, str]]:
    return [job for job in jobs if job["Rule"] == rule]


def test_quickstart_runs_to_its_scores(quickstart: Quickstart) -> None:
    scores = pd.read_csv(quickstart.project / "results/scores.csv")
    assert set(scores["method"]) == {method["name"] for method in CUT["methods"]}
    assert (quickstart.project / "results/report/index.html").exists()
    costs = pd.read_csv(quickstart.project / "results/costs.csv")
    assert (costs["seconds"] > 0).all()


def test_gpu_jobs_ask_for_one_gpu_and_no_other_job_does(quickstart: Quickstart) -> None:
    assert {job["Rule"] for job in quickstart.jobs} >= GPU_RULES
    for job in quickstart.jobs:
        asked = job.get("TresPerJob"), job["Partition"]
        assert asked == (("gres:gpu:1", "gpu") if job["Rule"] in GPU_RULES else (None, "cpu")), job


def test_gpu_jobs_run_one_at_a_time(quickstart: Quickstart) -> None:
    training = sorted(span(job) for job in quickstart.jobs if job["Rule"] in GPU_RULES)
    assert len(training) == 4
    for (_, end), (start, _) in itertools.pairwise(training):
        assert start >= end


def test_gpu_jobs_wait_in_slurms_queue_not_in_snakemakes(quickstart: Quickstart) -> None:
    training = [job for job in quickstart.jobs if job["Rule"] in GPU_RULES]
    assert any(later["SubmitTime"] < earlier["EndTime"] for earlier, later in itertools.pairwise(training))


def test_light_rules_are_not_submitted_and_rollouts_are_grouped(quickstart: Quickstart) -> None:
    groups = {f"rollouts-{DATASET}-{method['name']}_rollout" for method in CUT["methods"]}
    assert {job["Rule"] for job in quickstart.jobs} == GPU_RULES | CPU_RULES | groups
    for group in groups:
        assert len(named(quickstart.jobs, group)) == 1
    rollouts = list(quickstart.project.glob(f"results/{DATASET}/rollouts/*.parquet"))
    assert len(rollouts) == 2 * len(groups)


def test_cancelled_job_is_reported(quickstart: Quickstart) -> None:
    (job,) = [job for job in quickstart.jobs if job["JobState"] == "CANCELLED"]
    assert re.search(rf"SLURM-job '{job['JobId']}' failed, SLURM status is: 'CANCELLED'", quickstart.cancelled)
    assert "Error in rule train_teacher:" in quickstart.cancelled


def test_next_call_redoes_only_what_was_cancelled(quickstart: Quickstart) -> None:
    # The other two action dimensions went on when the one was cancelled.
    assert len([path for path in quickstart.before if re.fullmatch(r"ac\d\.csv", path.name)]) == 2
    for path, written in quickstart.before.items():
        assert path.stat().st_mtime_ns == written, path
    for rule, jobs in {"collect": 1, "make_transitions": 1, "train_teacher": 4, "evaluate_teacher": 1}.items():
        assert len(named(quickstart.jobs, rule)) == jobs, rule


SNAKEFILE = """
configfile: "config/quickstart.yaml"
include: "workflow/rules/common.smk"

rule holds_much:
    output: "much.txt"
    resources: mem_mb=growing(400), runtime=growing(5)
    shell: "echo {resources.mem_mb} {resources.runtime} >> attempts.txt;"
        " {PYTHON} -c 'import time; held = b\\"x\\" * 500_000_000; time.sleep(10)' && touch {output}"

rule sees_the_gpu:
    output: "gpu.txt"
    resources: mem_mb=1000, runtime=5, gpu=1
    shell: "echo $CUDA_VISIBLE_DEVICES > {output}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = make_project(tmp_path / "project")
    (made / "jobs.smk").write_text(SNAKEFILE)
    return made


def test_job_out_of_memory_is_killed_and_submitted_with_more(slurm: Slurm, project: Path) -> None:
    output = submit(project, "much.txt", "--snakefile", "jobs.smk")
    killed, finished = slurm.jobs()[-2:]
    assert killed["Rule"] == finished["Rule"] == "holds_much"
    assert "mem=400M" in killed["TRES"] and "mem=800M" in finished["TRES"]
    assert killed["JobState"] != "COMPLETED" and finished["JobState"] == "COMPLETED"
    assert f"SLURM-job '{killed['JobId']}' failed" in output
    assert re.search(rf"StepId={killed['JobId']}\.\d+ exceeded memory limit", slurm.log("slurmd"))
    assert (project / "attempts.txt").read_text() == "400 5\n800 10\n"


def test_gpu_job_gets_the_device_from_slurm(slurm: Slurm, project: Path) -> None:
    submit(project, "gpu.txt", "--snakefile", "jobs.smk")
    assert (project / "gpu.txt").read_text() == "0\n"


IMPORTING = """
configfile: "mine.yaml"

module d4rl:
    snakefile: "../project/workflow/Snakefile"
    config: config["d4rl"]
    prefix: "d4rl"

use rule * from d4rl as d4rl_*

rule own:
    input: rules.d4rl_collect.output.raw.format(dataset=DATASET)
    output: "own.txt"
    resources: mem_mb=1000, runtime=5
    shell: "declare -F > {output}; env | grep D4RL_AUTOML >> {output} || true"
""".replace("DATASET", repr(DATASET))


def test_jobs_of_a_workflow_that_imports_this_one(slurm: Slurm, project: Path) -> None:
    mine = project.parent / "mine"
    shutil.copytree(project / "profiles/slurm", mine / "profiles/slurm")
    (mine / "Snakefile").write_text(IMPORTING)
    (mine / "mine.yaml").write_text(yaml.safe_dump({"d4rl": CUT}))
    submit(mine, "own.txt")
    assert [job["Rule"] for job in slurm.jobs()[-2:]] == ["d4rl_collect", "own"]
    assert (mine / "own.txt").read_text() == ""


def test_slurm_profile_plans_the_same_jobs(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")

    def jobs(output: str) -> list[str]:
        return re.findall(r"^[a-z_]+ +\d+$", output, re.M)

    quickstart = ("-n", "--configfile", "config/quickstart.yaml")
    local = jobs(snakemake(*quickstart, directory=project).stdout)
    assert jobs(snakemake("--profile", "profiles/slurm", *quickstart, directory=project).stdout) == local
    assert jobs(snakemake("--workflow-profile", "profiles/slurm", *quickstart, directory=project).stdout) == local
