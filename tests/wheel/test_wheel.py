"""The wheel, installed by pip into fresh environments: what it holds, what it brings, and that all of it works.

Takes minutes and packages from PyPI: `make test-wheel`. What it measures is printed.
"""

import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.project import ROOT
from tests.support.public_api import CONSUMER, check, prepare

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BASE = [Requirement(line) for line in PROJECT["dependencies"]]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """A command's standard output; its messages are the test's error where it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make wheel` does, from a copy of what Git has."""
    tree = tmp_path_factory.mktemp("tree")
    for name in run("git", "ls-files", "Makefile", "pyproject.toml", "README.md", "LICENSE", "src", cwd=ROOT).split():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    run("make", "wheel", f"BIN={Path(sys.executable).parent}", "INSTALLED=", cwd=tree)
    (found,) = (tree / "dist").iterdir()
    return found


class Fresh(NamedTuple):
    """An environment that holds the wheel and what pip brings with it."""

    python: Path
    which: str
    """Of each package that the wheel asks for, the newest version or the oldest."""
    seconds: float

    def packages(self) -> dict[str, str]:
        listed = json.loads(run(self.python, "-m", "pip", "list", "--format", "json"))
        return {canonicalize_name(package["name"]): package["version"] for package in listed}


@pytest.fixture(scope="session", params=["newest", "oldest"])
def fresh(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    folder = tmp_path_factory.mktemp(request.param)
    run(sys.executable, "-m", "venv", folder / "venv")
    constraints = folder / "constraints.txt"
    oldest = {r.name: s.version for r in BASE for s in r.specifier if s.operator == ">="}
    pins = oldest if request.param == "oldest" else {}
    constraints.write_text("".join(f"{name}=={version}.*\n" for name, version in pins.items()))
    python, started = folder / "venv/bin/python", time.perf_counter()
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel)
    return Fresh(python, request.param, time.perf_counter() - started)


def test_it_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {name.removeprefix("src/") for name in run("git", "ls-files", "src", cwd=ROOT).split()}
    assert "d4rl_automl/py.typed" in held


def test_it_brings_neither_torch_nor_the_workflow(fresh: Fresh) -> None:
    run(fresh.python, "-m", "pip", "check")
    found = fresh.packages()
    assert {canonicalize_name(requirement.name) for requirement in BASE} <= found.keys()
    extras = PROJECT["optional-dependencies"]
    of_extras = {canonicalize_name(Requirement(line).name) for lines in extras.values() for line in lines}
    others = of_extras - {canonicalize_name(requirement.name) for requirement in BASE}
    # What the viewer and the environment's own tools bring.
    assert others & found.keys() <= {"packaging", "pillow", "setuptools"}
    size = int(run("du", "-sm", fresh.python.parents[1]).split()[0])
    print(f"\n{fresh.which}: {size} MB, {len(found)} packages, installed in {fresh.seconds:.0f} s")
    assert size <= 700


def test_importing_it_takes_less_than_a_tenth_of_a_second(fresh: Fresh, tmp_path: Path) -> None:
    seconds = []
    for _ in range(5):
        command = [str(fresh.python), "-X", "importtime", "-c", "import d4rl_automl"]
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stderr
        (line,) = re.findall(r"\| +(\d+) \| d4rl_automl$", told, re.M)
        seconds.append(int(line) / 1e6)
    print(f"\n{fresh.which}: import d4rl_automl takes {min(seconds):.4f} s")
    assert min(seconds) <= 0.1


def test_every_name_works(fresh: Fresh, tmp_path: Path) -> None:
    prepare(tmp_path)
    found = json.loads(run(fresh.python, CONSUMER, tmp_path, cwd=tmp_path))
    assert Path(found["from"]).is_relative_to(fresh.python.parents[1])
    check(found, tmp_path)


def test_type_checkers_see_its_types(fresh: Fresh, tmp_path: Path) -> None:
    """In somebody's code, strictly; and they refuse what is wrong."""
    strictly = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--python-executable", str(fresh.python)]
    copy = tmp_path / "consumer.py"
    shutil.copy(CONSUMER, copy)
    # h5py has no types of its own.
    text = copy.read_text().replace("import h5py\n", "import h5py  # type: ignore[import-untyped]\n")
    copy.write_text(text)
    run(*strictly, copy, cwd=tmp_path)
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import d4rl_automl as da\n"
        "da.normalise(3, [1.0])\n"
        'da.BatchSimulator("hopper", "many")\n'
        'reveal_type(da.load_dataset("x").rewards)\n'
        "da.lode_policy\n"
    )
    done = subprocess.run([*strictly, str(wrong)], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert [re.sub(r"^wrong.py:(\d+): (\w+).*$", r"\1 \2", line) for line in lines[:-1]] == [
        "2 error",
        "3 error",
        "4 note",
        "5 error",
    ], done.stdout
    assert "ndarray" in lines[2] and "float" in lines[2]


def test_its_physics_are_those_of_the_recording(fresh: Fresh) -> None:
    """Last, since it takes pytest."""
    run(fresh.python, "-m", "pip", "install", "--quiet", "pytest")
    oracle = ROOT / "tests/unit/test_oracle.py"
    # Without tests/conftest.py, which takes what the tests of the workflow take.
    alone = ("-q", "-p", "no:cacheprovider", "--confcutdir", oracle.parent)
    assert " passed" in run(fresh.python, "-m", "pytest", *alone, oracle, cwd=ROOT)
