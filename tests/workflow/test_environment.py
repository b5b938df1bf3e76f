"""The caller's shell and folder: what of them reaches a job or a plan, and what is refused before any job."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.support import hostile
from tests.support.project import ROOT, environment, snakemake
from tests.support.tiny import ARGUMENTS

TELLING = """
include: "workflow/rules/common.smk"

rule tell:
    output: "told.txt"
    threads: 2
    shell: "env -0 > {output}"
"""
MINE = {
    "datasets": [{"name": "mine", "provider": "file", "task": "hopper", "path": "mine.hdf5"}],
    "teachers": [],
    "methods": [{"name": "mlp", "kind": "mlp"}],
}


def within(variables: Mapping[str, str]) -> list[str]:
    return ["env", *(f"{name}={value}" for name, value in variables.items())]


# Jobs ---------------------------------------------------------------------------------------------------------------


def test_a_job_has_the_callers_variables_but_for_those_that_change_results(project: Path, tmp_path: Path) -> None:
    strange = hostile.environment(tmp_path) | {"OMP_NUM_THREADS": "64", "MKL_NUM_THREADS": "64"}
    (project / "mine.yaml").write_text(yaml.safe_dump(MINE))
    (project / "jobs.smk").write_text(TELLING)
    arguments = ("--snakefile", "jobs.smk", "--configfile", "mine.yaml", "--cores", "2")
    snakemake(*arguments, directory=project, within=within(strange | hostile.RESPECTED))
    seen = dict(line.split("=", 1) for line in (project / "told.txt").read_text().split("\0") if "=" in line)
    assert {name: seen.get(name) for name in hostile.RESPECTED} == hostile.RESPECTED
    reached = {name for name in strange if seen.get(name) == strange[name]}
    assert reached == {"LC_ALL"}
    assert strange["LC_ALL"] == "C"
    assert {name: value for name, value in seen.items() if name.startswith("PYTHON")} == {
        **{"PYTHONPATH": f"{project}/src", "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1", "PYTHONHASHSEED": "0"}
    }
    assert seen["MPLBACKEND"] == "agg"
    # Of threads a rule's own, from Snakemake.
    assert seen["OMP_NUM_THREADS"] == seen["MKL_NUM_THREADS"] == "2"


def test_the_finished_run_ran_in_such_a_shell_and_is_not_stale_in_another(tiny_run: Path, tmp_path: Path) -> None:
    """Digests depend neither on the locale nor on how Python runs."""
    project = shutil.copytree(tiny_run, tmp_path / "project", symlinks=True)
    assert (project / "somebody/matplotlibrc").exists()
    other = within(hostile.ASCII | {"PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "8"})
    assert "Nothing to be done" in snakemake(*ARGUMENTS, "-n", directory=project, within=other).stdout


def test_letters_that_plan_and_jobs_would_write_differently_are_refused(project: Path) -> None:
    config = MINE | {"datasets": [MINE["datasets"][0] | {"path": "данные.hdf5"}]}
    (project / "mine.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    arguments = ("-n", "--quiet", "rules", "--configfile", "mine.yaml")
    done = snakemake(*arguments, directory=project, check=False, within=within(hostile.ASCII))
    assert done.returncode != 0
    for part in ("config: ", "ascii", "PYTHONUTF8=1"):
        assert part in done.stdout
    assert "Traceback" not in done.stdout


def test_what_snakemake_reads_or_prints_in_any_locale_is_ascii() -> None:
    files = [ROOT / "workflow/Snakefile", *ROOT.glob("workflow/rules/*.smk"), *ROOT.glob("profiles/*/config.yaml")]
    assert [file for file in files if not file.read_text(encoding="utf-8").isascii()] == []


# The base of the config ---------------------------------------------------------------------------------------------


def methods(plan: str) -> set[str]:
    return set(re.findall(r"method=([\w-]+)", plan))


def test_the_base_is_the_folders_own_or_else_the_workflows(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "short.yaml").write_text("datasets: [hopper-medium-v2]\nteachers: []\nseeds: [5]\n")
    arguments = ("--directory", str(elsewhere), "--configfile", str(elsewhere / "short.yaml"), "-n")
    kinds = yaml.safe_load((project / "config/config.yaml").read_text())["methods"]
    # A method of a teacher has none: the base, which has such methods, was read.
    done = snakemake(*arguments, directory=project, check=False)
    taught = next(method["teacher"] for method in kinds if "teacher" in method)
    assert done.returncode != 0 and f"found '{taught}'" in done.stdout
    for read in (project / "config/config.yaml", elsewhere / "short.yaml"):
        assert str(read) in done.stdout
    (elsewhere / "config").mkdir()
    (elsewhere / "config/config.yaml").write_text("methods: [{name: own, kind: mlp}]\n")
    assert methods(snakemake(*arguments, directory=project).stdout) == {"own"}


# What a YAML file would lose ----------------------------------------------------------------------------------------


def test_what_yaml_would_lose_is_refused(project: Path) -> None:
    mine = project / "mine.yaml"
    mine.write_text(yaml.safe_dump(MINE) + "seeds: [1]\nseeds: [2]\n")
    refused = snakemake("-n", "--configfile", "mine.yaml", directory=project, check=False)
    last = len(mine.read_text().splitlines())
    assert refused.returncode != 0
    assert f"{mine}: (top level): the key 'seeds' stands twice, on lines {last - 1} and {last}" in refused.stdout


def test_values_of_the_command_line_are_read_as_those_of_a_file(project: Path) -> None:
    (project / "mine.yaml").write_text(yaml.safe_dump(MINE))
    (project / "mine.hdf5").touch()
    nested = ("seeds=[3,4]", "split={validation: 0.3}", "methods=[{name: bc, kind: bc, best: 1e-1, updates: 2e3}]")
    arguments = ("-n", "-p", "--configfile", "mine.yaml", "--config", *nested)
    planned = snakemake(*arguments, directory=project).stdout
    assert methods(planned) == {"bc"}
    assert set(re.findall(r"seed=(\d+)", planned)) == {"3", "4"}
    assert "--validation 0.3" in planned
    assert '"best": 0.1' in planned and '"updates": 2000' in planned


# Snakemake of another environment -----------------------------------------------------------------------------------


HIDING = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in ("h5py", "mujoco") else found(name, package)
from snakemake.cli import main
sys.argv = ["snakemake", "-n", "--configfile", "config/quickstart.yaml"]
main()
"""


def test_snakemake_without_the_packages_of_the_jobs_says_so_at_once(project: Path) -> None:
    """An environment that has Snakemake, and not all that the jobs import."""
    (project / "hiding.py").write_text(HIDING)
    command = [sys.executable, "hiding.py"]
    done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode != 0
    for part in ("without h5py, mujoco", str(project / ".venv/bin/snakemake"), "--sdm conda"):
        assert part in told
    assert "Traceback" not in told
