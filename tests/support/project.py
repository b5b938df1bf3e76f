"""Snakemake as a user runs it, in a copy of the project."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("config", "workflow", "scripts", "src", "envs", "profiles")
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
