"""Every command and every piece of Python in README and docs runs, or says beside itself why it does not."""

import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from d4rl_automl.plan.config import validated
from tests.support import pages, tiny
from tests.support.pages import Block
from tests.support.project import ROOT, environment

DEMO = "hopper-medium-expert-embedded-100k-v1"


@pytest.fixture(scope="module")
def place(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has: a clone with its environment, a finished run, files of D4RL's and of their own."""
    project = tmp_path_factory.mktemp("pages") / "project"
    shutil.copytree(tiny_run, project, symlinks=True)
    for part in ("Makefile", "benchmarks", "tests", "pyproject.toml"):
        (project / part).symlink_to(ROOT / part)
    # Not the environment itself: `make` would make one anew in its place, if it were older than the pins.
    (project / ".venv").mkdir()
    for part in Path(sys.executable).parents[1].iterdir():
        if part.name != ".installed":
            (project / ".venv" / part.name).symlink_to(part)
    (project / ".venv/.installed").touch()
    # Of the same name as the demo's.
    (project / "results" / DEMO).symlink_to(project / "results" / tiny.EMBEDDED)
    (project / "my_hopper.hdf5").symlink_to("mine.hdf5")
    home = project / "home"
    (home / ".d4rl").mkdir(parents=True)
    (home / ".d4rl/datasets").symlink_to(project / "d4rl")
    return project


def shell(commands: str, place: Path) -> None:
    """Run commands as somebody types them, in the clone."""
    variables = environment() | {"HOME": str(place / "home")}
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=place, env=variables, check=False, text=True, capture_output=True
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def ids(block: Block) -> str:
    return block.place


@pytest.mark.parametrize("block", pages.of("", "sh"), ids=ids)
def test_commands_run(block: Block, place: Path) -> None:
    shell(block.body, place)


@pytest.mark.parametrize("block", pages.of("planned", "sh"), ids=ids)
def test_long_runs_are_planned(block: Block, place: Path) -> None:
    commands = block.body.replace("\\\n", " ").strip().splitlines()
    assert all(".venv/bin/snakemake" in command for command in commands), "only Snakemake can plan"
    shell("\n".join(f"{command.partition('  #')[0]} -n -q rules" for command in commands), place)


PYTHON = {page: list(some) for page, some in groupby(pages.of("", "python"), key=lambda block: block.page)}


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_runs(page: Path, place: Path) -> None:
    """The pieces of one page follow each other."""
    variables = environment() | {"HOME": str(place / "home"), "PYTHONPATH": str(place / "src")}
    code = "\n".join(block.body for block in PYTHON[page])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, env=variables, check=False, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", pages.of("", "yaml"), ids=ids)
def test_configs_are_valid(block: Block, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the config of the whole benchmark, as Snakemake lays a --configfile over it."""
    monkeypatch.chdir(place)
    said = yaml.safe_load(block.body)
    whole = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    validated(whole | said)


def test_what_does_not_run_says_why() -> None:
    every = pages.blocks("sh", "python", "yaml")
    assert len(every) > 50
    assert {block.fate for block in every} <= {"", *pages.FATES}
    for block in every:
        if block.fate in ("planned", "not run"):
            assert block.reason, f"{block.place}: why?"
        if block.fate == "tested by":
            assert (ROOT / block.reason).is_file(), block.place
