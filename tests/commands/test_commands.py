"""The commands of README and docs that take minutes, typed one after the other in a clean clone."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import pages
from tests.support.pages import Block
from tests.support.project import ROOT, environment


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone would hold, this checkout's changes included, and nothing that was made."""
    directory = tmp_path_factory.mktemp("commands") / "clone"
    told = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    files = subprocess.run(told, cwd=ROOT, check=True, text=True, capture_output=True).stdout.splitlines()
    for file in files:
        if (ROOT / file).is_file():
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, directory / file)
    return directory


def typed(commands: str, clone: Path) -> list[str]:
    """Commands as somebody types them, and the lines that they say."""
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=clone,
        env=environment(),
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout[-5000:]}"
    return done.stdout.splitlines()


def test_the_demo_makes_its_environment_and_ends_in_a_table(clone: Path) -> None:
    lines = typed("make demo", clone)
    jobs = [line for line in lines if line.startswith("[")]
    assert len(jobs) == int(jobs[0].partition("/")[2].partition("]")[0])
    assert sum(" left" in line for line in jobs) > len(jobs) / 2
    assert any(line.split() == ["method", "score", "made", "in", "actions/s"] for line in lines)
    assert "The report: results/report/index.html" in lines[-3:]
    assert (clone / "results/report/index.html").is_file()
    # What `make install` does is done, and the README's bare command finds the same run finished.
    again = typed(".venv/bin/snakemake --cores 2 --configfile config/quickstart.yaml", clone)
    assert any("Nothing to be done" in line for line in again)


@pytest.mark.parametrize("block", pages.of("runs in make test-all", "sh"), ids=lambda block: block.place)
def test_commands_run_after_the_demo(block: Block, clone: Path) -> None:
    typed(block.body, clone)
