from pathlib import Path

import pytest

from tests.support.project import copy_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh copy of the project."""
    return copy_project(tmp_path / "project")
