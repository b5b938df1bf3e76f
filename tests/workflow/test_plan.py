"""What a dry run promises, and what the configuration refuses before any job starts."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.planner import Planner
from tests.support.pretend_gpus import pretend
from tests.support.project import ROOT, snakemake

GYM = [
    f"{robot}-{quality}-v2"
    for robot in ("halfcheetah", "hopper", "walker2d")
    for quality in ("random", "medium", "medium-replay", "medium-expert")
]
MAZES = [f"antmaze-{maze}-v2" for maze in ("umaze", "umaze-diverse")]
MAZES += [f"antmaze-{maze}-{goals}-v2" for maze in ("medium", "large") for goals in ("play", "diverse")]
DIMENSIONS = {"halfcheetah": 6, "hopper": 3, "walker2d": 6, "antmaze": 8}


def jobs(output: str) -> dict[str, int]:
    """Rule names and job counts of a dry run's table."""
    return {name: int(count) for name, count in re.findall(r"^([a-z_]+) +(\d+)$", output, re.M)}


def test_bare_dry_run_plans_all_eighteen_datasets(project: Path) -> None:
    output = snakemake("-n", directory=project).stdout
    planned = jobs(output)
    for dataset in (*GYM, *MAZES):
        assert f"results/{dataset}/raw.hdf5" in output
    dimensions = sum(DIMENSIONS[name.split("-")[0]] for name in (*GYM, *MAZES))
    assert planned["download"] == planned["make_transitions"] == 18
    assert "train_behaviour" not in planned
    # Three seeds of the medium teacher everywhere, and of five more on one HalfCheetah dataset.
    assert planned["train_teacher"] == 3 * (dimensions + 5 * 6)
    assert planned["fit_student"] == planned["fit_catboost_student"] == planned["label_teacher"] == 3 * 18
    assert planned["fit_bc"] == 3 * 18 * 3
    assert {planned[f"fit_{kind}"] for kind in ("rvs_r", "mlp", "rcdtp", "rwdtp")} == {3 * 18}
    assert planned["fit_rvs_g"] == 3 * 6
    assert planned["rollout"] == (18 * 11 + 1 + 6) * 3


def test_the_estimate_is_of_snakemakes_own_plan(tmp_path: Path) -> None:
    """With GPUs that are not here, for the jobs that would ask for one."""
    command = [sys.executable, "-m", "d4rl_automl.plan.estimate", "--cores", "8", "--gpus", "1", "--card", "a5500"]
    (tmp_path / "auto.yaml").write_text("device: auto")
    configs = ["--configfile", str(ROOT / "config/quickstart.yaml"), "auto.yaml"]
    told = subprocess.run([*command, *configs], cwd=tmp_path, capture_output=True, text=True, check=True)
    rows = {row.split()[0]: re.split(r"  +", row) for row in told.stdout.splitlines()}
    assert [rows[rule][1] for rule in ("train_teacher", "rollout", "fit_mlp")] == ["3", "4", "1"]
    assert [rule for rule in ("train_teacher", "fit_student", "fit_mlp") if "data sheets" in rows[rule][-1]] == [
        "fit_student",
        "fit_mlp",
    ]
    needs = r"\S+ (s|min) of processor time, \S+ (s|min) of a GPU, \S+ MB of disk, \S+ GB of memory at most\."
    line = rf"About \S+ (s|min) on 8 cores and 1 GPU \(NVIDIA RTX A5500, by its data sheet\): {needs}"
    assert re.fullmatch(line, told.stdout.splitlines()[-1])
    assert not told.stderr and not (tmp_path / "results").exists()
    (tmp_path / "wrong.yaml").write_text("device: gpu")
    refused = subprocess.run(
        [*command, "--configfile", "wrong.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1 and 'device: found "gpu"; allowed: one of' in refused.stderr
    assert "Traceback" not in refused.stderr


def test_behaviour_policies_are_trained_when_asked_for(project: Path) -> None:
    asked = jobs(snakemake("-n", "behaviour", directory=project).stdout)
    assert asked == {"train_behaviour": 4, "choose_behaviour": 1, "plot_behaviour": 1, "behaviour": 1, "total": 7}


def test_data_of_the_embedded_config_are_all_eighteen_and_nothing_is_trained(project: Path) -> None:
    output = snakemake("data", "-n", "--configfile", "config/embedded.yaml", directory=project).stdout
    planned = jobs(output)
    for dataset in (*GYM, *MAZES):
        assert f"results/{dataset.removesuffix('-v2')}-embedded-v1/card.md" in output
    made = dict.fromkeys(("collect", "identify_simulator", "make_transitions", "make_card", "plot_card"), 18)
    assert planned == {**made, "merge_cards": 1, "data": 1, "total": 92}


def test_quickstart_means_the_same_over_the_benchmark_config_and_alone(project: Path, tmp_path: Path) -> None:
    over = snakemake("-n", "--configfile", "config/quickstart.yaml", directory=project).stdout
    (tmp_path / "elsewhere").mkdir()
    files = ("--snakefile", "workflow/Snakefile"), ("--configfile", "config/quickstart.yaml")
    named = [word for option, file in files for word in (option, str(project / file))]
    alone = snakemake("-n", *named, directory=tmp_path / "elsewhere").stdout
    assert jobs(over) == jobs(alone)
    commands = r"wildcards: .*|input: .*|output: .*"
    # Jobs that wait for nothing from each other are listed in any order.
    assert sorted(re.findall(commands, over)) == sorted(re.findall(commands, alone))


def test_own_data_go_over_the_benchmark_config_as_the_readme_says(project: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (snippet,) = re.findall(r"^```yaml\n(datasets:\n.*?)^```", readme, re.M | re.S)
    (project / "mine.yaml").write_text(snippet.replace("~/data/", ""))
    shutil.copy(project / "config/config.yaml", project / "my_hopper.hdf5")
    planned = jobs(snakemake("-n", "--configfile", "mine.yaml", directory=project).stdout)
    assert planned["link"] == planned["make_transitions"] == 1
    assert "download" not in planned


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"devise": "cpu"}, ["devise", "allowed are", "device"]),
        ({"device": "gpu"}, ["device: found", '"gpu"', "one of cpu, auto, cuda"]),
        ({"seeds": ["none"]}, ["seeds[0]", '"none"', "integer"]),
        ({"datasets": ["hopper-medum-v2"]}, ["datasets[0]", "hopper-medum-v2", "hopper-medium-v2"]),
        ({"teachers": [{"name": "t", "preset": "fast"}], "methods": [{"name": "mlp", "kind": "mlp"}]},
         ["teachers[0].preset", '"fast"', "medium, good, high, best"]),
        ({"methods": [{"name": "s", "kind": "student", "teacher": "nobody"}]}, ["methods[0].teacher", "nobody"]),
    ],
)  # fmt: skip
def test_wrong_config_is_refused_before_any_job(project: Path, change: dict[str, object], told: list[str]) -> None:
    config = yaml.safe_load((project / "config/quickstart.yaml").read_text()) | change
    (project / "wrong.yaml").write_text(yaml.safe_dump(config))
    done = snakemake("-n", "--configfile", "wrong.yaml", directory=project, check=False)
    assert done.returncode != 0
    assert "rule collect" not in done.stdout
    for part in told:
        assert part in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("cards", "arguments", "device"),
    [
        (["GPU-0"], (), "auto"),
        # Nothing waits for what is not there.
        ([], ("--resources", "gpu=1"), "cpu"),
        # The jobs are for other machines.
        ([], ("--jobs", "9", "--resources", "gpu=9"), "auto"),
    ],
    ids=["one", "none", "elsewhere"],
)
def test_jobs_that_a_gpu_makes_faster_ask_for_one_where_there_is_one(  # noqa: PLR0917  A case.
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cards: list[str],
    arguments: tuple[str, ...],
    device: str,
) -> None:
    pretend(tmp_path / "bin", monkeypatch, cards)
    quickstart = ("-n", "--configfile", "config/quickstart.yaml", "--config", "device=auto")
    told = snakemake(*quickstart, *arguments, directory=project).stdout
    asked = {
        rule: {word for word in resources.split(", ") if word.startswith(("gpu=", "device="))}
        for rule, resources in re.findall(r"rule (\w+):\n(?:    .*\n)*?    resources: (.*)\n", told)
    }
    gains, others = {"fit_student", "fit_mlp"}, {"train_teacher", "distill_teacher", "fit_teacher"}
    assert {rule for rule in asked if "gpu=1" in asked[rule]} == (gains if device == "auto" else set())
    for rule in gains | others:
        assert f"device={device if rule in gains else 'cpu'}" in asked[rule], rule


def test_every_job_has_a_log_an_environment_and_its_code_and_asks_for_more_each_time(project: Path) -> None:
    with Planner() as planner:
        jobs = planner.plan(
            project, "config/every-kind.yaml", ("all", "csv", "films", "behaviour"), every=True, code=True
        )
    targets = {"all", "csv", "films", "behaviour"}
    assert {job.rule for job in jobs.values() if not job.command} == targets
    for job in jobs.values():
        if job.rule not in targets:
            assert job.log and job.environment and (job.code or job.rule == "admit"), job.id
            for resource in ("mem_mb", "runtime"):
                first, second = job.demands[resource]
                assert first and second == 2 * first, (job.id, resource)
        assert job.demands["gpu"] in ([None, None], [0, 0])


def test_every_rule_says_what_it_does(project: Path) -> None:
    said = snakemake("--list-rules", "--configfile", "config/every-kind.yaml", directory=project).stdout
    listed = re.findall(r"^([a-z_]+)( \(.+\))?$", said, re.M)
    assert {"all", "fit_rvs_r", "plot_returns"} <= {rule for rule, _ in listed}
    assert [rule for rule, told in listed if not told] == []


def test_memory_and_time_double_with_every_attempt(project: Path) -> None:
    (project / "jobs.smk").write_text("""
configfile: "config/quickstart.yaml"
include: "workflow/rules/common.smk"

rule fails_twice:
    output: "done.txt"
    resources: mem_mb=growing(300), runtime=growing(lambda wildcards: 7)
    shell: "echo {resources.mem_mb} {resources.runtime} >> attempts.txt;"
        " [ $(wc -l < attempts.txt) = 3 ] && touch {output}"
""")
    snakemake("--snakefile", "jobs.smk", "--cores", "1", "--retries", "2", directory=project)
    assert (project / "attempts.txt").read_text() == "300 7\n600 14\n1200 28\n"


def test_teacher_on_more_rows_asks_for_more_memory(project: Path) -> None:
    def memory(rows: int | None) -> int:
        teacher = {"name": "tried", "preset": "medium", "rows": rows}
        config = yaml.safe_load((project / "config/quickstart.yaml").read_text())
        config |= {"teachers": [teacher], "methods": [{"name": "teacher", "kind": "teacher", "teacher": "tried"}]}
        (project / "rows.yaml").write_text(yaml.safe_dump(config))
        plan = snakemake("teachers", "-n", "--configfile", "rows.yaml", directory=project).stdout
        return int(re.search(r"rule train_teacher:\n(?:    .*\n)*?    resources: .*mem_mb=(\d+)", plan)[1])

    assert memory(50_000) < memory(1_000_000) < memory(None)


def test_every_profile_keeps_what_the_default_one_sets() -> None:
    default, slurm = (
        yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm")
    )
    assert default.items() <= slurm.items()


def test_default_profile_is_found_wherever_it_is_run(project: Path, tmp_path: Path) -> None:
    """Snakemake looks in the working directory, then beside the Snakefile (workflow/profiles is a link)."""
    (tmp_path / "elsewhere").mkdir()
    quickstart = str(project / "config/quickstart.yaml")
    snakefile = str(project / "workflow/Snakefile")
    for arguments, directory in ((), project), (("--snakefile", snakefile), tmp_path / "elsewhere"):
        told = snakemake("-n", *arguments, "--configfile", quickstart, directory=directory).stdout
        assert re.search(r"workflow specific profile \S*profiles/default for setting", told), told[:500]
