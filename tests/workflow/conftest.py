import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support import tiny
from tests.support.project import copy_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh copy of the project."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which `tiny.CONFIG` has run, for tests to copy, not to change: one for all processes."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    project, done = base / "tiny", base / "tiny.done"
    with FileLock(base / "tiny.lock"):
        if not done.exists():
            # What a process that failed has left.
            shutil.rmtree(project, ignore_errors=True)
            tiny.run(project)
            done.touch()
    return project
