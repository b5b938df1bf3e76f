"""Runs of the real workflow, in a copy of the project, on a dataset of a few thousand transitions."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.support import every_kind

ROOT = Path(__file__).parents[2]
PARTS = ("config", "workflow", "scripts", "src", "envs", "profiles")

EMBEDDED = "hopper-medium-expert-embedded-tiny"
MINE = "hopper-mine"
D4RL = "hopper-medium-v2"
CONFIG = {
    "datasets": [
        {"name": EMBEDDED, "provider": "embedded", "task": "hopper", "recipe": "medium-expert", "transitions": 6000},
        {"name": MINE, "provider": "file", "task": "hopper", "path": "mine.hdf5"},
        D4RL,
    ],
    "d4rl_dir": "d4rl",
    "seeds": [0],
    "device": "cpu",
    "simulators": ["d4rl"],
    "split": {"validation": 0.2, "test": 0.2},
    "teachers": [
        {
            "name": "tiny",
            "preset": "medium",
            "rows": 2000,
            "time_limit": 60,
            "hyperparameters": {"GBM": {"num_boost_round": 20}, "NN_TORCH": {"num_epochs": 2}},
            "datasets": [EMBEDDED],
        }
    ],
    "methods": [
        {"name": "teacher", "kind": "teacher", "teacher": "tiny", "selection_episodes": 1, "report_episodes": 1},
        {
            "name": "autogluon-student",
            "kind": "autogluon_student",
            "teacher": "tiny",
            "hyperparameters": {"NN_TORCH": {"num_epochs": 2}},
            "export": True,
            "selection_episodes": 1,
            "report_episodes": 1,
        },
        {"name": "student", "kind": "student", "teacher": "tiny", "network": {"width": 32}, "updates": 100},
        {"name": "catboost-student", "kind": "catboost_student", "teacher": "tiny", "trees": 20},
        {"name": "mlp", "kind": "mlp", "network": {"width": 32}, "updates": 100},
        {"name": "rvs-32", "kind": "rvs", "network": {"width": 32}, "updates": 100, "datasets": [EMBEDDED]},
        {
            "name": "bc-half",
            "kind": "bc",
            "best": 0.5,
            "network": {"width": 32},
            "updates": 100,
            "datasets": [EMBEDDED],
        },
        {"name": "rcdtp", "kind": "rcdtp", "trees": 20, "datasets": [EMBEDDED]},
        {"name": "rvs-r", "kind": "rvs_r", "datasets": [D4RL]},
        {"name": "rwdtp", "kind": "rwdtp", "trees": 20, "datasets": [EMBEDDED]},
    ],
    "labels": {"recorded": 1000, "perturbed": 500, "commanded": 500},
    "rollout": {"fractions": [0.3, 1.0], "selection_episodes": 2, "report_episodes": 3},
}
ARGUMENTS = ("--configfile", "tiny.yaml", "--cores", "2")


SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))


def environment() -> dict[str, str]:
    """A user's: what tells this Python where the package is must not tell the jobs."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def snakemake(
    *arguments: str, directory: Path, check: bool = True, within: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """`snakemake` as a user runs it, in `directory`; its standard output and error together.

    `within` is a command that runs it (env, prlimit, …).
    """
    done = subprocess.run(
        [*within, SNAKEMAKE, *arguments],
        cwd=directory,
        env=environment(),
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if check:
        assert done.returncode == 0, done.stdout
    return done


def copy_project(destination: Path) -> Path:
    """A copy of what a clone holds, without results."""
    destination.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, destination / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, destination / part)
    return destination


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh copy of the project."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the workflow has run `CONFIG` to its end, for tests to copy, not to change.

    The logs tell what every job loaded and read (trace.py).
    """
    project = copy_project(tmp_path_factory.mktemp("run") / "project")
    shutil.copy(ROOT / "tests/workflow/trace.py", project / "src/sitecustomize.py")
    (project / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    # RvS-R has its published size, whatever the dataset: of 120 rows it takes half a minute.
    every_kind.write_hdf5(project / "d4rl/hopper_medium-v2.hdf5", 11, 3, 120, 10)
    every_kind.expect(project / "src/d4rl_automl/resources/catalogue.csv", project / "d4rl")
    snakemake(*ARGUMENTS, f"results/{EMBEDDED}/raw.hdf5", directory=project)
    shutil.copy(project / f"results/{EMBEDDED}/raw.hdf5", project / "mine.hdf5")
    snakemake(*ARGUMENTS, directory=project)
    return project
