import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support import tiny
from tests.support.hosts import Hosts, serving


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with serving() as made:
        yield made


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which `tiny.CONFIG` has run, for tests to copy, not to change: one for all workers."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    project, done = base / "tiny", base / "tiny.done"
    with FileLock(base / "tiny.lock"):
        if not done.exists():
            # What a worker that failed has left.
            shutil.rmtree(project, ignore_errors=True)
            tiny.run(project)
            done.touch()
    return project
