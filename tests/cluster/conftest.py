"""A Slurm for the session, and Snakemake as a user of it calls it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from .slurm import Slurm

MINUTES = 20
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
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SLURM_CONF")}
        self.process = subprocess.Popen(
            command, cwd=directory, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            # As Ctrl-C: Snakemake cancels its jobs. SIGTERM would let them end first.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def finish(self, *, check: bool = True) -> str:
        """What it printed, once it has ended; it must have ended well if `check`, and badly otherwise."""
        output, _ = self.process.communicate(timeout=60 * MINUTES)
        assert (self.process.returncode == 0) == check, output
        return output


def submit(directory: Path, *arguments: str) -> str:
    """What a call that ends well printed."""
    with Submission(directory, *arguments) as submission:
        return submission.finish()


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Slurm]:
    # Whoever ends the tests ends the daemons with them.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scheduler = Slurm(tmp_path_factory.mktemp("slurm"))
    scheduler.start()
    try:
        yield scheduler
    finally:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n\nThe scheduler's record:\n{scheduler.table()}")
        scheduler.stop()
