"""A small finished run, copied for every test, and a mount namespace."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.faults import ARGUMENTS, CONFIG, DATASET, FIGURE, HOLD, MINE, Mounts
from tests.support.project import copy_project, snakemake


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the workflow has run from the collection to a figure; not to be changed."""
    project = copy_project(tmp_path_factory.mktemp("faults") / "project")
    (project / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    (project / "src/sitecustomize.py").write_text(HOLD)
    snakemake(*ARGUMENTS, f"results/{DATASET}/raw.hdf5", directory=project)
    shutil.copy(project / f"results/{DATASET}/raw.hdf5", project / "mine.hdf5")
    snakemake(*ARGUMENTS, FIGURE, f"results/{MINE}/raw.hdf5", directory=project)
    return project


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run of one's own."""
    shutil.copytree(finished, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


@pytest.fixture
def mounts(project: Path) -> Iterator[Mounts]:
    """In the project's directory."""
    root = os.geteuid() == 0
    options = ["--mount"] if root else ["--mount", "--user", "--map-root-user"]
    # `cat` says that the namespace is there, and ends with this process.
    process = subprocess.Popen(["unshare", *options, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(b"\n")
        process.stdin.flush()
        if process.stdout.read(1) != b"\n":
            pytest.skip("this machine lets neither root nor a user mount anything (unshare failed)")
        yield Mounts(process, ["--mount"] if root else ["--mount", "--user", "--preserve-credentials"], project)
    finally:
        process.stdin.close()
        process.wait()
