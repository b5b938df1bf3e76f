"""A Slurm for the session, and Snakemake as a user of it calls it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .slurm import Slurm

MINUTES = 8
"""No call of Snakemake takes longer."""


class Submission:
    """`snakemake --profile profiles/slurm`, started in `directory`.

    A real cluster is looked at once a minute, this one every two seconds.
    """

    def __init__(self, directory: Path, *arguments: str) -> None:
        command = [
            str(Path(sys.executable).with_name("snakemake")),
            *("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2"),
            *arguments,
        ]
        # Debian has slurmctld's and root's other commands in /usr/sbin.
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SLURM_CONF")}
        self.process = subprocess.Popen(
            command, cwd=directory, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def finish(self, *, check: bool = True) -> str:
        """What it printed, once it has ended; it must have ended well if `check`, and badly otherwise."""
        try:
            output, _ = self.process.communicate(timeout=60 * MINUTES)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            output, _ = self.process.communicate(timeout=60)
            pytest.fail(f"not finished after {MINUTES} minutes:\n{output}")
        assert (self.process.returncode == 0) == check, output
        return output


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Slurm]:
    scheduler = Slurm(tmp_path_factory.mktemp("slurm"))
    scheduler.start()
    try:
        yield scheduler
    finally:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n\nThe scheduler's record:\n{scheduler.table()}")
        scheduler.stop()
