"""The conda file, the lock and pyproject.toml tell the same versions."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def locked() -> dict[str, str]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / "envs/lock.txt").read_text(), re.M)
    return {canonicalize_name(name): version for name, version in pins}


def required() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {canonicalize_name(r.name): r for r in map(Requirement, project["dependencies"])}


def test_lock_satisfies_the_project_and_leaves_torch_to_its_own_step() -> None:
    pins = locked()
    for name, requirement in required().items():
        if name == "torch":
            assert name not in pins
            assert f"torch{requirement.specifier}" in (ROOT / "Makefile").read_text()
        else:
            assert requirement.specifier.contains(pins[name]), name


def test_conda_file_pins_what_the_lock_pins() -> None:
    specification = yaml.safe_load((ROOT / "envs/d4rl-automl.yaml").read_text())
    listed = next(entry["pip"] for entry in specification["dependencies"] if isinstance(entry, dict))
    conda = {canonicalize_name(r.name): str(r.specifier) for r in map(Requirement, listed)}
    pins = locked() | {"torch": str(required()["torch"].specifier).removeprefix("==")}
    assert conda == {name: f"=={pins[name]}" for name in required() if name != "snakemake"}


def test_lock_has_a_hash_for_every_pin() -> None:
    text = (ROOT / "envs/lock.txt").read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)
    for block in filter(None, (block.strip() for block in blocks)):
        if not block.startswith("#"):
            assert "--hash=sha256:" in block, block.splitlines()[0]
