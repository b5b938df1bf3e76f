"""A Slurm for the session."""

import signal
from collections.abc import Iterator

import pytest

from tests.support.slurm import Slurm


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
